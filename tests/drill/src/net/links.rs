//! What the proxies do with what passes through them, changed while they run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

/// State of all links between the nodes. From and to are meant as seen by a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    cut: BTreeSet<(usize, usize)>,
    /// Delay of everything, and how much more or less it may be.
    pub delay: Option<(Duration, Duration)>,
    /// Percentage of calls between nodes that fail, because the question or the answer vanishes.
    pub lost_calls: u8,
    /// Links whose connections end after so many bytes from the one who dialled.
    pub reset_after: Option<u64>,
    /// Bytes a second on each connection.
    pub bytes_per_second: Option<u64>,
}

impl State {
    /// Holds everything back from `from` to `to`.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.cut.insert((from, to));
    }

    /// Percentage of messages in one direction that vanish, so that `lost_calls` fail: half of those lose the question,
    /// and the rest the answer.
    pub fn lost_messages(&self, question: bool) -> u64 {
        let half = u64::from(self.lost_calls) / 2;
        if question { half } else { (half * 100).checked_div(100 - half).unwrap_or(0) }
    }

    /// Whether nothing passes from `from` to `to`.
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.contains(&(from, to))
    }
}

/// The state, shared with every proxy.
#[derive(Debug, Clone)]
pub struct Links {
    state: Arc<watch::Sender<State>>,
    struck: Arc<AtomicU64>,
}

impl Default for Links {
    fn default() -> Self {
        Self { state: Arc::new(watch::Sender::new(State::default())), struck: Arc::default() }
    }
}

impl Links {
    /// Changes the state at once.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        self.state.send_modify(change);
    }

    /// The state now.
    pub fn now(&self) -> State {
        self.state.borrow().clone()
    }

    /// A proxy ended a connection or lost a message.
    pub(super) fn strike(&self) {
        self.struck.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections ended and messages lost so far.
    pub fn struck(&self) -> u64 {
        self.struck.load(Ordering::Relaxed)
    }

    /// Waits until something passes from `from` to `to`.
    pub async fn open(&self, from: usize, to: usize) {
        let mut watched = self.state.subscribe();
        // The sender lives as long as this value.
        let _open = watched.wait_for(|state| !state.is_cut(from, to)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_together_lose_what_was_asked_for() {
        let state = State { lost_calls: 50, ..State::default() };
        let (question, answer) = (state.lost_messages(true), state.lost_messages(false));
        let pass = (100 - question) * (100 - answer) / 100;
        assert!((49..=51).contains(&pass), "{pass}");
        assert_eq!(State::default().lost_messages(true), 0);
    }
}
