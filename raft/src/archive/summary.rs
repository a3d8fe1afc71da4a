//! What an archive tells of itself to people and programs. Never a document of it.

use hellojohn_control::{ImageError, Timestamp};
use serde::Serialize;

use super::Archive;
use crate::snapshot::FORMAT_VERSION;

/// A member as of the archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberSummary {
    /// `NODE_ID`.
    pub name: String,
    /// Its Raft id; none while it was added and had not come.
    pub raft_id: Option<u64>,
    /// How often the name has come back with an empty disk, from 1.
    pub incarnation: u64,
    /// Whether it had a vote.
    pub voter: bool,
}

/// What is in an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The cluster it is of; absent for a state before any cluster.
    pub cluster_id: Option<String>,
    /// Index of the last entry inside.
    pub index: u64,
    /// Term of that entry.
    pub term: u64,
    /// When it was made, by the clock of who made it.
    pub created_at: Timestamp,
    /// Who was a member.
    pub members: Vec<MemberSummary>,
    /// Number of tenants.
    pub tenants: usize,
    /// Number of clients of all tenants.
    pub clients: usize,
    /// Number of signing keys, global and of tenants.
    pub keys: usize,
    /// Version of the file format.
    pub format_version: u16,
    /// SHA-256 of the state: the same on every node at the same index of the same cluster.
    pub state_hash: String,
}

impl Archive {
    /// What is in it.
    ///
    /// # Errors
    /// When the state cannot be encoded, which an archive that was read always can.
    pub fn summary(&self) -> Result<Summary, ImageError> {
        let image = &self.image;
        let membership = self.meta.last_membership.membership();
        let formation = image.formation.as_deref();
        let members = formation.into_iter().flat_map(|formation| &formation.members);
        Ok(Summary {
            cluster_id: super::cluster_id(image),
            index: self.index(),
            term: self.meta.last_log_id.map_or(0, |id| id.leader_id.term),
            created_at: self.created_at,
            members: members
                .map(|(name, member)| MemberSummary {
                    name: name.clone(),
                    raft_id: member.raft_id,
                    incarnation: member.incarnation,
                    voter: membership.voter_ids().any(|id| Some(id) == member.raft_id),
                })
                .collect(),
            tenants: image.tenants.len(),
            clients: image.tenants.iter().map(|tenant| tenant.clients.len()).sum(),
            keys: image.global_keys.len()
                + image.tenants.iter().map(|tenant| tenant.keys.len()).sum::<usize>(),
            format_version: FORMAT_VERSION,
            state_hash: image.hash()?,
        })
    }
}
