//! The part that a node takes in a cluster, and how it comes to it.

use uuid::Uuid;

use crate::stage::Founding;

/// The part that this node is to take in a cluster.
pub(super) struct Part {
    /// Which cluster.
    pub(super) cluster_id: Uuid,
    /// Under which Raft id.
    pub(super) raft_id: u64,
    /// How it comes to it.
    pub(super) how: How,
}

/// How a node comes to its part.
pub(super) enum How {
    /// As one of those who form the cluster.
    Founder(Founding),
    /// Let in by the leader.
    Joiner {
        /// By this process, so that its log is still empty.
        now: bool,
    },
    /// It had it before.
    Member,
}

impl Part {
    /// Whether this node took the part before this process began.
    pub(super) fn took_part(&self) -> bool {
        match self.how {
            How::Founder(_) | How::Joiner { now: true } => false,
            How::Joiner { now: false } | How::Member => true,
        }
    }

    /// What is being founded, by a founder.
    pub(super) fn founding(&self) -> Option<&Founding> {
        match &self.how {
            How::Founder(founding) => Some(founding),
            How::Joiner { .. } | How::Member => None,
        }
    }
}
