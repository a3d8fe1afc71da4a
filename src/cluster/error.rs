//! Why a proposal has no outcome, in words that do not change with the replication library.

use hellojohn_control::Reject;

/// Why a proposal has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// This node does not lead. Nothing was written.
    #[error("this node is not the leader")]
    NotLeader {
        /// Node id of the leader, where one is known.
        leader: Option<String>,
    },
    /// The command was refused by the state; nothing was written.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// No leader with a quorum is known. Nothing was written.
    #[error("no leader with a quorum is known")]
    Unavailable,
    /// The command may or may not take effect.
    #[error("the outcome of the write is not known")]
    OutcomeUnknown,
    /// The node has failed.
    #[error("this node has failed: {0}")]
    Fatal(String),
}

impl From<hellojohn_raft::ProposeError> for ProposeError {
    fn from(error: hellojohn_raft::ProposeError) -> Self {
        use hellojohn_raft::ProposeError as Raft;
        match error {
            Raft::NotLeader { leader } => ProposeError::NotLeader { leader },
            Raft::Rejected(reject) => ProposeError::Rejected(reject),
            Raft::Unavailable => ProposeError::Unavailable,
            Raft::OutcomeUnknown => ProposeError::OutcomeUnknown,
            Raft::Fatal(why) => ProposeError::Fatal(why),
        }
    }
}
