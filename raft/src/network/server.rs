//! The listening side: accepts, bounds and joins the sessions.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::hello::LocalNode;
use super::metrics::count_refused_connection;
use super::rpc::PeerHandler;
use super::session::{self, Host};
use super::stream::Security;

/// Bounds of the listening side.
#[derive(Debug, Clone, Copy)]
pub struct ServerLimits {
    /// TLS and hello together.
    pub handshake: Duration,
    /// Connections that have not been admitted yet; more are closed at once.
    pub max_handshakes: usize,
    /// Admitted connections; more are refused as busy.
    pub max_connections: usize,
    /// A connection without a request for this long is closed.
    pub idle: Duration,
    /// One frame, from its first byte to its last, in either direction.
    pub frame: Duration,
    /// One request in the handler.
    pub handler: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(3),
            max_handshakes: 64,
            max_connections: 256,
            idle: Duration::from_secs(60),
            frame: Duration::from_secs(30),
            handler: Duration::from_secs(30),
        }
    }
}

/// The listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("RAFT_ADDR {addr}: {source}")]
pub struct BindError {
    /// What was to be bound.
    pub addr: String,
    /// Why it failed.
    pub source: io::Error,
}

/// Connections the kernel holds until they are accepted.
const BACKLOG: u32 = 256;

/// Wait after a failed accept, so that a lack of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Time for looking up the host in the bind address.
const LOOKUP: Duration = Duration::from_secs(5);

/// The peer listener of a node. End it with [`Self::shutdown`]; dropping it only tells its tasks to end.
pub struct PeerServer {
    addr: SocketAddr,
    stop: CancellationToken,
    abort: CancellationToken,
    accepting: JoinHandle<()>,
}

impl fmt::Debug for PeerServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerServer").field("addr", &self.addr).finish_non_exhaustive()
    }
}

impl Drop for PeerServer {
    fn drop(&mut self) {
        self.stop.cancel();
        self.abort.cancel();
    }
}

impl PeerServer {
    /// Listens on `addr` (`host:port`; port 0 takes a free one) and serves peers from then on.
    pub async fn bind(
        addr: &str,
        local: Arc<LocalNode>,
        security: Security,
        handler: Arc<dyn PeerHandler>,
        limits: ServerLimits,
    ) -> Result<Self, BindError> {
        let failed = |source| BindError { addr: addr.to_owned(), source };
        let listener = listen(addr, &security).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        let host = Host {
            local,
            security,
            handler,
            limits,
            admitted: Arc::new(Semaphore::new(limits.max_connections)),
            stop: stop.clone(),
        };
        let accepting = tokio::spawn(accept(listener, Arc::new(host), abort.clone()));
        Ok(Self { addr: bound, stop, abort, accepting })
    }

    /// The address in use.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops accepting, lets requests under way finish for at most `within`, then ends what is left. All
    /// tasks have ended when it returns.
    pub async fn shutdown(mut self, within: Duration) {
        self.stop.cancel();
        let ended = match timeout(within, &mut self.accepting).await {
            Ok(ended) => ended,
            Err(_elapsed) => {
                self.abort.cancel();
                (&mut self.accepting).await
            }
        };
        if let Err(error) = ended {
            tracing::error!(%error, "peer listener failed");
        }
    }
}

async fn listen(addr: &str, security: &Security) -> io::Result<TcpListener> {
    let found = timeout(LOOKUP, lookup_host(addr)).await.map_err(io::Error::from)??;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for candidate in found {
        match listen_on(candidate, security) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn listen_on(addr: SocketAddr, security: &Security) -> io::Result<TcpListener> {
    if !security.allows(addr.ip()) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "not a loopback address, and peers are not protected by TLS; set RAFT_TLS_ENABLE=1",
        ));
    }
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restarted node takes its port back while old connections are still in TIME_WAIT.
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, host: Arc<Host>, abort: CancellationToken) {
    let handshakes = Arc::new(Semaphore::new(host.limits.max_handshakes));
    let mut sessions = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ended) = sessions.join_next() => {
                report(ended);
                continue;
            }
            () = host.stop.cancelled() => break,
        };
        match accepted {
            Ok((tcp, from)) => match Arc::clone(&handshakes).try_acquire_owned() {
                Ok(handshaking) => {
                    sessions.spawn(session::serve(Arc::clone(&host), tcp, handshaking));
                }
                Err(_full) => {
                    count_refused_connection("handshake_cap");
                    tracing::warn!(%from, "too many peer handshakes at once; connection closed");
                }
            },
            Err(error) => {
                tracing::warn!(%error, "peer connection could not be accepted");
                tokio::select! {
                    () = sleep(ACCEPT_PAUSE) => {}
                    () = host.stop.cancelled() => break,
                }
            }
        }
    }
    drop(listener);
    loop {
        tokio::select! {
            ended = sessions.join_next() => match ended {
                Some(ended) => report(ended),
                None => break,
            },
            () = abort.cancelled() => {
                sessions.shutdown().await;
                break;
            }
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a peer session panicked");
    }
}
