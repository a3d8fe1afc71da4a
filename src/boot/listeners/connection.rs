//! One connection: its handshake, its requests, and the watch that ends it when the client stalls.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

use super::Limits;
use crate::boot::lifecycle::Shutdown;
use crate::http::edge::Connection;

/// How long a connection that was asked to close may take to send what it has.
const LINGER: Duration = Duration::from_secs(5);
/// How long a connection is kept for one more request when the process is told to end.
const LAST_REQUEST: Duration = Duration::from_secs(1);

/// What a connection is served with.
pub(super) struct Serving {
    pub(super) router: Router,
    pub(super) server: Arc<auto::Builder<TokioExecutor>>,
    pub(super) limits: Arc<Limits>,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) shutdown: Shutdown,
    pub(super) peer: SocketAddr,
}

impl Serving {
    pub(super) async fn run(self, stream: TcpStream) {
        // Answers are small and complete: waiting for more to send would only delay them.
        let _ = stream.set_nodelay(true);
        let Some(tls) = self.tls.clone() else { return self.requests(stream).await };
        let handshake = timeout(self.limits.handshake_timeout, tls.accept(stream));
        let accepted = tokio::select! {
            accepted = handshake => accepted,
            () = self.shutdown.soft.cancelled() => return,
        };
        match accepted {
            Ok(Ok(stream)) => self.requests(stream).await,
            Ok(Err(error)) => tracing::debug!(peer = %self.peer, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(peer = %self.peer, "TLS handshake took too long"),
        }
    }

    async fn requests<I: AsyncRead + AsyncWrite + Unpin + 'static>(&self, stream: I) {
        let activity = Arc::new(Activity::new());
        let io = TokioIo::new(Watched { stream, activity: Arc::clone(&activity) });
        let origin = Connection { peer: self.peer, tls: self.tls.is_some() };
        let service = service_fn(|mut request: Request<Incoming>| {
            let in_work = activity.begin(request.version());
            request.extensions_mut().insert(origin);
            let router = self.router.clone();
            let (soft, multiplexed) = (self.shutdown.soft.clone(), request.version() == Version::HTTP_2);
            async move {
                let mut answer = router.oneshot(request.map(Body::new)).await;
                drop(in_work);
                if let Ok(answer) = &mut answer
                    && soft.is_cancelled()
                    && !multiplexed
                {
                    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
                }
                answer
            }
        });
        let connection = self.server.serve_connection(io, service);
        tokio::pin!(connection);
        let stalled = activity.stalled(&self.limits);
        tokio::pin!(stalled);
        let graceful = tokio::select! {
            ended = connection.as_mut() => return self.log(ended),
            () = self.shutdown.hard.cancelled() => return,
            stall = &mut stalled => match stall {
                // A head that does not end: there is nobody to answer to.
                Stall::Head => return,
                Stall::Idle => LINGER,
            },
            // Requests in work are bounded by the edge's time-out, the drain by the hard signal.
            () = self.shutdown.soft.cancelled() => {
                // The client may be sending its next request at this moment. On HTTP/1 it would never learn what became of
                // it (RFC 9112 §9.6), so that one is answered, and the answer says that it was the last.
                if !activity.is_multiplexed() {
                    tokio::select! {
                        ended = connection.as_mut() => return self.log(ended),
                        () = self.shutdown.hard.cancelled() => return,
                        () = tokio::time::sleep(LAST_REQUEST) => {}
                    }
                }
                Duration::MAX
            }
        };
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            ended = connection => self.log(ended),
            () = self.shutdown.hard.cancelled() => {}
            // During a drain a stalled client is as stalled as ever.
            _ = stalled, if graceful == Duration::MAX => {}
            () = tokio::time::sleep(graceful), if graceful != Duration::MAX => {}
        }
    }

    fn log(&self, ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
        if let Err(error) = ended {
            tracing::debug!(peer = %self.peer, %error, "connection ended");
        }
    }
}

/// Why a connection is given up.
#[derive(Debug, PartialEq, Eq)]
enum Stall {
    /// The head of a request did not come in time.
    Head,
    /// No request came in time.
    Idle,
}

/// What a connection is doing, seen from its bytes and its requests.
struct Activity {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    /// Requests in work.
    in_work: usize,
    /// Since when `in_work` is zero.
    idle_since: Instant,
    /// When the first byte after the last request came in. HTTP/1 only: on HTTP/2 it may be any frame.
    head_since: Option<Instant>,
    multiplexed: bool,
}

impl Activity {
    fn new() -> Self {
        let now = Instant::now();
        // A connection begins with a head that is due: a client that sends nothing is not idle but late.
        let state = State { in_work: 0, idle_since: now, head_since: Some(now), multiplexed: false };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    fn is_multiplexed(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).multiplexed
    }

    fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_one();
    }

    fn begin(self: &Arc<Self>, version: Version) -> InWork {
        self.change(|state| {
            state.in_work += 1;
            state.head_since = None;
            state.multiplexed = version == Version::HTTP_2;
        });
        InWork(Arc::clone(self))
    }

    fn bytes_came(&self) {
        let due = |state: &State| state.in_work == 0 && state.head_since.is_none() && !state.multiplexed;
        let starts = due(&self.state.lock().unwrap_or_else(PoisonError::into_inner));
        if starts {
            self.change(|state| state.head_since = Some(Instant::now()));
        }
    }

    /// Resolves when the client has stalled; never while a request is in work.
    async fn stalled(&self, limits: &Limits) -> Stall {
        loop {
            let due = {
                let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                match (state.in_work, state.head_since) {
                    (0, Some(head)) => Some((head + limits.header_timeout, Stall::Head)),
                    (0, None) => Some((state.idle_since + limits.idle_timeout, Stall::Idle)),
                    (_, _) => None,
                }
            };
            match due {
                None => self.changed.notified().await,
                Some((deadline, stall)) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = sleep_until(deadline) => return stall,
                },
            }
        }
    }
}

/// A request in work; dropping it ends it, also when the request is cancelled.
struct InWork(Arc<Activity>);

impl Drop for InWork {
    fn drop(&mut self) {
        self.0.change(|state| {
            state.in_work = state.in_work.saturating_sub(1);
            state.idle_since = Instant::now();
        });
    }
}

/// A stream that tells when bytes come in.
struct Watched<I> {
    stream: I,
    activity: Arc<Activity>,
}

impl<I: AsyncRead + Unpin> AsyncRead for Watched<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.activity.bytes_came();
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Watched<I> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
