//! Reads that see every write which was acknowledged before they began (Ongaro's dissertation, section 6.4).
//!
//! The leader asks a quorum whether it still leads, and names the entry that was committed by then; whoever has applied
//! that entry may answer. Readers who come while it is asked share the next round, on the leader and on each follower.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::network::{RpcKind, decode_json, encode_json};
use crate::node::Node;
use crate::propose::ProposeError;
use crate::running::Running;
use crate::shared::Shared;
use crate::types::Raft;

/// How long a round may take. A leader that cannot reach a quorum is told so later than it gives up by itself.
const ROUND: Duration = Duration::from_secs(1);
/// How long to wait before a leader is looked for again.
const AGAIN: Duration = Duration::from_millis(20);

/// What the leader answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum ReadAnswer {
    /// Whoever has applied this entry may answer.
    At {
        /// The entry.
        index: u64,
    },
    /// It does not lead, or no quorum says so.
    NotLeader,
}

/// A question to the quorum that was answered.
#[derive(Debug, Clone, Copy)]
struct Round {
    began: Instant,
    index: u64,
}

/// The rounds of a leader, one at a time.
#[derive(Debug)]
pub(crate) struct Rounds {
    turn: Semaphore,
    last: Mutex<Option<Round>>,
}

impl Default for Rounds {
    fn default() -> Self {
        Self { turn: Semaphore::new(1), last: Mutex::new(None) }
    }
}

impl Rounds {
    /// The entry that a read which begins now must see, as `ask` says or has said to another read since; `None` where
    /// nobody can tell.
    async fn index(&self, ask: impl Future<Output = Option<u64>>) -> Option<u64> {
        let asked = Instant::now();
        // Bounded: every round is.
        let _turn = self.turn.acquire().await.ok()?;
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(round) = last.filter(|round| round.began >= asked) {
            return Some(round.index);
        }
        let began = Instant::now();
        let index = ask.await?;
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Round { began, index });
        Some(index)
    }
}

/// Asks a quorum whether this node leads.
async fn confirm(raft: &Raft) -> Option<u64> {
    let (read, _) = timeout(ROUND, raft.get_read_log_id()).await.ok()?.ok()?;
    Some(read.map_or(0, |id| id.index))
}

/// Answers a peer that wants to read.
pub(crate) async fn answer(shared: &Shared, running: &Running) -> ReadAnswer {
    if shared.check_leader(running).is_err() {
        return ReadAnswer::NotLeader;
    }
    match running.reads.index(confirm(&running.raft)).await {
        Some(index) => ReadAnswer::At { index },
        None => ReadAnswer::NotLeader,
    }
}

impl Node {
    /// Waits until this node may answer a read that sees every write which was acknowledged before, at most `within`.
    ///
    /// # Errors
    /// [`ProposeError::Unavailable`] when no leader with a quorum was found in time.
    pub async fn linearize(&self, within: Duration) -> Result<(), ProposeError> {
        let deadline = Instant::now() + within;
        loop {
            match timeout_at(deadline, self.read_index()).await {
                Ok(Some(index)) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    let applied = self.wait_applied(index, left).await;
                    return if applied { Ok(()) } else { Err(ProposeError::Unavailable) };
                }
                Ok(None) if Instant::now() < deadline => {}
                Ok(None) | Err(_) => return Err(ProposeError::Unavailable),
            }
            // The leader may just be changing.
            sleep(AGAIN).await;
        }
    }

    async fn read_index(&self) -> Option<u64> {
        let shared = &self.shared;
        let running = shared.running.load_full()?;
        match shared.check_leader(&running) {
            Ok(()) => running.reads.index(confirm(&running.raft)).await,
            Err(ProposeError::NotLeader { leader: Some(leader) }) => {
                running.reads.index(self.ask_leader(&leader)).await
            }
            Err(_) => None,
        }
    }

    async fn ask_leader(&self, leader: &str) -> Option<u64> {
        let question = encode_json(&()).ok()?;
        let answer = self.pass(RpcKind::ReadIndex, leader, question, ROUND).await.ok()?;
        match decode_json(&answer).ok()? {
            ReadAnswer::At { index } => Some(index),
            ReadAnswer::NotLeader => None,
        }
    }
}
