//! What nodes ask of each other before there is a cluster. Unknown members are refused: a later release adds
//! a message, it does not change one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::settings::KeyFingerprints;

/// Where a node stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum Standing {
    /// Its `raft/` is empty and it is ready to found a cluster.
    Pristine,
    /// Its `raft/` is empty but `tenants/` or `keys/` are not: it founds nothing (spec §13.1).
    Orphaned,
    /// It has promised to join a cluster that is being formed.
    Promised {
        /// Which one.
        cluster_id: Uuid,
    },
    /// It has been given a Raft id in a cluster and has not caught up yet.
    Joining {
        /// In which one.
        cluster_id: Uuid,
    },
    /// It is a member.
    Member {
        /// Of which cluster.
        cluster_id: Uuid,
    },
}

/// What a node says about itself while a cluster forms; both the question and the answer of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub standing: Standing,
    /// Whether it carries `CLUSTER_BOOTSTRAP=1`.
    pub bootstrap: bool,
    /// Hash of its normalised `CLUSTER_NODES`.
    pub nodes_hash: String,
    /// Fingerprints of its master keys.
    pub fingerprints: KeyFingerprints,
}

/// Asks a node to promise that it will join exactly this cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromiseRequest {
    /// The node that forms the cluster.
    pub former: String,
    /// The cluster's id.
    pub cluster_id: Uuid,
    /// Raft id of every founder by name.
    pub members: BTreeMap<String, u64>,
    /// What the former says about itself, to be checked as in a probe.
    pub probe: Probe,
}

/// The answer to a promise request. Sent only after the promise is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum PromiseAnswer {
    /// The node will join this cluster and no other.
    Promised,
    /// It will not.
    Refused {
        /// Why, for a person.
        reason: String,
    },
}

/// Asks the leader to let this node in (spec §13.4): without an id to be given one, with it to be sent the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// What the joiner says about itself.
    pub probe: Probe,
    /// The Raft id that it was given and has on disk.
    pub raft_id: Option<u64>,
    /// Drawn by the joiner for its empty disk, so that asking again after a lost answer gives the same Raft id.
    pub admission: Option<Uuid>,
}

/// The answer to a join request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub enum JoinAnswer {
    /// The node may join under this id, and is a learner if it has said that it has the id on disk.
    Admitted {
        /// The cluster.
        cluster_id: Uuid,
        /// The node's Raft id.
        raft_id: u64,
        /// Which use of its name this is.
        incarnation: u64,
        /// The entry up to which it must have applied the log to serve.
        index: u64,
    },
    /// Somebody else must be asked.
    NotLeader {
        /// Who leads, where that is known.
        leader: Option<String>,
    },
    /// Not, or not now.
    Refused {
        /// Why, for a person.
        reason: String,
    },
}

/// The answer to a question for the applied index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedIndex {
    /// Index of the last entry that the node has applied.
    pub index: u64,
}
