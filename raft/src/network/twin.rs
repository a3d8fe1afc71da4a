//! Two connections to one peer, for calls that may be carried out twice.
//!
//! A byte that is lost holds up everything behind it on its connection, for as long as the kernel takes to send it
//! again: 200 ms at first, and twice as long each further time. A call that lasts longer than its peer usually takes is
//! therefore made again over the other connection, and the first answer counts, whichever it is. Nothing is given up
//! for that: the first question is still under way, so a peer whose disk stalls is not asked for ever without being
//! listened to. See [`super::patience`] for when, and decision 0017.
//!
//! The peer may carry out the questions of the two connections in either order. Whoever calls must be able to bear that.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

use super::client::{CallError, PeerClient};
use super::metrics::count_repeated;
use super::patience::Patience;
use super::rpc::RpcKind;

/// See the module.
#[derive(Debug)]
pub(super) struct Twin {
    connections: [PeerClient; 2],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    patience: Patience,
    /// Whether the next call begins with the second connection: the last answer came over it, or a call that got none
    /// began with the first.
    second: bool,
}

impl Twin {
    /// Two clients of the same peer. Does not connect; the second does when it is first needed.
    pub(super) fn new(connections: [PeerClient; 2]) -> Self {
        Self { connections, state: Mutex::default() }
    }

    /// Name of the peer.
    pub(super) fn name(&self) -> &str {
        let [first, _] = &self.connections;
        first.name()
    }

    /// Sends one request, again where the answer is late, and waits at most `within` for the first answer.
    pub(super) async fn call(
        &self,
        kind: RpcKind,
        payload: Bytes,
        within: Duration,
    ) -> Result<Bytes, CallError> {
        let deadline = Instant::now() + within;
        let (mut second, mut wait) = self.with(|state| {
            let begin = state.second;
            state.second = !begin;
            (begin, state.patience.wait(payload.len()))
        });
        let mut asked = FuturesUnordered::new();
        loop {
            asked.push(self.ask(second, kind, payload.clone(), deadline));
            let again = deadline.min(Instant::now() + wait);
            while let Ok(Some(result)) = timeout_at(again, asked.next()).await {
                // A question that failed leaves the others to wait for.
                if result.is_ok() || asked.is_empty() {
                    return result;
                }
            }
            if Instant::now() >= deadline {
                return Err(CallError::Timeout);
            }
            self.with(|state| state.patience.unanswered());
            count_repeated(kind);
            (second, wait) = (!second, wait.saturating_mul(2));
        }
    }

    async fn ask(
        &self,
        second: bool,
        kind: RpcKind,
        payload: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, CallError> {
        let asked = Instant::now();
        let [first_connection, second_connection] = &self.connections;
        let connection = if second { second_connection } else { first_connection };
        let result = connection.call(kind, payload, deadline.saturating_duration_since(asked)).await;
        if result.is_ok() {
            self.with(|state| {
                state.patience.answered(asked.elapsed());
                state.second = second;
            });
        }
        result
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
