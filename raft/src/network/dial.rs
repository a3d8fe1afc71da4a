//! How a connection to a peer comes up: address, TCP, TLS, hello; and when not to try.
//!
//! Dialling runs in its own task, so that a call with a short deadline over a slow link does not throw
//! away a connection that is half up: the next call finds it ready.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::address::AddressBook;
use super::backoff::BackoffPolicy;
use super::client::{CallError, PeerClient};
use super::connection::{self, Connection, ConnectionLimits};
use super::frame::{Frame, HELLO_LIMIT, ReadTimes, Tag, read_frame, write_frame};
use super::hello::{Hello, LocalNode, Refusal, Seat};
use super::stream::{self, Security};
use super::tls::TlsMaterial;

/// Bounds of the dialling side.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// Name lookup, TCP, TLS and hello together.
    pub connect: Duration,
    /// A connection without traffic for this long is closed; keep it below the server's idle limit.
    pub idle: Duration,
    /// One frame, from its first byte to its last.
    pub frame: Duration,
    /// Silence after which a connection with unanswered calls is taken for dead.
    pub stall: Duration,
    /// Waits between attempts to reach a dead peer.
    pub backoff: BackoffPolicy,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(2),
            idle: Duration::from_secs(45),
            frame: Duration::from_secs(30),
            stall: Duration::from_secs(1),
            backoff: BackoffPolicy::default(),
        }
    }
}

/// Under what a connection was made. When any of it changes, the connection is replaced.
#[derive(Debug, Clone)]
pub(super) struct Binding {
    address: String,
    seat: Option<Arc<Seat>>,
    material: Option<Arc<TlsMaterial>>,
}

impl PartialEq for Binding {
    fn eq(&self, other: &Self) -> bool {
        let same_material = match (&self.material, &other.material) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_material && self.address == other.address && self.seat == other.seat
    }
}

/// Whom to call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Peer {
    /// Name of the node.
    pub(super) name: String,
    /// The member that must answer; without it, whoever has the name.
    pub(super) raft_id: Option<u64>,
}

#[derive(Debug)]
struct Failures {
    count: u32,
    not_before: Instant,
    last: CallError,
}

/// Everything the clients of one node share.
#[derive(Debug)]
pub struct Dialer {
    local: Arc<LocalNode>,
    security: Security,
    addresses: AddressBook,
    limits: ClientLimits,
    failures: Mutex<HashMap<Peer, Failures>>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Dialer {
    /// A dialer for the node `local`. Nothing is dialled before the first call.
    pub fn new(
        local: Arc<LocalNode>,
        security: Security,
        addresses: AddressBook,
        limits: ClientLimits,
    ) -> Arc<Self> {
        Arc::new(Self {
            local,
            security,
            addresses,
            limits,
            failures: Mutex::new(HashMap::new()),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
        })
    }

    /// A client with its own connection to the node `name`. Does not connect.
    pub fn client(self: &Arc<Self>, name: &str) -> PeerClient {
        PeerClient::new(Arc::clone(self), Peer { name: name.to_owned(), raft_id: None })
    }

    /// A client that speaks to the node `name` only while that is the member `raft_id`. Does not connect.
    pub fn member(self: &Arc<Self>, name: &str, raft_id: u64) -> PeerClient {
        PeerClient::new(Arc::clone(self), Peer { name: name.to_owned(), raft_id: Some(raft_id) })
    }

    /// The bounds in use.
    pub fn limits(&self) -> &ClientLimits {
        &self.limits
    }

    /// Cuts every connection and waits for their tasks, at most `within`. Later calls are `Unreachable`.
    /// False when tasks were left over.
    pub async fn shutdown(&self, within: Duration) -> bool {
        self.stop.cancel();
        self.tasks.close();
        timeout(within, self.tasks.wait()).await.is_ok()
    }

    /// Under what a connection to `name` would be made now.
    pub(super) fn binding(&self, name: &str) -> Result<Binding, CallError> {
        let address = self.addresses.get(name).ok_or_else(|| CallError::Unreachable {
            reason: format!("no address for node {name}; add it to CLUSTER_NODES"),
        })?;
        let material = self.security.tls().map(|tls| tls.material());
        Ok(Binding { address, seat: self.local.seat(), material })
    }

    /// Whether `peer` may be dialled now; else the last failure.
    pub(super) fn may_dial(&self, peer: &Peer) -> Result<(), CallError> {
        if self.stop.is_cancelled() {
            return Err(CallError::Unreachable { reason: "this node is shutting down".to_owned() });
        }
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match failures.get(peer) {
            Some(failed) if Instant::now() < failed.not_before => Err(failed.last.clone()),
            Some(_) | None => Ok(()),
        }
    }

    /// Asks the host of `name` for a connection. Whether it says `within` that nothing listens there, name lookup included:
    /// then that process has ended or is about to. Silence is no such answer, nor is a connection that comes up.
    pub async fn host_refuses(&self, name: &str, within: Duration) -> bool {
        let Some(address) = self.addresses.get(name) else { return false };
        let answer = timeout(within, TcpStream::connect(address)).await;
        matches!(answer, Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused)
    }

    /// Spawns `task`, ended and joined by [`Self::shutdown`].
    pub(super) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = task => {}
                () = stop.cancelled() => {}
            }
        });
    }

    /// Brings up one connection to `peer` and remembers how that went.
    pub(super) async fn dial(
        self: &Arc<Self>,
        peer: &Peer,
        binding: &Binding,
    ) -> Result<Connection, CallError> {
        let result = match timeout(self.limits.connect, self.connect(peer, binding)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(CallError::Unreachable {
                reason: format!("no connection to {} within {:?}", binding.address, self.limits.connect),
            }),
        };
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match &result {
            Ok(_) => {
                failures.remove(peer);
            }
            Err(error) => {
                let count = failures.get(peer).map_or(1, |failed| failed.count.saturating_add(1));
                let seed = format!("{}>{}", self.local.name(), peer.name);
                let not_before = Instant::now() + self.limits.backoff.delay(count, &seed);
                tracing::debug!(peer = peer.name, address = binding.address, count, %error, "peer not reached");
                failures.insert(peer.clone(), Failures { count, not_before, last: error.clone() });
            }
        }
        result
    }

    async fn connect(self: &Arc<Self>, meant: &Peer, binding: &Binding) -> Result<Connection, CallError> {
        let name = &meant.name;
        let failed = |step: &str, error: &dyn std::fmt::Display| CallError::Unreachable {
            reason: format!("{step} {name} at {}: {error}", binding.address),
        };
        let tcp = TcpStream::connect(&binding.address).await.map_err(|e| failed("connecting to", &e))?;
        tcp.set_nodelay(true).map_err(|e| failed("connecting to", &e))?;
        let reached = tcp.peer_addr().map_err(|e| failed("connecting to", &e))?;
        if !self.security.allows(reached.ip()) {
            return Err(failed("connecting to", &"not a loopback address; set RAFT_TLS_ENABLE=1"));
        }
        let mut stream =
            stream::connect(&self.security, tcp, name).await.map_err(|e| failed("TLS with", &e))?;

        let hello = self.local.hello(name);
        let payload = serde_json::to_vec(&hello).map_err(|e| failed("hello to", &e))?;
        let frame = Frame::control(Tag::Hello, Bytes::from(payload));
        let times = ReadTimes { idle: self.limits.connect, whole: self.limits.connect };
        write_frame(&mut stream.io, frame, HELLO_LIMIT, self.limits.connect)
            .await
            .map_err(|e| failed("hello to", &e))?;
        let answer =
            read_frame(&mut stream.io, HELLO_LIMIT, times).await.map_err(|e| failed("hello from", &e))?;
        let peer = self.checked(meant, &answer)?;
        if let Some(tls) = self.security.tls() {
            tls.check_peer(stream.certificates.as_deref(), &peer.from).map_err(CallError::Refused)?;
        }
        tracing::debug!(peer = name, address = binding.address, software = peer.software, "peer connected");

        let limits =
            ConnectionLimits { idle: self.limits.idle, frame: self.limits.frame, stall: self.limits.stall };
        let (connection, driver) = connection::over(stream.io, peer, limits, self.stop.child_token());
        let local = Arc::clone(&self.local);
        self.tasks.spawn(async move {
            if let Some(refusal) = driver.run().await {
                local.turned_down(&refusal);
            }
        });
        Ok(connection)
    }

    /// The server's hello, if it admits us, is the node we meant and is of our cluster.
    fn checked(&self, meant: &Peer, answer: &Frame) -> Result<Hello, CallError> {
        let malformed = |detail: String| CallError::Refused(Refusal::Malformed { detail });
        match answer.tag {
            Tag::Hello => {}
            Tag::Refusal => {
                let refusal = serde_json::from_slice(&answer.payload).unwrap_or(Refusal::Unrecognised);
                self.local.turned_down(&refusal);
                if let Refusal::WrongCluster { its_cluster, .. } = &refusal {
                    self.local.met(&meant.name, Some(its_cluster));
                }
                return Err(CallError::Refused(refusal));
            }
            Tag::Answer | Tag::Failure | Tag::Request(_) => {
                return Err(malformed("the first frame is not a hello".to_owned()));
            }
        }
        let peer: Hello =
            serde_json::from_slice(&answer.payload).map_err(|error| malformed(error.to_string()))?;
        if peer.from != meant.name {
            let refusal = Refusal::WrongRecipient { node: peer.from, meant: meant.name.clone() };
            return Err(CallError::Refused(refusal));
        }
        if let Err(refusal) = self.local.check(&peer) {
            if let Refusal::WrongCluster { other_cluster, .. } = &refusal {
                self.local.met(&meant.name, Some(other_cluster));
            }
            return Err(CallError::Refused(refusal));
        }
        self.local.met(&meant.name, None);
        if let Some(raft_id) = meant.raft_id.filter(|id| peer.raft_id != Some(*id)) {
            let refusal = Refusal::WrongMember { node: peer.from, raft_id: peer.raft_id, meant: raft_id };
            return Err(CallError::Refused(refusal));
        }
        Ok(peer)
    }
}
