//! What a node says about itself in `/readyz`, as far as drills care.

use serde_json::Value;

use crate::net::NODES;

use super::settings::name;

/// One look at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// It serves people.
    pub ready: bool,
    /// It says that it leads.
    pub leads: bool,
    /// The term that it knows.
    pub term: u64,
    /// Who leads, as far as it knows.
    pub leader: Option<usize>,
    /// Its last entry.
    pub last: u64,
    /// How far it has applied.
    pub applied: u64,
    /// How far its files are right.
    pub projected: u64,
    /// Up to where its newest snapshot goes.
    pub snapshot: u64,
    /// Up to where its log is purged.
    pub purged: u64,
    /// Its files cannot be written.
    pub fs_degraded: bool,
    /// The cluster that it belongs to.
    pub cluster_id: Option<String>,
    /// Why it is in no cluster.
    pub waiting: Option<String>,
}

impl Status {
    /// Reads an answer of `/readyz`.
    pub fn of(http_status: u16, body: &Value) -> Self {
        let number = |pointer: &str| body.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        let text = |pointer: &str| body.pointer(pointer).and_then(Value::as_str);
        let leader = text("/cluster/leader_id");
        Self {
            ready: http_status == 200,
            leads: text("/cluster/role") == Some("leader"),
            term: number("/cluster/term"),
            leader: (0..NODES).find(|node| leader == Some(&name(*node))),
            last: number("/cluster/raft/last_log_index"),
            applied: number("/cluster/raft/applied_index"),
            projected: number("/cluster/fs/projected_index"),
            snapshot: number("/cluster/raft/snapshot_index"),
            purged: number("/cluster/raft/purged_index"),
            fs_degraded: body.get("fs_degraded").and_then(Value::as_bool).unwrap_or(false),
            cluster_id: text("/cluster/cluster_id").map(str::to_owned),
            waiting: text("/failing/0/detail").map(str::to_owned),
        }
    }
}
