//! Proposals: commands wait in a queue while the entry before them is on its way, then travel together in
//! one log entry, so that many writes share one sync of the disk.
//!
//! Owns what a caller may be told about a write. "Nothing was written" is said only before the command was
//! handed to Raft; whatever goes wrong afterwards leaves the outcome open.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::{Batch, Envelope, Outcome, Reject, limits};
use openraft::ServerState;
use openraft::error::{ClientWriteError, RaftError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use crate::machine::Views;
use crate::status;
use crate::types::{Member, Raft, TypeConfig};

/// Commands that may wait. Beyond, the node says it is overloaded instead of growing without bound.
const QUEUE: usize = 4096;
/// Bytes of commands that share an entry. An entry must travel to a follower within half the election minimum.
const BATCH_BYTES: usize = 512 * 1024;
/// Most time that an entry waits for more commands, see [`fill`].
const LONGEST_WAIT: Duration = Duration::from_millis(5);
/// An entry stops waiting when nothing has come for this long.
const QUIET: Duration = Duration::from_millis(1);
/// Bytes of one command, as it is written to the log. An entry beyond a frame between nodes would never reach a
/// follower, and nothing after it either.
const COMMAND_BYTES: usize = 4 * 1024 * 1024;

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
    bytes: usize,
    answer: oneshot::Sender<Answer>,
}

/// The queue in front of the log.
#[derive(Debug, Clone)]
pub struct Proposals {
    queue: mpsc::Sender<Waiting>,
    views: Views,
    timeout: Duration,
    turn: Arc<Semaphore>,
}

impl Proposals {
    /// The queue, and the work of writing what waits in it, which somebody must run. It ends when the last
    /// handle is gone.
    pub(crate) fn new(
        raft: Raft,
        views: Views,
        timeout: Duration,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let turn = Arc::new(Semaphore::new(1));
        (Self { queue, views, timeout, turn: Arc::clone(&turn) }, gather(raft, waiting, timeout, turn))
    }

    /// Waits for the entry that is on its way, and lets no other begin while the permit is held: commands wait in
    /// the queue. `None` when it takes longer than `within`.
    pub async fn pause(&self, within: Duration) -> Option<OwnedSemaphorePermit> {
        timeout(within, Arc::clone(&self.turn).acquire_owned()).await.ok()?.ok()
    }

    /// Proposes one command and waits for its outcome, at most the write timeout.
    ///
    /// # Errors
    /// See [`ProposeError`]; only [`ProposeError::OutcomeUnknown`] leaves open whether anything changed.
    pub async fn propose(&self, envelope: Envelope) -> Answer {
        // Before anything unknown to an older release is in the log. The state of a leader may be behind, never ahead.
        self.views.load().may_write(&envelope.command)?;
        let bytes = size(&envelope);
        if bytes > COMMAND_BYTES {
            let limit = u64::try_from(COMMAND_BYTES).unwrap_or(u64::MAX);
            return Err(Reject::LimitReached { what: "bytes of a command".to_owned(), limit }.into());
        }
        let (answer, outcome) = oneshot::channel();
        self.queue.try_send(Waiting { envelope, bytes, answer }).map_err(|_| ProposeError::Unavailable)?;
        match timeout(self.timeout, outcome).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(ProposeError::OutcomeUnknown),
        }
    }
}

/// Length of the command in the log.
fn size(envelope: &Envelope) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // What cannot be written is refused when it is written in earnest.
    match serde_json::to_writer(&mut count, envelope) {
        Ok(()) => count.0,
        Err(_) => usize::MAX,
    }
}

async fn gather(raft: Raft, mut queue: mpsc::Receiver<Waiting>, patience: Duration, turn: Arc<Semaphore>) {
    let mut received = Vec::with_capacity(limits::BATCH);
    let mut callers = 1;
    while queue.recv_many(&mut received, limits::BATCH).await > 0 {
        fill(&mut queue, &mut received, callers).await;
        let mut waiting: VecDeque<Waiting> = received
            .drain(..)
            // A caller that has given up has been told that the outcome is unknown; not writing it is one
            // of the two outcomes it must expect.
            .filter(|w| !w.answer.is_closed())
            .collect();
        let answered = waiting.len();
        while !waiting.is_empty() {
            // Never closed; whoever pauses the queue does so for a bounded time.
            let Ok(_turn) = turn.acquire().await else { return };
            // Some may have given up meanwhile.
            waiting.retain(|w| !w.answer.is_closed());
            if waiting.is_empty() {
                break;
            }
            let (items, answers) = portion(&mut waiting);
            if let Some(refusal) = refusal(&raft) {
                answer_all(answers, &refusal);
                continue;
            }
            metrics::histogram!("hellojohn_raft_batch_commands")
                .record(f64::from(u32::try_from(items.len()).unwrap_or(u32::MAX)));
            // Bounded: when a snapshot takes the place of an entry that was under way, openraft never says
            // what became of it, and those who come after must not wait for that.
            match timeout(patience, raft.client_write(Batch::new(items))).await {
                Ok(written) => deliver(written, answers),
                Err(_) => answer_all(answers, &ProposeError::OutcomeUnknown),
            }
        }
        callers = answered.saturating_add(queue.len());
    }
}

/// Waits until as many commands are there as there were callers a moment ago: those who were just answered tend to
/// come back. Each entry costs every node two messages and a sync, however many commands share it; entries that
/// are cut as soon as the one before is done would carry a third of the callers each. One caller alone never waits.
async fn fill<T>(queue: &mut mpsc::Receiver<T>, received: &mut Vec<T>, callers: usize) {
    let callers = callers.min(limits::BATCH);
    let end = Instant::now() + LONGEST_WAIT;
    while received.len() < callers {
        let until = end.min(Instant::now() + QUIET);
        let room = limits::BATCH - received.len();
        match timeout_at(until, queue.recv_many(received, room)).await {
            Ok(1..) => {}
            // The last handle is gone, or it is quiet.
            Ok(0) | Err(_) => return,
        }
    }
}

/// Takes the commands that share the next entry: at least one, and no more than its bytes.
fn portion(waiting: &mut VecDeque<Waiting>) -> (Vec<Envelope>, Vec<oneshot::Sender<Answer>>) {
    let mut bytes = 0_usize;
    let mut count = 0;
    for next in waiting.iter() {
        bytes = bytes.saturating_add(next.bytes);
        if count > 0 && bytes > BATCH_BYTES {
            break;
        }
        count += 1;
    }
    waiting.drain(..count).map(|w| (w.envelope, w.answer)).unzip()
}

/// Why nothing can be proposed here now. Asked before a command is handed to Raft, while it is still certain
/// that nothing was written.
fn refusal(raft: &Raft) -> Option<ProposeError> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow();
    match (&metrics.running_state, metrics.state) {
        (Err(fatal), _) => Some(ProposeError::Fatal(fatal.to_string())),
        (Ok(()), ServerState::Leader) => None,
        (
            Ok(()),
            ServerState::Learner | ServerState::Follower | ServerState::Candidate | ServerState::Shutdown,
        ) => Some(ProposeError::NotLeader { leader: status::leader_name(&metrics) }),
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
            tracing::info!(%error, "the outcome of a proposal is not known");
            answer_all(answers, &unresolved(&error));
        }
    }
}

fn answer_all(answers: Vec<oneshot::Sender<Answer>>, error: &ProposeError) {
    for answer in answers {
        drop(answer.send(Err(error.clone())));
    }
}

/// What a failed write means for those who asked for it. openraft says `ForwardToLeader` both for a write that
/// it never took and for an entry that it wrote and had to cut off again; the latter may be on other nodes and
/// win there. A node that fails or stops may have the entry on its disk.
fn unresolved(error: &RaftError<u64, ClientWriteError<u64, Member>>) -> ProposeError {
    match error {
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) | RaftError::Fatal(_) => {
            ProposeError::OutcomeUnknown
        }
        RaftError::APIError(ClientWriteError::ChangeMembershipError(error)) => {
            ProposeError::Fatal(error.to_string())
        }
    }
}

#[cfg(test)]
mod tests;
