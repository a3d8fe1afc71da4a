//! The content of the marker and its rules.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The format written by this release.
pub const FORMAT_VERSION: u64 = 1;

const MAX_NAME: usize = 255;
const MAX_NODES: usize = 64;

/// How far this disk is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Belongs to no cluster and has promised nothing.
    Pristine,
    /// Has promised to join exactly one cluster that is being formed (spec §13.2).
    Promised,
    /// Has been given a Raft id in a cluster and has not caught up with it yet (spec §13.4).
    Joining,
    /// Is or was a member; it never forms a cluster again.
    Member,
}

/// What a node promised while a cluster forms.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promise {
    /// The cluster it will join, and no other.
    pub cluster_id: String,
    /// Name of the node that forms it.
    pub formed_by: String,
    /// Raft id of every node of the new cluster, by name.
    pub raft_ids: BTreeMap<String, u64>,
}

/// The marker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    format_version: u64,
    /// `NODE_ID` of the node this disk belongs to.
    pub node_name: String,
    /// Which use of this name it is; counts up when a wiped node rejoins. 0 before it joined anything.
    pub incarnation: u64,
    pub state: Standing,
    /// The Raft id; never used twice in a cluster.
    pub raft_id: Option<u64>,
    pub cluster_id: Option<String>,
    pub promise: Option<Promise>,
}

impl Identity {
    /// The marker of a disk that was never used.
    pub(super) fn pristine(node_name: &str) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            node_name: node_name.to_owned(),
            incarnation: 0,
            state: Standing::Pristine,
            raft_id: None,
            cluster_id: None,
            promise: None,
        }
    }

    pub(super) fn promised(&self, promise: Promise) -> Self {
        Self { state: Standing::Promised, promise: Some(promise), ..Self::pristine(&self.node_name) }
    }

    pub(super) fn joining(&self, cluster_id: &str, raft_id: u64, incarnation: u64) -> Self {
        Self { state: Standing::Joining, ..self.member(cluster_id, raft_id, incarnation) }
    }

    pub(super) fn member(&self, cluster_id: &str, raft_id: u64, incarnation: u64) -> Self {
        Self {
            state: Standing::Member,
            raft_id: Some(raft_id),
            cluster_id: Some(cluster_id.to_owned()),
            incarnation,
            ..Self::pristine(&self.node_name)
        }
    }

    /// Whether the fields fit together; the text says what does not.
    pub(super) fn check(&self) -> Result<(), String> {
        check_name("node_name", &self.node_name)?;
        if let Some(cluster_id) = &self.cluster_id {
            check_name("cluster_id", cluster_id)?;
        }
        match (self.state, self.raft_id, &self.cluster_id, &self.promise) {
            (Standing::Pristine, None, None, None)
            | (Standing::Joining | Standing::Member, Some(_), Some(_), None) => Ok(()),
            (Standing::Promised, None, None, Some(promise)) => promise.check(&self.node_name),
            (Standing::Pristine, ..) => {
                Err("state pristine excludes raft_id, cluster_id and promise".to_owned())
            }
            (Standing::Promised, ..) => {
                Err("state promised needs a promise and excludes raft_id and cluster_id".to_owned())
            }
            (Standing::Joining | Standing::Member, ..) => {
                Err("states joining and member need raft_id and cluster_id and no promise".to_owned())
            }
        }
    }
}

impl Promise {
    fn check(&self, node_name: &str) -> Result<(), String> {
        check_name("promise.cluster_id", &self.cluster_id)?;
        if self.raft_ids.len() > MAX_NODES {
            return Err(format!(
                "promise.raft_ids has {} nodes, the limit is {MAX_NODES}",
                self.raft_ids.len()
            ));
        }
        for name in self.raft_ids.keys() {
            check_name("promise.raft_ids", name)?;
        }
        let mut ids: Vec<u64> = self.raft_ids.values().copied().collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.len() != self.raft_ids.len() {
            return Err("promise.raft_ids gives one raft id to two nodes".to_owned());
        }
        for (field, name) in [("this node", node_name), ("promise.formed_by", self.formed_by.as_str())] {
            if !self.raft_ids.contains_key(name) {
                return Err(format!("promise.raft_ids lacks {field} {name:?}"));
            }
        }
        Ok(())
    }
}

fn check_name(field: &str, name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(format!("{field} must be 1 to {MAX_NAME} bytes without control characters"));
    }
    Ok(())
}
