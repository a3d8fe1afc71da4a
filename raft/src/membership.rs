//! Who is a member, as the leader sees to it (spec §3.2, §13.4).
//!
//! A node that lost its disk is somebody else: it forgot its votes and what it acknowledged, so its old Raft id is
//! never used again. The leader gives it a new one, sends it the log as to a learner, and puts it in the place of the
//! old one by one change of the membership, which a quorum of the old voters must agree to.
//!
//! Nodes that an operator adds, promotes or removes come and go in the same way: the state says who is to be what, and the
//! leader brings the Raft membership there, one change at a time.

mod by_hand;
mod due;
pub(crate) mod raise;
mod welcome;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft::ChangeMembers;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

pub use self::by_hand::{MemberRefusal, MemberStatus};
use self::due::{Change, due};
pub(crate) use self::raise::keep_raising;
pub(crate) use self::welcome::welcome;
use crate::bootstrap::messages::{Probe, Standing};
use crate::machine::Views;
use crate::network::{PeerClient, Refusal, RpcKind};
use crate::running::Running;
use crate::shared::Shared;
use crate::status::name_of;
use crate::types::{Member, Metrics};

/// How long a node has to say what it is.
const ANSWER: Duration = Duration::from_secs(1);
/// How often the leader looks whether the membership is as it should be.
const LOOK: Duration = Duration::from_millis(500);
/// How long a change may take. One that takes longer goes on, and is looked at again.
const CHANGE: Duration = Duration::from_secs(10);

/// Whether a leader has applied an entry of its own term, and with it all that was committed before: only then its state
/// is as new as its log says.
fn knows_its_term(metrics: &Metrics) -> bool {
    metrics.last_applied.is_some_and(|id| id.leader_id.term == metrics.current_term)
}

/// Why the disk with this Raft id is none of the node `name` any more, as far as this node's state goes. An id that is
/// newer than the state is nobody's yet, and one that the membership still has may be on its way out.
pub(crate) fn superseded(views: &Views, name: &str, raft_id: u64) -> Option<Refusal> {
    let standing = views.standing();
    let formation = standing.view.formation()?;
    let by = formation.members.get(name).and_then(|member| member.raft_id);
    if raft_id >= formation.next_raft_id || by == Some(raft_id) {
        return None;
    }
    let gone = standing.membership.membership().get_node(&raft_id).is_none();
    gone.then(|| Refusal::Superseded { name: name.to_owned(), raft_id, by })
}

async fn standing(shared: &Shared, client: &PeerClient) -> Result<Standing, String> {
    match client.call_json::<_, Probe>(RpcKind::Probe, &shared.probe(), ANSWER).await {
        Ok(probe) => Ok(probe.standing),
        Err(error) => {
            Err(format!("{} does not answer at its address in CLUSTER_NODES: {error}", client.name()))
        }
    }
}

/// While this node leads, brings the Raft membership to what the state says, one change at a time.
pub(crate) async fn keep(shared: Arc<Shared>, running: Arc<Running>, stop: CancellationToken) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut hindered = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = looks.tick() => {}
            () = shared.members_asked.notified() => {}
        }
        if shared.check_leader(&running).is_err() || !knows_its_term(&running.metrics()) {
            continue;
        }
        let Some(reason) = stop.run_until_cancelled(tend(&shared, &running)).await else { return };
        if reason.is_some() && reason != hindered {
            tracing::warn!(reason, "the members are not as they should be yet");
        }
        hindered = reason;
    }
}

/// Makes the first of the changes that are due and can be made. Why the others cannot.
async fn tend(shared: &Arc<Shared>, running: &Running) -> Option<String> {
    let view = running.view();
    let changes = due(view.formation()?, &running.metrics());
    let mut reasons = Vec::new();
    for change in changes {
        match make(shared, running, &change).await {
            Ok(()) => {
                tracing::info!(?change, "the membership is changed");
                // There may be more to do.
                shared.members_asked.notify_one();
                return None;
            }
            Err(reason) => reasons.push(reason),
        }
    }
    if reasons.is_empty() { None } else { Some(reasons.join("; ")) }
}

async fn make(shared: &Arc<Shared>, running: &Running, change: &Change) -> Result<(), String> {
    let asked: ChangeMembers<u64, Member> = match change {
        Change::Finish(voters) => ChangeMembers::ReplaceAllVoters(voters.clone()),
        Change::Unseat { name, voters } => {
            // Asked again: who answered when the removal was decided may be gone.
            quorum_answers(shared, running, voters).await.map_err(|why| format!("{name} stays: {why}"))?;
            ChangeMembers::ReplaceAllVoters(voters.clone())
        }
        Change::Seat { name, raft_id, voters } => {
            joined(shared, name, *raft_id).await?;
            ChangeMembers::ReplaceAllVoters(voters.clone())
        }
        Change::Forget(ids) => ChangeMembers::RemoveNodes(ids.clone()),
    };
    match timeout(CHANGE, running.raft.change_membership(asked, false)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_elapsed) => Err(format!("no quorum has agreed in {CHANGE:?}")),
    }
}

/// Whether a majority of these voters is there, each under its Raft id: a name that lost its disk answers, and votes for
/// nobody.
async fn quorum_answers(
    shared: &Arc<Shared>,
    running: &Running,
    voters: &BTreeSet<u64>,
) -> Result<(), String> {
    let metrics = running.metrics();
    let asked = voters.iter().filter(|id| **id != metrics.id).map(|id| {
        let name = name_of(&metrics, *id).unwrap_or_else(|| format!("member {id}"));
        async move { joined(shared, &name, *id).await.err() }
    });
    let silent: Vec<String> = futures::future::join_all(asked).await.into_iter().flatten().collect();
    if voters.len() - silent.len() > voters.len() / 2 {
        return Ok(());
    }
    Err(format!(
        "of {} voters that would remain, {} cannot vote ({}), and the cluster could take no writes",
        voters.len(),
        silent.len(),
        silent.join("; ")
    ))
}

/// Whether the node has its membership on disk: before, it may start again without a log. And whether it is who answers,
/// not an old disk of its name that was found again.
async fn joined(shared: &Arc<Shared>, name: &str, raft_id: u64) -> Result<(), String> {
    match standing(shared, &shared.dialer.member(name, raft_id)).await? {
        Standing::Member { .. } => Ok(()),
        Standing::Pristine | Standing::Orphaned | Standing::Promised { .. } | Standing::Joining { .. } => {
            Err(format!("{name} is still receiving the log"))
        }
    }
}
