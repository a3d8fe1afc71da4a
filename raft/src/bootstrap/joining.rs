//! How a node with an empty disk comes back into a cluster that exists (spec §13.4), as the node.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use uuid::Uuid;

use super::messages::{JoinAnswer, JoinRequest};
use crate::network::RpcKind;
use crate::running::Running;
use crate::shared::Shared;

/// How long a peer has for its answer. The leader asks this node back, and may write to its log.
const ANSWER: Duration = Duration::from_secs(5);
/// How often a joiner says that it is still there.
const AGAIN: Duration = Duration::from_secs(1);

/// What the leader said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Admission {
    pub(super) cluster_id: Uuid,
    pub(super) raft_id: u64,
    pub(super) incarnation: u64,
    /// The entry up to which this node must have applied the log to serve.
    pub(super) index: u64,
}

/// As whom a node asks.
#[derive(Debug, Clone, Copy)]
pub(super) enum As {
    /// An empty disk, with what was drawn for it.
    Nobody(Uuid),
    /// The owner of a Raft id that is on its disk.
    Member(u64),
}

/// Asks the leader, whoever that is, to let this node in.
///
/// # Errors
/// Why not, for `/readyz`.
pub(super) async fn ask(shared: &Arc<Shared>, who: As) -> Result<Admission, String> {
    let (raft_id, admission) = match who {
        As::Nobody(admission) => (None, Some(admission)),
        As::Member(raft_id) => (Some(raft_id), None),
    };
    let request = JoinRequest { probe: shared.probe(), raft_id, admission };
    let mut reasons = Vec::new();
    let mut peers = shared.settings.peers();
    while let Some(name) = peers.pop() {
        let client = shared.dialer.client(&name);
        match client.call_json::<_, JoinAnswer>(RpcKind::Join, &request, ANSWER).await {
            Ok(JoinAnswer::Admitted { cluster_id, raft_id, incarnation, index }) => {
                return Ok(Admission { cluster_id, raft_id, incarnation, index });
            }
            // It will be asked too, and sooner.
            Ok(JoinAnswer::NotLeader { leader: Some(leader) }) => {
                if let Some(at) = peers.iter().position(|peer| *peer == leader) {
                    let leader = peers.remove(at);
                    peers.push(leader);
                }
            }
            Ok(JoinAnswer::NotLeader { leader: None }) => reasons.push(format!("{name} knows no leader")),
            Ok(JoinAnswer::Refused { reason }) => reasons.push(format!("{name} refuses: {reason}")),
            Err(error) => reasons.push(format!("{name}: {error}")),
        }
    }
    Err(reasons.join("; "))
}

/// What a learner that is being sent the log waits for.
pub(super) fn receiving(raft_id: u64) -> String {
    format!("joining as member {raft_id}: receiving the log from the leader")
}

/// Why a disk whose Raft id was replaced cannot go on.
pub(super) fn replaced(raft_id: u64, by: u64) -> String {
    format!(
        "this disk was given Raft id {raft_id}, and this node was given {by} since. It has no vote: move its raft/ aside and \
         start it again."
    )
}

/// Goes on asking: a leader that forgot this learner, or a new one, takes it up again. Ends with the reason when this
/// disk can never join.
pub(super) async fn keep_asking(shared: &Arc<Shared>, raft_id: u64) -> String {
    loop {
        sleep(AGAIN).await;
        shared.wait_for(Some(match ask(shared, As::Member(raft_id)).await {
            Ok(admission) if admission.raft_id > raft_id => return replaced(raft_id, admission.raft_id),
            Ok(_) => receiving(raft_id),
            Err(why) => format!("joining as member {raft_id}: {why}"),
        }));
    }
}

/// As a member: asks to be taken up again for as long as it has no vote. The leader that made it a learner may have died
/// before a quorum agreed.
pub(super) async fn keep_seat(shared: &Arc<Shared>, running: &Running) -> String {
    loop {
        sleep(AGAIN).await;
        let metrics = running.metrics();
        let raft_id = metrics.id;
        if metrics.membership_config.membership().voter_ids().any(|id| id == raft_id) {
            continue;
        }
        match ask(shared, As::Member(raft_id)).await {
            Ok(admission) if admission.raft_id > raft_id => return replaced(raft_id, admission.raft_id),
            Ok(_) => {}
            Err(why) => tracing::info!(why, "this node has no vote, and no leader takes it up"),
        }
    }
}
