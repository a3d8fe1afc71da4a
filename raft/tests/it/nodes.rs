//! What the tests of whole nodes share: settings, a write, and a wait with a bound.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hellojohn_control::documents::TenantPatch;
use hellojohn_control::{Command, Envelope, Issuer, Slug, Timestamp};
use hellojohn_raft::{EmbeddedSettings, KeyFingerprints, Mode, NowFn, Settings, Timers};

/// Ports that this process has given away. A UDP socket holds the number against other tests, and nobody here
/// speaks UDP.
static GIVEN: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// An address for a listener of this test, with a port below those that the kernel gives to outgoing connections.
pub(super) fn free_addr() -> SocketAddr {
    const PORTS: std::ops::Range<u32> = 12_000..32_000;
    let start = std::process::id().wrapping_mul(97) % (PORTS.end - PORTS.start);
    let mut ports = (PORTS.start + start..PORTS.end).chain(PORTS.start..PORTS.start + start);
    let (held, addr) = ports
        .find_map(|port| {
            let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).unwrap()));
            let held = UdpSocket::bind(addr).ok()?;
            TcpListener::bind(addr).ok().map(|_free| (held, addr))
        })
        .unwrap();
    GIVEN.lock().unwrap().push(held);
    addr
}

#[expect(clippy::disallowed_methods, reason = "a test gives its nodes the real time")]
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

pub(super) fn single(root: &Path) -> Settings {
    let nodes = BTreeMap::from([("solo".to_owned(), free_addr().to_string())]);
    Settings { mode: Mode::Single, ..settings("solo", root, &nodes) }
}

pub(super) fn settings(name: &str, root: &Path, nodes: &BTreeMap<String, String>) -> Settings {
    Settings {
        name: name.to_owned(),
        mode: Mode::Embedded(EmbeddedSettings {
            bind: nodes[name].parse().unwrap(),
            nodes: nodes.clone(),
            bootstrap: false,
            allow_plaintext: false,
            tls: None,
        }),
        root: root.to_owned(),
        issuer: Issuer::new("http://localhost:8080"),
        fingerprints: KeyFingerprints { signing: "s".to_owned(), secretbox: "b".to_owned() },
        timers: Timers {
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(600),
            election_max: Duration::from_millis(900),
        },
        snapshot_every: 50,
        max_log_bytes: 1 << 20,
        write_timeout: Duration::from_secs(2),
        flush_patience: Duration::from_secs(10),
        scan_interval: Duration::from_secs(30),
        now: NowFn(Arc::new(now)),
    }
}

pub(super) fn put_tenant(slug: &str) -> Envelope {
    Envelope {
        at: now(),
        actor: "test".to_owned(),
        request_id: "r".to_owned(),
        ip: None,
        precondition: None,
        idempotency: None,
        command: Command::PutTenant {
            slug: Slug::parse(slug).unwrap(),
            patch: TenantPatch::default(),
            new_keys: Vec::new(),
        },
    }
}

pub(super) async fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
