//! What a node says about itself, for `/readyz`, metrics and the CLI (spec §3.4, §13.6).

use std::time::Duration;

use hellojohn_control::Timestamp;
use openraft::ServerState;
use serde::Serialize;

use crate::types::Metrics;

/// The part that a node plays, as load balancers and operators see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Takes writes; heard from a quorum a moment ago.
    Leader,
    /// Everything else that is no learner: also a candidate, a node that forms or waits, and a leader that
    /// a quorum has not answered recently.
    Follower,
    /// Receives the log and does not vote.
    Learner,
    /// The only node, without a listener.
    Single,
}

/// A peer, as this node knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerStatus {
    /// `NODE_ID`.
    pub id: String,
    /// Configured address.
    pub addr: String,
    /// Last entry that the leader knows to be on the peer; `null` unless this node leads.
    pub matched_index: Option<u64>,
    /// Entries that the peer lacks; `null` unless this node leads.
    pub lag: Option<u64>,
    /// Milliseconds since the peer was last heard from; `null` when it never was.
    pub last_contact_ms: Option<u64>,
    /// Milliseconds by which the peer's clock is ahead of this node's; absent unless this node leads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_ahead_ms: Option<i64>,
}

/// Raft's own view of the node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RaftStatus {
    /// Members without this node.
    pub num_peers: usize,
    /// Leader, Follower, Candidate, Learner, Forming or Shutdown.
    pub state: &'static str,
    /// Last applied entry.
    pub applied_index: u64,
    /// Last entry known to be committed.
    pub commit_index: u64,
    /// Last entry in the log.
    pub last_log_index: u64,
    /// Last entry in the newest snapshot.
    pub snapshot_index: u64,
    /// Last entry that the log has given up; whoever lacks one of those is sent a snapshot.
    pub purged_index: u64,
    /// Whether a leader and a quorum are in touch, as far as this node can tell.
    pub quorum_ok: bool,
    /// The other nodes.
    pub peers: Vec<PeerStatus>,
}

/// How the files are doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FsStatus {
    /// Entry whose state the files show.
    pub projected_index: u64,
    /// Files that were repaired since the node started.
    pub repairs: u64,
    /// Foreign files that were moved to `quarantine/` since the node started.
    pub quarantined: u64,
}

/// Everything that a node says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// `embedded` or `off`.
    pub mode: &'static str,
    /// The part it plays.
    pub role: Role,
    /// Whether the node has a vote and no change of the members is under way.
    pub voter: bool,
    /// `NODE_ID`.
    pub node_id: String,
    /// Who leads, where that is known.
    pub leader_id: Option<String>,
    /// Raft term.
    pub term: u64,
    /// Configured nodes, this one included.
    pub peers_configured: usize,
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// Why the node is not in a cluster yet; absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// Why the node's disk is taken for one that is not of the cluster: it has no quorum, and most of its peers are of another
    /// cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_cluster: Option<String>,
    /// How the files are doing.
    pub fs: FsStatus,
    /// Raft's own view.
    pub raft: RaftStatus,
    /// When the certificate for the peer connections ends; absent without TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_ends: Option<Timestamp>,
    /// Whether the node has applied what its disk knew to be committed when it started.
    #[serde(skip)]
    pub caught_up: bool,
    /// Why the files are behind the state, if they are.
    #[serde(skip)]
    pub fs_degraded: Option<String>,
}

/// Whether a leader may still call itself so: a quorum answered it within `silence`. `age` is how old the
/// metrics are: those of a core that waits for its disk never grow old by themselves.
pub(crate) fn leads(metrics: &Metrics, age: Duration, silence: Duration) -> bool {
    let only_voter = metrics.membership_config.membership().voter_ids().count() == 1;
    let acknowledged = metrics.millis_since_quorum_ack.map(Duration::from_millis);
    let fresh = acknowledged.is_some_and(|ago| ago.saturating_add(age) <= silence);
    metrics.state == ServerState::Leader && (only_voter || fresh)
}

/// Name of the leader, as far as this node knows.
pub(crate) fn leader_name(metrics: &Metrics) -> Option<String> {
    name_of(metrics, metrics.current_leader?)
}

/// Name of the member with this Raft id.
pub(crate) fn name_of(metrics: &Metrics, id: u64) -> Option<String> {
    metrics.membership_config.membership().get_node(&id).map(|node| node.name.clone())
}

/// openraft's state under the names of spec §13.6.
pub(crate) fn state_name(state: ServerState) -> &'static str {
    match state {
        ServerState::Learner => "Learner",
        ServerState::Follower => "Follower",
        ServerState::Candidate => "Candidate",
        ServerState::Leader => "Leader",
        ServerState::Shutdown => "Shutdown",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use openraft::{Membership, StoredMembership};

    use super::*;
    use crate::types::Member;

    const SILENCE: Duration = Duration::from_millis(300);

    fn leader_of(voters: BTreeSet<u64>) -> Metrics {
        let nodes: std::collections::BTreeMap<u64, Member> =
            voters.iter().map(|id| (*id, Member { name: format!("n{id}") })).collect();
        let mut metrics = Metrics::new_initial(1);
        metrics.state = ServerState::Leader;
        metrics.millis_since_quorum_ack = Some(20);
        metrics.membership_config = StoredMembership::new(None, Membership::new(vec![voters], nodes)).into();
        metrics
    }

    /// ha.md: a leader whose flush hangs, or whose process was stopped for a while, reports figures from before.
    #[test]
    fn a_leader_whose_core_stands_still_stops_calling_itself_leader() {
        let metrics = leader_of([1, 2, 3].into());
        assert!(leads(&metrics, Duration::from_millis(50), SILENCE));
        assert!(!leads(&metrics, Duration::from_millis(281), SILENCE));
    }

    #[test]
    fn the_only_voter_leads_however_slow_its_disk_is() {
        assert!(leads(&leader_of([1].into()), Duration::from_secs(5), SILENCE));
    }
}
