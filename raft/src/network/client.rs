//! One peer as seen by this node: a connection made when first needed, and calls with deadlines.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::dial::{Binding, Dialer, Peer};
use super::hello::{Hello, Refusal};
use super::metrics::CallTimer;
use super::rpc::{RpcFailure, RpcKind};

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No connection; the request was not carried out.
    #[error("{reason}")]
    Unreachable {
        /// What failed.
        reason: String,
    },
    /// One side turned the connection down; the request was not carried out.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The deadline passed; the request may have been carried out.
    #[error("no answer in time")]
    Timeout,
    /// The connection ended before the answer; the request may have been carried out.
    #[error("the connection ended before the answer: {reason}")]
    Disconnected {
        /// Why it ended.
        reason: String,
    },
    /// The peer answered that it did not carry out the request.
    #[error(transparent)]
    Remote(RpcFailure),
    /// The request does not fit into a frame; nothing was sent.
    #[error("request of {size} bytes where {limit} are allowed")]
    TooLarge {
        /// Size of the payload.
        size: usize,
        /// Largest payload.
        limit: usize,
    },
    /// The answer does not decode: the peer carried out the request and speaks another dialect.
    #[error("the answer does not decode: {0}")]
    BadAnswer(String),
}

impl CallError {
    /// The value of the `reason` label in metrics.
    pub(super) fn label(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Refused(_) => "refused",
            Self::Timeout => "timeout",
            Self::Disconnected { .. } => "disconnected",
            Self::Remote(_) => "remote",
            Self::TooLarge { .. } => "too_large",
            Self::BadAnswer(_) => "bad_answer",
        }
    }
}

type Outcome = Option<Result<Arc<Connection>, CallError>>;

/// A connection that is coming up, is up, or failed: nothing yet, or the outcome.
#[derive(Debug)]
struct Attempt {
    binding: Binding,
    outcome: watch::Receiver<Outcome>,
}

impl Attempt {
    /// Whether it is worth waiting for or using, under what is true now.
    fn is_usable(&self, binding: &Binding) -> bool {
        self.binding == *binding
            && match &*self.outcome.borrow() {
                // The sender goes away without an outcome when the dialer shuts down.
                None => self.outcome.has_changed().is_ok(),
                Some(Ok(connection)) => connection.is_open(),
                Some(Err(_)) => false,
            }
    }
}

/// A client of one peer with a connection of its own. Calls may run at the same time; the peer carries
/// them out in order, so that traffic which must not wait for other traffic takes another client.
#[derive(Debug)]
pub struct PeerClient {
    dialer: Arc<Dialer>,
    peer: Peer,
    attempt: Mutex<Option<Attempt>>,
}

impl PeerClient {
    pub(super) fn new(dialer: Arc<Dialer>, peer: Peer) -> Self {
        Self { dialer, peer, attempt: Mutex::new(None) }
    }

    /// Name of the peer.
    pub fn name(&self) -> &str {
        &self.peer.name
    }

    /// Sends one request and waits at most `within` for the answer, dialling included. Dropping the
    /// future abandons the call and leaves the connection to others.
    pub async fn call(&self, kind: RpcKind, payload: Bytes, within: Duration) -> Result<Bytes, CallError> {
        let timer = CallTimer::start(kind);
        let deadline = Instant::now() + within;
        let result = match self.connection(deadline).await {
            Ok(connection) => connection.call(kind, payload, deadline).await,
            Err(error) => Err(error),
        };
        timer.finish(&result);
        result
    }

    /// [`Self::call`] with JSON bodies.
    pub async fn call_json<Req, Res>(
        &self,
        kind: RpcKind,
        request: &Req,
        within: Duration,
    ) -> Result<Res, CallError>
    where
        Req: Serialize + Sync,
        Res: DeserializeOwned,
    {
        let payload = super::rpc::encode_json(request).map_err(CallError::Remote)?;
        let answer = self.call(kind, payload, within).await?;
        serde_json::from_slice(&answer).map_err(|error| CallError::BadAnswer(error.to_string()))
    }

    /// What the peer says of itself, by the connection that is up or a new one, at most after `within`.
    ///
    /// # Errors
    /// Why there is no connection.
    pub async fn hello(&self, within: Duration) -> Result<Arc<Hello>, CallError> {
        Ok(self.connection(Instant::now() + within).await?.peer())
    }

    async fn connection(&self, deadline: Instant) -> Result<Arc<Connection>, CallError> {
        let mut outcome = self.current()?;
        let ended = || CallError::Unreachable { reason: "this node is shutting down".to_owned() };
        match timeout_at(deadline, outcome.wait_for(Option::is_some)).await {
            Err(_elapsed) => Err(CallError::Timeout),
            Ok(Err(_sender_gone)) => Err(ended()),
            Ok(Ok(outcome)) => outcome.clone().unwrap_or_else(|| Err(ended())),
        }
    }

    /// The attempt under way or the connection that is up; else a new attempt, if the peer may be tried.
    fn current(&self) -> Result<watch::Receiver<Outcome>, CallError> {
        let binding = self.dialer.binding(&self.peer.name)?;
        let mut attempt = self.attempt.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(current) = attempt.as_ref().filter(|current| current.is_usable(&binding)) {
            return Ok(current.outcome.clone());
        }
        self.dialer.may_dial(&self.peer)?;
        let (sender, outcome) = watch::channel(None);
        let (dialer, peer, under) = (Arc::clone(&self.dialer), self.peer.clone(), binding.clone());
        self.dialer.spawn(async move {
            // Without anybody left who wants it, the attempt stops.
            tokio::select! {
                result = dialer.dial(&peer, &under) => {
                    sender.send_replace(Some(result.map(Arc::new)));
                }
                () = sender.closed() => {}
            }
        });
        *attempt = Some(Attempt { binding, outcome: outcome.clone() });
        Ok(outcome)
    }
}
