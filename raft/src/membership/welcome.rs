//! How the leader answers a node that wants to be let in.

use std::sync::Arc;

use hellojohn_control::{Command, Envelope, Outcome, Reject};
use tokio::time::timeout;
use uuid::Uuid;

use super::raise::known_by;
use super::{CHANGE, knows_its_term, standing};
use crate::bootstrap::messages::{JoinAnswer, JoinRequest, Standing};
use crate::bootstrap::rule;
use crate::network::Hello;
use crate::propose::ProposeError;
use crate::running::Running;
use crate::shared::Shared;
use crate::types::Member;

/// Answers a node that wants to be let in.
pub(crate) async fn welcome(shared: &Arc<Shared>, hello: &Hello, request: JoinRequest) -> JoinAnswer {
    let peer = hello.from.as_str();
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
    match admit(shared, &running, hello, &request).await {
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
    hello: &Hello,
    request: &JoinRequest,
) -> Result<JoinAnswer, String> {
    let (name, knows) = (hello.from.as_str(), known_by(hello));
    let view = running.view();
    let formation = view.formation().ok_or("this cluster is still being formed")?;
    let cluster_id = formation.cluster_id;
    let member = formation.members.get(name).ok_or_else(|| {
        format!(
            "{name} is no member of cluster {cluster_id}; to let it in, run `hellojohn cluster members add {name}`"
        )
    })?;
    if knows < formation.format {
        return Err(Reject::ReleaseTooOld { knows, format: formation.format }.to_string());
    }
    let (raft_id, incarnation) = match (request.raft_id, member.raft_id) {
        (None, _) => {
            refuse_duplicate(shared, name).await?;
            let (raft_id, incarnation) = new_id(shared, running, name, request.admission, knows).await?;
            tracing::info!(peer = name, raft_id, incarnation, "an empty disk: the node has a new Raft id");
            (raft_id, incarnation)
        }
        (Some(given), Some(raft_id)) => {
            if given == raft_id {
                add_learner(shared, running, name, raft_id).await?;
            } else {
                // It learns from the answer that its name was given another id since.
                tracing::warn!(peer = name, given, now = raft_id, "a disk with a Raft id that was replaced");
            }
            (raft_id, member.incarnation)
        }
        (Some(given), None) => {
            return Err(format!(
                "{name} has Raft id {given}, which is not one of this cluster; empty its raft/"
            ));
        }
    };
    Ok(JoinAnswer::Admitted { cluster_id, raft_id, incarnation, index: running.view().applied_index() })
}

/// The old process of a name and the new one cannot both be members.
async fn refuse_duplicate(shared: &Arc<Shared>, name: &str) -> Result<(), String> {
    match standing(shared, &shared.dialer.client(name)).await? {
        Standing::Pristine | Standing::Orphaned => Ok(()),
        Standing::Promised { .. } | Standing::Joining { .. } | Standing::Member { .. } => Err(format!(
            "duplicate_node: a process that is {name} already answers at its address in CLUSTER_NODES"
        )),
    }
}

async fn new_id(
    shared: &Shared,
    running: &Running,
    name: &str,
    admission: Option<Uuid>,
    knows: u16,
) -> Result<(u64, u64), String> {
    let envelope = Envelope {
        at: shared.settings.now.now(),
        actor: "system".to_owned(),
        request_id: format!("join-{}", admission.unwrap_or_else(Uuid::new_v4)),
        ip: None,
        precondition: None,
        idempotency: None,
        command: Command::AdmitNode { name: name.to_owned(), admission, format: knows },
    };
    match running.proposals.propose(envelope).await.map_err(|e| e.to_string())?.outcome {
        Outcome::NodeAdmitted { raft_id, incarnation } => Ok((raft_id, incarnation)),
        other => Err(format!("unexpected outcome {other:?}")),
    }
}

async fn add_learner(shared: &Shared, running: &Running, name: &str, raft_id: u64) -> Result<(), String> {
    // In what was agreed: a membership that is merely proposed may be lost with its leader.
    if shared.views.standing().membership.membership().get_node(&raft_id).is_some() {
        return Ok(());
    }
    let added = running.raft.add_learner(raft_id, Member { name: name.to_owned() }, false);
    match timeout(CHANGE, added).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(format!("{name} is not a learner yet: {error}")),
        Err(_elapsed) => Err(format!("{name} is not a learner yet: no quorum has agreed in {CHANGE:?}")),
    }
}
