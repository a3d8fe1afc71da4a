//! Every alias of openraft's generic types, in one place.

use std::fmt;
use std::io::Cursor;

use hellojohn_control::{Batch, Outcome, Reject};
use serde::{Deserialize, Serialize};

/// Results of the commands of one log entry, in their order.
pub type Applied = Vec<Result<Outcome, Reject>>;

/// What the Raft membership knows of a node: its name. Its address comes from configuration, so that a node
/// can move without a vote.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// `NODE_ID`.
    pub name: String,
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl crate::network::raft_network::PeerNamed for Member {
    fn peer_name(&self) -> &str {
        &self.name
    }
}

openraft::declare_raft_types!(
    /// The types that hellojohn replicates with.
    pub TypeConfig:
        D = Batch,
        R = Applied,
        NodeId = u64,
        Node = Member,
        Entry = openraft::Entry<TypeConfig>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = openraft::TokioRuntime,
);

/// The Raft node.
pub type Raft = openraft::Raft<TypeConfig>;
/// A log entry.
pub type Entry = openraft::Entry<TypeConfig>;
/// Term, leader and index of an entry.
pub type LogId = openraft::LogId<u64>;
/// A failure of the disk, fatal to the node.
pub type StorageError = openraft::StorageError<u64>;
/// A failure of the disk with what was being done.
pub type StorageIOError = openraft::StorageIOError<u64>;
/// The membership and where it stands in the log.
pub type StoredMembership = openraft::StoredMembership<u64, Member>;
/// What a snapshot contains.
pub type SnapshotMeta = openraft::SnapshotMeta<u64, Member>;
/// A snapshot and its content.
pub type Snapshot = openraft::Snapshot<TypeConfig>;
/// What Raft says about itself.
pub type Metrics = openraft::RaftMetrics<u64, Member>;
