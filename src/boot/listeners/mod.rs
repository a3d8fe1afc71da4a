//! The public HTTP(S) listeners: bind, accept, serve, drain.
//!
//! Every wait on a client is bounded: the TLS handshake, the head of a request, idle time between
//! requests, and the drain at shutdown. Bodies and handlers are bounded by the edge's own time-outs, an answer
//! that the client does not take by the idle time.

mod connection;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;

use super::lifecycle::Shutdown;
use crate::config::Http;
use crate::config::value::net::ListenAddr;
use connection::Serving;

/// Connections that the kernel queues for us while the cap is reached.
const BACKLOG: i32 = 1024;

/// The limits of a listener (`HTTP_*`).
#[derive(Debug, Clone)]
pub struct Limits {
    /// Open connections; more wait in the kernel's queue.
    pub max_connections: usize,
    /// How long a TLS handshake may take.
    pub handshake_timeout: Duration,
    /// How long the head of a request may take, from the connection or from its first byte.
    pub header_timeout: Duration,
    /// How long a connection may be open without a request in work.
    pub idle_timeout: Duration,
    /// Largest head of a request in bytes, at least 8 KiB; larger is 431.
    pub max_header_bytes: usize,
    /// Requests at one time on an HTTP/2 connection.
    pub max_streams: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 4096,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            max_header_bytes: 32 * 1024,
            max_streams: 128,
        }
    }
}

impl Limits {
    /// The limits of every HTTP listener (`HTTP_*`).
    pub fn from_config(http: &Http) -> Self {
        Self {
            header_timeout: http.read_header_timeout,
            idle_timeout: http.idle_timeout,
            max_header_bytes: http.max_header_bytes,
            ..Self::default()
        }
    }
}

/// A listener to be: where, under which setting's name, with or without TLS.
#[derive(Debug, Clone)]
pub struct ListenerSettings {
    /// The setting that `addr` comes from, for error texts: `SERVER_ADDR`, `METRICS_ADDR`, …
    pub setting: &'static str,
    /// Where to listen.
    pub addr: ListenAddr,
    /// TLS, from [`super::tls::server_config`].
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// The limits.
    pub limits: Limits,
}

/// Why a listener cannot be opened. Names the setting, the address and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens there.
    #[error(
        "{setting}: {addr} is in use by another process; stop that process or set {setting} to a free port"
    )]
    InUse {
        /// The setting.
        setting: &'static str,
        /// Its value.
        addr: ListenAddr,
    },
    /// The system refuses.
    #[error(
        "{setting}: cannot listen on {addr}: {source}; \
         set {setting} to an address of this machine and a port that this user may open"
    )]
    Io {
        /// The setting.
        setting: &'static str,
        /// Its value.
        addr: ListenAddr,
        /// Why.
        source: io::Error,
    },
}

/// An open listener that serves nothing yet, so that a port in use is known before anything starts.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    settings: ListenerSettings,
}

impl Listener {
    /// Opens the listener.
    ///
    /// # Errors
    /// See [`BindError`].
    pub async fn bind(settings: ListenerSettings) -> Result<Self, BindError> {
        let (setting, addr) = (settings.setting, settings.addr.clone());
        match open_any(&settings.addr).await {
            Ok(socket) => Ok(Self { socket, settings }),
            Err(source) if source.kind() == io::ErrorKind::AddrInUse => {
                Err(BindError::InUse { setting, addr })
            }
            Err(source) => Err(BindError::Io { setting, addr, source }),
        }
    }

    /// The address that was really bound (port 0 is replaced).
    ///
    /// # Errors
    /// When the system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves `router` until the soft signal, then stops accepting and lets every connection finish its
    /// requests; at the hard signal the rest is cut off. Returns when no connection is left.
    pub async fn serve(self, router: Router, shutdown: Shutdown) {
        let Self { socket, settings } = self;
        let limits = Arc::new(settings.limits);
        let permits = Arc::new(Semaphore::new(limits.max_connections.clamp(1, Semaphore::MAX_PERMITS)));
        let tls = settings.tls.map(TlsAcceptor::from);
        let server = Arc::new(server(&limits));
        let connections = TaskTracker::new();
        loop {
            let (stream, peer, permit) = tokio::select! {
                biased;
                () = shutdown.soft.cancelled() => break,
                accepted = accept(&socket, &permits) => accepted,
            };
            let serving = Serving {
                router: router.clone(),
                server: Arc::clone(&server),
                limits: Arc::clone(&limits),
                tls: tls.clone(),
                shutdown: shutdown.clone(),
                peer,
            };
            connections.spawn(async move {
                serving.run(stream).await;
                drop(permit);
            });
        }
        // Closed at once: a load balancer that still tries gets a refusal, not a connection that hangs.
        drop(socket);
        connections.close();
        connections.wait().await;
    }
}

/// Opens the first of the address's candidates that this machine has.
async fn open_any(addr: &ListenAddr) -> io::Result<TcpListener> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for candidate in addr.candidates() {
        let found = match tokio::net::lookup_host(candidate).await {
            Ok(found) => found,
            Err(error) => {
                last = error;
                continue;
            }
        };
        for socket_addr in found {
            match open_one(socket_addr).and_then(TcpListener::from_std) {
                Ok(socket) => return Ok(socket),
                // Taken on one family is taken: to listen on the other alone would surprise.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
                Err(error) => last = error,
            }
        }
    }
    Err(last)
}

fn open_one(addr: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    // A restart must not wait for the connections of the process before it to leave TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The next connection, once there is room for it.
async fn accept(
    socket: &TcpListener,
    permits: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed; without a permit the connection would only go uncounted.
    let permit = Arc::clone(permits).acquire_owned().await.ok();
    let mut pause = Duration::from_millis(10);
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => return (stream, peer, permit),
            // A peer that is gone again is no trouble of ours; out of descriptors, trying at once would spin.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                tracing::warn!(%error, ?pause, "cannot accept connections");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
            }
        }
    }
}

fn server(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        // The watch of `connection` bounds the head and idle time apart; hyper knows one time for both.
        .header_read_timeout(None)
        .max_buf_size(limits.max_header_bytes.max(8 * 1024));
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.max_streams)
        .max_header_list_size(u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(20))
        // Rapid reset (CVE-2023-44487): streams that a peer opens and resets at once are counted.
        .max_pending_accept_reset_streams(20)
        .max_local_error_reset_streams(256);
    server
}

#[cfg(test)]
mod tests;
