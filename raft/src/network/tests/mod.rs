//! Real TCP and real TLS on port 0, with certificates made on the spot.

mod calls;
mod handshake;
mod material;
mod server;
mod twin;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use hellojohn_control::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, date_time_ymd,
};
use tokio::sync::Notify;

use super::*;

/// Longer than anything here takes on a loaded machine; only a failing test waits for it.
const LONG: Duration = Duration::from_secs(20);

const BOTH: [ExtendedKeyUsagePurpose; 2] =
    [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];

/// A moment inside the validity of every certificate here that is not meant to be expired.
fn now() -> Timestamp {
    Timestamp::from_secs(1_790_000_000)
}

struct Pem {
    cert: String,
    key: String,
    ca: String,
}

impl Pem {
    fn material(&self) -> TlsMaterial {
        self.at(now()).unwrap()
    }

    fn at(&self, at: Timestamp) -> Result<TlsMaterial, TlsError> {
        TlsMaterial::parse(self.cert.as_bytes(), self.key.as_bytes(), self.ca.as_bytes(), at)
    }

    fn security(&self, node: &str) -> (Security, Arc<PeerTls>) {
        let tls = Arc::new(PeerTls::new(self.material(), node, None).unwrap());
        (Security::Tls(Arc::clone(&tls)), tls)
    }
}

struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        Self::from(params)
    }

    fn from(params: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    fn issue(&self, san: &str) -> Pem {
        self.issue_as(san, &BOTH, 2099)
    }

    fn issue_as(&self, san: &str, usages: &[ExtendedKeyUsagePurpose], last_year: i32) -> Pem {
        self.issue_for(&[san], usages, last_year)
    }

    fn issue_for(&self, sans: &[&str], usages: &[ExtendedKeyUsagePurpose], last_year: i32) -> Pem {
        let sans: Vec<_> = sans.iter().map(|&san| san.to_owned()).collect();
        let mut params = CertificateParams::new(sans).unwrap();
        params.extended_key_usages = usages.to_vec();
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.issuer).unwrap().pem();
        Pem { cert, key: key.serialize_pem(), ca: self.pem.clone() }
    }
}

/// Answers every request with its own payload; a payload `wait` is held until released.
#[derive(Default)]
struct Echo {
    stranger: Option<String>,
    admitted: AtomicUsize,
    running: Arc<AtomicUsize>,
    seen: Mutex<Vec<(String, RpcKind)>>,
    release: Notify,
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Echo {
    fn admitted(&self) -> usize {
        self.admitted.load(Ordering::SeqCst)
    }

    fn running(&self) -> usize {
        self.running.load(Ordering::SeqCst)
    }
}

impl PeerHandler for Echo {
    fn admit(&self, peer: &Hello) -> Result<(), Refusal> {
        if self.stranger.as_ref() == Some(&peer.from) {
            return Err(Refusal::NotMember { name: peer.from.clone() });
        }
        self.admitted.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn call<'a>(
        &'a self,
        peer: &'a Hello,
        kind: RpcKind,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<Bytes, RpcFailure>> {
        async move {
            self.running.fetch_add(1, Ordering::SeqCst);
            let _running = Running(Arc::clone(&self.running));
            self.seen.lock().unwrap().push((peer.from.clone(), kind));
            if payload == "wait" {
                self.release.notified().await;
            }
            if payload == "fail" {
                return Err(RpcFailure::Unavailable { detail: "as asked".to_owned() });
            }
            Ok(payload)
        }
        .boxed()
    }
}

fn seat(cluster: &str) -> Seat {
    Seat { cluster_id: cluster.to_owned(), raft_id: 7 }
}

fn local(name: &str, cluster: Option<&str>) -> Arc<LocalNode> {
    let node = LocalNode::new(name, "test", BTreeMap::new());
    node.take_seat(cluster.map(seat));
    Arc::new(node)
}

/// A server for the node `n2` of cluster `c`.
async fn serve(security: Security, handler: &Arc<Echo>) -> PeerServer {
    serve_with(security, handler, ServerLimits::default()).await
}

async fn serve_with(security: Security, handler: &Arc<Echo>, limits: ServerLimits) -> PeerServer {
    let handler: Arc<dyn PeerHandler> = Arc::<Echo>::clone(handler);
    PeerServer::bind("127.0.0.1:0", local("n2", Some("c")), security, handler, limits).await.unwrap()
}

fn book(server: &PeerServer) -> AddressBook {
    AddressBook::new(BTreeMap::from([("n2".to_owned(), server.local_addr().to_string())]))
}

/// A dialer for the node `n1` of cluster `c`.
fn dialer(security: Security, addresses: &AddressBook) -> Arc<Dialer> {
    Dialer::new(local("n1", Some("c")), security, addresses.clone(), ClientLimits::default())
}

async fn ask(client: &PeerClient, text: &'static str) -> Result<Bytes, CallError> {
    client.call(RpcKind::Probe, Bytes::from_static(text.as_bytes()), LONG).await
}

/// Polls until `condition` holds; fails after [`LONG`].
async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + LONG;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
