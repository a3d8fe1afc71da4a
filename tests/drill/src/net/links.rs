//! What the proxies do with what passes through them, changed while they run.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// State of all links between the nodes. From and to are meant as seen by a packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    cut: BTreeSet<(usize, usize)>,
    /// Delay of everything, and how much more or less it may be.
    pub delay: Option<(Duration, Duration)>,
    /// Percentage of Raft messages that vanish.
    pub lost_messages: u8,
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

    /// Whether nothing passes from `from` to `to`.
    pub fn is_cut(&self, from: usize, to: usize) -> bool {
        self.cut.contains(&(from, to))
    }
}

/// The state, shared with every proxy.
#[derive(Debug, Clone)]
pub struct Links(Arc<watch::Sender<State>>);

impl Default for Links {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }
}

impl Links {
    /// Changes the state at once.
    pub fn change(&self, change: impl FnOnce(&mut State)) {
        self.0.send_modify(change);
    }

    /// The state now.
    pub fn now(&self) -> State {
        self.0.borrow().clone()
    }

    /// Waits until something passes from `from` to `to`.
    pub async fn open(&self, from: usize, to: usize) {
        let mut watched = self.0.subscribe();
        // The sender lives as long as this value.
        let _open = watched.wait_for(|state| !state.is_cut(from, to)).await;
    }
}
