//! Requests of the product that a follower passes on to the leader (spec §3.3). Bytes here: what they mean is the
//! product's business.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::network::{CallError, PeerClient, RpcFailure, RpcKind};
use crate::node::Node;

/// Requests on their way to one leader at a time. A peer carries out what comes over one connection in order, so each has a
/// connection of its own.
const LANES: usize = 32;

/// Answers what other nodes pass on.
pub trait Forwarded: Send + Sync + 'static {
    /// Carries out one request of the node `peer`. May be dropped by whoever waits, and then goes on or not.
    fn answer(&self, peer: &str, request: Bytes) -> BoxFuture<'static, Result<Bytes, RpcFailure>>;
}

/// Why there is no answer to a request that was passed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForwardError {
    /// It was not carried out.
    #[error("not passed on: {0}")]
    NotSent(String),
    /// It may have been carried out.
    #[error("no answer to what was passed on: {0}")]
    Unknown(String),
}

impl From<CallError> for ForwardError {
    fn from(error: CallError) -> Self {
        let text = error.to_string();
        match error {
            CallError::Unreachable { .. }
            | CallError::Refused(_)
            | CallError::TooLarge { .. }
            | CallError::Remote(
                RpcFailure::UnknownKind { .. }
                | RpcFailure::BadRequest { .. }
                | RpcFailure::NoClusterId
                | RpcFailure::Unavailable { .. },
            ) => Self::NotSent(text),
            CallError::Timeout
            | CallError::Disconnected { .. }
            | CallError::BadAnswer(_)
            | CallError::Remote(
                RpcFailure::TimedOut | RpcFailure::Internal { .. } | RpcFailure::Unrecognised,
            ) => Self::Unknown(text),
        }
    }
}

/// Connections for requests that are passed on, by the leader's name.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<HashMap<String, Arc<Pool>>>);

struct Pool {
    room: Semaphore,
    idle: Mutex<Vec<PeerClient>>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("room", &self.room.available_permits()).finish_non_exhaustive()
    }
}

impl Lanes {
    fn to(&self, name: &str) -> Arc<Pool> {
        let mut pools = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Pool { room: Semaphore::new(LANES), idle: Mutex::new(Vec::new()) });
        Arc::clone(pools.entry(name.to_owned()).or_insert_with(new))
    }
}

/// A connection in use; goes back when dropped.
struct Lane<'a> {
    pool: &'a Pool,
    client: Option<PeerClient>,
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            self.pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(client);
        }
    }
}

impl Node {
    /// Says who answers what other nodes pass on. Only the first one counts.
    pub fn serve_forwarded(&self, handler: Arc<dyn Forwarded>) {
        drop(self.shared.forwarded.set(handler));
    }

    /// Passes a request on to the node `leader`, and waits at most `within` for its answer.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub async fn forward(
        &self,
        leader: &str,
        request: Bytes,
        within: Duration,
    ) -> Result<Bytes, ForwardError> {
        self.pass(RpcKind::Forward, leader, request, within).await
    }

    /// One call over a connection that is kept for the next one.
    pub(crate) async fn pass(
        &self,
        kind: RpcKind,
        leader: &str,
        request: Bytes,
        within: Duration,
    ) -> Result<Bytes, ForwardError> {
        let pool = self.shared.lanes.to(leader);
        let Ok(Ok(_room)) = tokio::time::timeout(within, pool.room.acquire()).await else {
            return Err(ForwardError::NotSent("all connections to the leader are in use".to_owned()));
        };
        let idle = pool.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let client = idle.unwrap_or_else(|| self.shared.dialer.client(leader));
        let lane = Lane { pool: &pool, client: Some(client) };
        match &lane.client {
            Some(client) => Ok(client.call(kind, request, within).await?),
            None => Err(ForwardError::NotSent("no connection".to_owned())),
        }
    }
}
