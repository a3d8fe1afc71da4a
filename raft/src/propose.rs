//! Proposals: commands wait in a queue while the entry before them is on its way, then travel together in
//! one log entry, so that many writes share one sync of the disk.

use std::time::Duration;

use hellojohn_control::{Batch, Envelope, Outcome, Reject, limits};
use openraft::error::{ClientWriteError, ForwardToLeader, RaftError};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::types::{Member, Raft, TypeConfig};

/// Commands that may wait. Beyond, the node says it is overloaded instead of growing without bound.
const QUEUE: usize = 4096;

/// Why a proposal has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// This node is not the leader. Nothing was written.
    #[error("this node is not the leader")]
    NotLeader {
        /// Name of the leader, where one is known.
        leader: Option<String>,
    },
    /// The machine refused the command; the entry counts as applied and changed nothing.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// No leader can be reached, or the queue is full. Nothing was written.
    #[error("no leader with a quorum is known")]
    Unavailable,
    /// The command was proposed and its outcome is not known: it may take effect yet.
    #[error("the outcome of the write is not known")]
    OutcomeUnknown,
    /// The node has failed and is about to stop.
    #[error("this node has failed: {0}")]
    Fatal(String),
}

/// What a command did, and at which log index.
#[derive(Debug, Clone)]
pub struct Proposed {
    /// Index of the log entry that carried the command.
    pub index: u64,
    /// What it did.
    pub outcome: Outcome,
}

type Answer = Result<Proposed, ProposeError>;

struct Waiting {
    envelope: Envelope,
    answer: oneshot::Sender<Answer>,
}

/// The queue in front of the log.
#[derive(Debug, Clone)]
pub struct Proposals {
    queue: mpsc::Sender<Waiting>,
    timeout: Duration,
}

impl Proposals {
    /// Starts the task that gathers proposals and writes them. It ends when the last handle is gone.
    pub fn start(raft: Raft, timeout: Duration) -> (Self, JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let task = tokio::spawn(gather(raft, waiting));
        (Self { queue, timeout }, task)
    }

    /// Proposes one command and waits for its outcome, at most the write timeout.
    ///
    /// # Errors
    /// See [`ProposeError`]; only [`ProposeError::OutcomeUnknown`] leaves open whether anything changed.
    pub async fn propose(&self, envelope: Envelope) -> Answer {
        let (answer, outcome) = oneshot::channel();
        self.queue.try_send(Waiting { envelope, answer }).map_err(|_| ProposeError::Unavailable)?;
        match tokio::time::timeout(self.timeout, outcome).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(ProposeError::OutcomeUnknown),
        }
    }
}

async fn gather(raft: Raft, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(limits::BATCH);
    while queue.recv_many(&mut waiting, limits::BATCH).await > 0 {
        let (items, answers): (Vec<_>, Vec<_>) = waiting
            .drain(..)
            // A caller that has given up has been told that the outcome is unknown; not writing it is one
            // of the two outcomes it must expect.
            .filter(|w| !w.answer.is_closed())
            .map(|w| (w.envelope, w.answer))
            .unzip();
        if items.is_empty() {
            continue;
        }
        metrics::histogram!("hellojohn_raft_batch_commands")
            .record(f64::from(u32::try_from(items.len()).unwrap_or(u32::MAX)));
        let written = raft.client_write(Batch::new(items)).await;
        deliver(written, answers);
    }
}

type Written =
    Result<openraft::raft::ClientWriteResponse<TypeConfig>, RaftError<u64, ClientWriteError<u64, Member>>>;

fn deliver(written: Written, answers: Vec<oneshot::Sender<Answer>>) {
    match written {
        Ok(response) => {
            let index = response.log_id.index;
            for (answer, result) in answers.into_iter().zip(response.data) {
                let result =
                    result.map(|outcome| Proposed { index, outcome }).map_err(ProposeError::Rejected);
                // The caller may have given up; nobody else wants the answer.
                drop(answer.send(result));
            }
        }
        Err(error) => {
            let error = translate(error);
            for answer in answers {
                drop(answer.send(Err(error.clone())));
            }
        }
    }
}

fn translate(error: RaftError<u64, ClientWriteError<u64, Member>>) -> ProposeError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(ForwardToLeader { leader_node, .. })) => {
            ProposeError::NotLeader { leader: leader_node.map(|node| node.name) }
        }
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
            ProposeError::Fatal(error.to_string())
        }
        RaftError::Fatal(fatal) => ProposeError::Fatal(fatal.to_string()),
    }
}
