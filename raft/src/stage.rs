//! How far this disk is bound to a cluster, as the node works with it.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::identity::{Identity, Standing};
use crate::network::Seat;

/// How far this disk is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It belongs to no cluster and has promised nothing.
    Pristine,
    /// It has promised to join a cluster that is being formed.
    Promised(Founding),
    /// It has been given a Raft id and has not caught up yet.
    Joining {
        /// In which cluster.
        cluster_id: Uuid,
        /// Under which Raft id.
        raft_id: u64,
    },
    /// It is a member.
    Member {
        /// Of which cluster.
        cluster_id: Uuid,
        /// Under which Raft id.
        raft_id: u64,
    },
}

/// A cluster that is being formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Founding {
    /// Its id.
    pub(crate) cluster_id: Uuid,
    /// The node that forms it.
    pub(crate) former: String,
    /// Raft id of every founder by name.
    pub(crate) members: BTreeMap<String, u64>,
}

impl Stage {
    /// What the marker says; a text when it does not make sense.
    pub(crate) fn of(identity: &Identity) -> Result<Self, String> {
        let uuid = |text: &str| {
            Uuid::parse_str(text).map_err(|_| format!("raft/identity.json: cluster id {text:?} is no UUID"))
        };
        match (identity.state, &identity.promise, &identity.cluster_id, identity.raft_id) {
            (Standing::Promised, Some(promise), _, _) => Ok(Stage::Promised(Founding {
                cluster_id: uuid(&promise.cluster_id)?,
                former: promise.formed_by.clone(),
                members: promise.raft_ids.clone(),
            })),
            (Standing::Member, _, Some(cluster_id), Some(raft_id)) => {
                Ok(Stage::Member { cluster_id: uuid(cluster_id)?, raft_id })
            }
            (Standing::Joining, _, Some(cluster_id), Some(raft_id)) => {
                Ok(Stage::Joining { cluster_id: uuid(cluster_id)?, raft_id })
            }
            (Standing::Pristine, _, _, _) => Ok(Stage::Pristine),
            (Standing::Promised | Standing::Joining | Standing::Member, _, _, _) => {
                Err("raft/identity.json: the members do not fit together".to_owned())
            }
        }
    }

    /// The cluster that this disk is bound to.
    pub(crate) fn cluster_id(&self) -> Option<Uuid> {
        match self {
            Stage::Pristine => None,
            Stage::Promised(founding) => Some(founding.cluster_id),
            Stage::Joining { cluster_id, .. } | Stage::Member { cluster_id, .. } => Some(*cluster_id),
        }
    }

    /// Where the node of this name belongs, for its peers.
    pub(crate) fn seat(&self, name: &str) -> Option<Seat> {
        let raft_id = match self {
            Stage::Pristine => None,
            Stage::Promised(founding) => founding.members.get(name).copied(),
            Stage::Joining { raft_id, .. } | Stage::Member { raft_id, .. } => Some(*raft_id),
        };
        Some(Seat { cluster_id: self.cluster_id()?.to_string(), raft_id: raft_id? })
    }
}
