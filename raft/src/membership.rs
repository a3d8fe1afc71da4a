//! Who is a member, as the leader sees to it (spec §13.4).
//!
//! A node that lost its disk is somebody else: it forgot its votes and what it acknowledged, so its old Raft id is
//! never used again. The leader gives it a new one, sends it the log as to a learner, and puts it in the place of the
//! old one by one change of the membership, which a quorum of the old voters must agree to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::{Command, Envelope, Formation, Outcome};
use openraft::ChangeMembers;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bootstrap::messages::{JoinAnswer, JoinRequest, Probe, Standing};
use crate::bootstrap::rule;
use crate::network::{PeerClient, RpcKind};
use crate::propose::ProposeError;
use crate::running::Running;
use crate::shared::Shared;
use crate::types::{Member, Metrics};

/// How long a node has to say what it is.
const ANSWER: Duration = Duration::from_secs(1);
/// How often the leader looks whether the membership is as it should be.
const LOOK: Duration = Duration::from_millis(500);
/// How long a change may take. One that takes longer goes on, and is looked at again.
const CHANGE: Duration = Duration::from_secs(10);
/// Entries that a learner may still lack when it becomes a voter.
const LAG: u64 = 64;

/// Answers a node that wants to be let in.
pub(crate) async fn welcome(shared: &Arc<Shared>, peer: &str, request: JoinRequest) -> JoinAnswer {
    let refused = |reason: String| JoinAnswer::Refused { reason };
    let Some(running) = shared.running.load_full() else {
        return JoinAnswer::NotLeader { leader: None };
    };
    match shared.check_leader(&running) {
        Ok(()) => {}
        Err(ProposeError::NotLeader { leader }) => return JoinAnswer::NotLeader { leader },
        Err(_) => return JoinAnswer::NotLeader { leader: None },
    }
    if !knows_its_term(&running.metrics()) {
        return refused("the leader was just elected and has not applied its first entry yet".to_owned());
    }
    if let Some(difference) = rule::keys_differ(&shared.probe(), &request.probe) {
        tracing::warn!(peer, difference, "a node may not join");
        return refused(difference);
    }
    match admit(shared, &running, peer, request.raft_id).await {
        Ok(answer) => answer,
        Err(reason) => {
            tracing::warn!(peer, reason, "a node may not join");
            refused(reason)
        }
    }
}

async fn admit(
    shared: &Arc<Shared>,
    running: &Running,
    name: &str,
    given: Option<u64>,
) -> Result<JoinAnswer, String> {
    let view = running.view();
    let formation = view.formation().ok_or("this cluster is still being formed")?;
    let cluster_id = formation.cluster_id;
    let member = formation.members.get(name).ok_or_else(|| {
        format!("{name} is no member of cluster {cluster_id}, and adding one is not built yet")
    })?;
    let (raft_id, incarnation) = match given {
        None => {
            refuse_duplicate(shared, name).await?;
            let (raft_id, incarnation) = new_id(shared, running, name).await?;
            tracing::info!(peer = name, raft_id, incarnation, "a lost disk: the member has a new Raft id");
            (raft_id, incarnation)
        }
        Some(raft_id) => {
            if raft_id == member.raft_id {
                add_learner(running, name, raft_id).await?;
            } else {
                // It learns from the answer that its name was given another id since.
                tracing::warn!(
                    peer = name,
                    raft_id,
                    now = member.raft_id,
                    "a disk with a Raft id that was replaced"
                );
            }
            (member.raft_id, member.incarnation)
        }
    };
    Ok(JoinAnswer::Admitted { cluster_id, raft_id, incarnation, index: running.view().applied_index() })
}

/// The old process of a name and the new one cannot both be members.
async fn refuse_duplicate(shared: &Arc<Shared>, name: &str) -> Result<(), String> {
    match standing(shared, shared.dialer.client(name)).await? {
        Standing::Pristine | Standing::Orphaned => Ok(()),
        Standing::Promised { .. } | Standing::Joining { .. } | Standing::Member { .. } => Err(format!(
            "duplicate_node: a process that is {name} already answers at its address in CLUSTER_NODES"
        )),
    }
}

async fn standing(shared: &Arc<Shared>, client: PeerClient) -> Result<Standing, String> {
    match client.call_json::<_, Probe>(RpcKind::Probe, &shared.probe(), ANSWER).await {
        Ok(probe) => Ok(probe.standing),
        Err(error) => {
            Err(format!("{} does not answer at its address in CLUSTER_NODES: {error}", client.name()))
        }
    }
}

async fn new_id(shared: &Shared, running: &Running, name: &str) -> Result<(u64, u64), String> {
    let envelope = Envelope {
        at: shared.settings.now.now(),
        actor: "system".to_owned(),
        request_id: format!("join-{}", Uuid::new_v4()),
        ip: None,
        precondition: None,
        idempotency: None,
        command: Command::AdmitNode { name: name.to_owned() },
    };
    match running.proposals.propose(envelope).await.map_err(|e| e.to_string())?.outcome {
        Outcome::NodeAdmitted { raft_id, incarnation } => Ok((raft_id, incarnation)),
        other => Err(format!("unexpected outcome {other:?}")),
    }
}

async fn add_learner(running: &Running, name: &str, raft_id: u64) -> Result<(), String> {
    let known = running.metrics().membership_config.membership().get_node(&raft_id).is_some();
    if known {
        return Ok(());
    }
    let added = running.raft.add_learner(raft_id, Member { name: name.to_owned() }, false);
    match timeout(CHANGE, added).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("{name} is not a learner yet: {error}")),
        Err(_elapsed) => Err(format!("{name} is not a learner yet: no quorum has agreed in {CHANGE:?}")),
    }
}

/// While this node leads, puts members that have come back in the place of who they were, one at a time.
pub(crate) async fn keep(shared: Arc<Shared>, running: Arc<Running>, stop: CancellationToken) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => {}
        }
        if shared.check_leader(&running).is_err() || !knows_its_term(&running.metrics()) {
            continue;
        }
        let view = running.view();
        let Some(change) = view.formation().and_then(|formation| due(formation, &running.metrics())) else {
            continue;
        };
        let done = stop.run_until_cancelled(make(&shared, &running, &change)).await;
        if let Some(Err(reason)) = done {
            tracing::warn!(?change, reason, "the membership is not changed yet");
        }
    }
}

/// Whether a leader has applied an entry of its own term, and with it all that was committed before: only then its state
/// is as new as its log says.
fn knows_its_term(metrics: &Metrics) -> bool {
    metrics.last_applied.is_some_and(|id| id.leader_id.term == metrics.current_term)
}

/// A change that the membership needs.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// A change was begun by a leader that is gone.
    Finish(BTreeSet<u64>),
    /// A node has caught up under its new id.
    Swap { name: String, raft_id: u64, voters: BTreeSet<u64> },
    /// Ids that were given to a node which lost its disk again.
    Forget(BTreeSet<u64>),
}

/// What is due now, if anything.
fn due(formation: &Formation, metrics: &Metrics) -> Option<Change> {
    let membership = metrics.membership_config.membership();
    let configs = membership.get_joint_config();
    if configs.len() > 1 {
        return configs.last().cloned().map(Change::Finish);
    }
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let last = metrics.last_log_index.unwrap_or(0);
    let nodes: BTreeMap<u64, &str> = membership.nodes().map(|(id, node)| (*id, node.name.as_str())).collect();
    for (name, member) in &formation.members {
        if voters.contains(&member.raft_id) || !nodes.contains_key(&member.raft_id) {
            continue;
        }
        let others = |id: &u64| nodes.get(id) != Some(&name.as_str());
        let mut wanted: BTreeSet<u64> = voters.iter().copied().filter(others).collect();
        let matched =
            metrics.replication.as_ref().and_then(|all| all.get(&member.raft_id).copied().flatten());
        let caught_up = matched.is_some_and(|id| id.index.saturating_add(LAG) >= last);
        if caught_up && wanted.len() < voters.len() {
            wanted.insert(member.raft_id);
            return Some(Change::Swap { name: name.clone(), raft_id: member.raft_id, voters: wanted });
        }
    }
    let current = |name: &str| formation.members.get(name).map(|member| member.raft_id);
    let stale: BTreeSet<u64> = nodes
        .iter()
        .filter(|(id, name)| !voters.contains(id) && current(name) != Some(**id))
        .map(|(id, _)| *id)
        .collect();
    if stale.is_empty() { None } else { Some(Change::Forget(stale)) }
}

async fn make(shared: &Arc<Shared>, running: &Running, change: &Change) -> Result<(), String> {
    let asked: ChangeMembers<u64, Member> = match change {
        Change::Finish(voters) => ChangeMembers::ReplaceAllVoters(voters.clone()),
        Change::Swap { name, raft_id, voters } => {
            // Only once it has its membership on disk: before, it may start again without a log. And only if it is
            // who answers, not the old disk that was found again.
            match standing(shared, shared.dialer.member(name, *raft_id)).await? {
                Standing::Member { .. } => {}
                Standing::Pristine
                | Standing::Orphaned
                | Standing::Promised { .. }
                | Standing::Joining { .. } => return Ok(()),
            }
            ChangeMembers::ReplaceAllVoters(voters.clone())
        }
        Change::Forget(ids) => ChangeMembers::RemoveNodes(ids.clone()),
    };
    match timeout(CHANGE, running.raft.change_membership(asked, false)).await {
        Ok(Ok(_)) => {
            tracing::info!(?change, "the membership is changed");
            Ok(())
        }
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err(format!("no quorum has agreed in {CHANGE:?}")),
    }
}

#[cfg(test)]
mod tests;
