//! Many calls on one stream: requests go out in order, answers are paired by id.
//!
//! A call that runs out of time leaves the connection standing, and its late answer is dropped on arrival:
//! on a slow link, where every call may be late, dialling anew each time would never get anywhere. Only
//! when nothing at all has come in for [`ConnectionLimits::stall`] is the link taken for dead and cut.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::client::CallError;
use super::frame::{Frame, FrameError, HEAD, MAX_FRAME, ReadTimes, Tag, read_frame, write_frame};
use super::hello::{Hello, Refusal};
use super::rpc::{RpcFailure, RpcKind};
use super::stream::Io;

/// Requests without an answer that one connection remembers, late ones included.
const MAX_PENDING: usize = 256;

/// Requests waiting for the writer.
const QUEUE: usize = 32;

/// Time for a polite end of the stream.
const GOODBYE: Duration = Duration::from_millis(100);

/// Times of one connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionLimits {
    /// A connection without traffic for this long is closed.
    pub(super) idle: Duration,
    /// One frame, from its first byte to its last.
    pub(super) frame: Duration,
    /// A call ran out of time and nothing came in for this long: the link is dead.
    pub(super) stall: Duration,
}

type Pending = HashMap<u32, oneshot::Sender<Result<Bytes, RpcFailure>>>;

#[derive(Debug)]
struct State {
    pending: Pending,
    next_id: u32,
    /// When something last came in, or when the first of the pending requests was made.
    alive_at: Instant,
    closed: Option<String>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    stop: CancellationToken,
    stall: Duration,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the link if it is dead.
    fn suspect(&self) {
        let silence = self.state().alive_at.elapsed();
        if silence >= self.stall {
            self.stop.cancel();
        }
    }

    fn close(&self, reason: String) {
        let mut state = self.state();
        state.closed.get_or_insert(reason);
        state.pending.clear();
    }
}

/// A connection that is up. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Connection {
    peer: Arc<Hello>,
    queue: mpsc::Sender<Frame>,
    shared: Arc<Shared>,
    _stop_on_drop: DropGuard,
}

/// What the background task of a connection needs.
pub(super) struct Driver {
    io: Box<dyn Io>,
    queue: mpsc::Receiver<Frame>,
    shared: Arc<Shared>,
    limits: ConnectionLimits,
}

/// A connection over a stream on which both have said hello, and the driver that must run for it to work. `stop` ends it
/// from outside.
pub(super) fn over(
    io: Box<dyn Io>,
    peer: Hello,
    limits: ConnectionLimits,
    stop: CancellationToken,
) -> (Connection, Driver) {
    let (sender, queue) = mpsc::channel(QUEUE);
    let state = State { pending: HashMap::new(), next_id: 1, alive_at: Instant::now(), closed: None };
    let shared = Arc::new(Shared { state: Mutex::new(state), stop: stop.clone(), stall: limits.stall });
    let connection = Connection {
        peer: Arc::new(peer),
        queue: sender,
        shared: Arc::clone(&shared),
        _stop_on_drop: stop.drop_guard(),
    };
    (connection, Driver { io, queue, shared, limits })
}

/// A call that ended without an answer asks, however it ended, whether the link is dead.
struct InFlight<'a> {
    shared: &'a Shared,
    answered: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.answered {
            self.shared.suspect();
        }
    }
}

impl Connection {
    /// What the peer said first.
    pub(super) fn peer(&self) -> Arc<Hello> {
        Arc::clone(&self.peer)
    }

    /// Whether calls may still be made.
    pub(super) fn is_open(&self) -> bool {
        !self.queue.is_closed() && !self.shared.stop.is_cancelled()
    }

    /// Makes one call. Safe to drop at any point.
    pub(super) async fn call(
        &self,
        kind: RpcKind,
        payload: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, CallError> {
        if payload.len() > MAX_FRAME - HEAD {
            return Err(CallError::TooLarge { size: payload.len(), limit: MAX_FRAME - HEAD });
        }
        let place = match timeout_at(deadline, self.queue.reserve()).await {
            Ok(Ok(place)) => place,
            Ok(Err(_closed)) => return Err(CallError::Unreachable { reason: self.reason() }),
            Err(_elapsed) => {
                self.shared.suspect();
                return Err(CallError::Timeout);
            }
        };
        let answer = self.enqueue(place, kind, payload)?;
        let mut in_flight = InFlight { shared: &self.shared, answered: false };
        match timeout_at(deadline, answer).await {
            Ok(Ok(result)) => {
                in_flight.answered = true;
                result.map_err(CallError::Remote)
            }
            Ok(Err(_closed)) => Err(CallError::Disconnected { reason: self.reason() }),
            Err(_elapsed) => Err(CallError::Timeout),
        }
    }

    /// Numbers the request and gives it to the writer. Both under one lock: the numbers are in the order of the stream.
    fn enqueue(
        &self,
        place: mpsc::Permit<'_, Frame>,
        kind: RpcKind,
        payload: Bytes,
    ) -> Result<oneshot::Receiver<Result<Bytes, RpcFailure>>, CallError> {
        let mut state = self.shared.state();
        if let Some(reason) = &state.closed {
            return Err(CallError::Unreachable { reason: reason.clone() });
        }
        if state.pending.len() >= MAX_PENDING {
            drop(state);
            self.shared.suspect();
            let reason = format!("{MAX_PENDING} requests are without an answer");
            return Err(CallError::Unreachable { reason });
        }
        if state.pending.is_empty() {
            state.alive_at = Instant::now();
        }
        let id = state.next_id;
        state.next_id = state.next_id.wrapping_add(1);
        let (sender, receiver) = oneshot::channel();
        state.pending.insert(id, sender);
        place.send(Frame { tag: Tag::Request(kind.number()), id, payload });
        Ok(receiver)
    }

    /// Why a request was not answered, or not sent.
    fn reason(&self) -> String {
        let reason = self.shared.state().closed.clone();
        reason.unwrap_or_else(|| "the connection is ending, or the peer passed the request over".to_owned())
    }
}

impl Driver {
    /// Moves frames until the connection ends; then fails whatever waits for an answer. Gives the refusal with which the
    /// peer ended it, if that is how it ended.
    pub(super) async fn run(self) -> Option<Refusal> {
        let Self { io, mut queue, shared, limits } = self;
        let (reader, mut writer) = tokio::io::split(io);
        let mut refusal = None;
        let reason = tokio::select! {
            ended = receive(BufReader::new(reader), &shared, limits) => {
                let reason = ended.to_string();
                if let Ended::Refused(refused) = ended {
                    refusal = Some(refused);
                }
                reason
            }
            ended = send(&mut queue, &mut writer, limits.frame) => match ended {
                Ok(()) => "no longer needed".to_owned(),
                Err(error) => error.to_string(),
            },
            () = shared.stop.cancelled() => "cut by this node".to_owned(),
        };
        tracing::debug!(reason, "peer connection ended");
        queue.close();
        shared.close(reason);
        let _best_effort = timeout(GOODBYE, writer.shutdown()).await;
        refusal
    }
}

async fn send<W>(queue: &mut mpsc::Receiver<Frame>, writer: &mut W, whole: Duration) -> Result<(), FrameError>
where
    W: AsyncWrite + Unpin,
{
    while let Some(frame) = queue.recv().await {
        write_frame(writer, frame, MAX_FRAME, whole).await?;
    }
    Ok(())
}

/// Whether the request `id` was made before `other`: they are numbered in their order, and start again at 0.
fn is_before(id: u32, other: u32) -> bool {
    other.wrapping_sub(id).wrapping_sub(1) < u32::MAX / 2
}

/// Why receiving ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("the peer ended the connection: {0}")]
    Refused(Refusal),
    #[error("the peer broke the protocol: {0}")]
    Protocol(&'static str),
}

async fn receive<R>(mut reader: R, shared: &Shared, limits: ConnectionLimits) -> Ended
where
    R: AsyncRead + Unpin,
{
    let times = ReadTimes { idle: limits.idle, whole: limits.frame };
    loop {
        let frame = match read_frame(&mut reader, MAX_FRAME, times).await {
            Ok(frame) => frame,
            Err(error) => return error.into(),
        };
        let result = match frame.tag {
            Tag::Answer => Ok(frame.payload),
            Tag::Failure => Err(serde_json::from_slice(&frame.payload).unwrap_or(RpcFailure::Unrecognised)),
            Tag::Refusal => {
                let refusal = serde_json::from_slice(&frame.payload).unwrap_or(Refusal::Unrecognised);
                return Ended::Refused(refusal);
            }
            Tag::Hello | Tag::Request(_) => return Ended::Protocol("neither answer nor failure"),
        };
        let mut state = shared.state();
        state.alive_at = Instant::now();
        let Some(waiting) = state.pending.remove(&frame.id) else {
            return Ended::Protocol("an answer to nothing");
        };
        // Questions are answered in their order: what was asked before and has no answer now will never have one.
        state.pending.retain(|id, _| !is_before(*id, frame.id));
        // Nobody waits any more when the call ran out of time.
        let _late = waiting.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_stay_in_order_where_their_numbers_start_again() {
        for (earlier, later) in [(1, 2), (1, 300), (u32::MAX, 0), (u32::MAX - 5, 250)] {
            assert!(is_before(earlier, later), "{earlier} {later}");
            assert!(!is_before(later, earlier), "{earlier} {later}");
        }
        assert!(!is_before(7, 7));
    }
}
