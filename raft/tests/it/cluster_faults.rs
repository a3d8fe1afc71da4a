//! Faults of a running cluster in one process: links that are cut, parts of a disk that are lost.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hellojohn_raft::{Node, ProposeError, Role, Settings, Timers};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::nodes::{free_addr, put_tenant, settings, wait_until};

const NAMES: [&str; 3] = ["n1", "n2", "n3"];

/// A way from one node to another that can be cut, or lose messages.
struct Link {
    addr: SocketAddr,
    open: watch::Sender<bool>,
    /// Whether about three of ten messages vanish in each direction, and so half of the calls.
    lossy: watch::Sender<bool>,
}

impl Link {
    async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (open, is_open) = watch::channel(true);
        let (lossy, is_lossy) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((incoming, _)) = listener.accept().await {
                let (mut is_open, is_lossy) = (is_open.clone(), is_lossy.clone());
                if *is_open.borrow() {
                    tokio::spawn(async move {
                        tokio::select! {
                            () = carry(incoming, target, is_lossy) => {}
                            _cut = is_open.wait_for(|open| !open) => {}
                        }
                    });
                }
            }
        });
        Self { addr, open, lossy }
    }
}

async fn carry(incoming: TcpStream, target: SocketAddr, lossy: watch::Receiver<bool>) {
    if let Ok(outgoing) = TcpStream::connect(target).await {
        incoming.set_nodelay(true).unwrap();
        outgoing.set_nodelay(true).unwrap();
        let (near_in, near_out) = incoming.into_split();
        let (far_in, far_out) = outgoing.into_split();
        // How the connection ended is the business of its ends.
        tokio::select! {
            _ended = pump(near_in, far_out, lossy.clone()) => {}
            _ended = pump(far_in, near_out, lossy) => {}
        }
    }
}

/// Makes each direction of each connection lose other messages.
static PUMPS: AtomicU64 = AtomicU64::new(0);

/// Carries frames (four bytes of length, then so many bytes) one way. The first is the hello, and always arrives.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    lossy: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut hello = true;
    let mut dice = PUMPS.fetch_add(1, Ordering::Relaxed);
    loop {
        let length = from.read_u32().await?;
        let mut body = vec![0; usize::try_from(length).unwrap()];
        from.read_exact(&mut body).await?;
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let lost = !hello && *lossy.borrow() && (dice >> 33) % 10 < 3;
        hello = false;
        if !lost {
            to.write_u32(length).await?;
            to.write_all(&body).await?;
        }
    }
}

/// Three nodes with a link of its own for each direction between two of them.
struct Cluster {
    dir: tempfile::TempDir,
    addrs: BTreeMap<String, String>,
    links: BTreeMap<(String, String), Link>,
    running: BTreeMap<String, Node>,
    /// With which it goes on once it was formed; otherwise the usual ones.
    timers: Option<Timers>,
}

impl Cluster {
    async fn formed() -> Self {
        Self::formed_with(None).await
    }

    async fn formed_with(timers: Option<Timers>) -> Self {
        let addrs: BTreeMap<_, _> = NAMES.map(|n| (n.to_owned(), free_addr().to_string())).into();
        let mut links = BTreeMap::new();
        for (from, to) in NAMES.iter().flat_map(|from| NAMES.map(|to| (*from, to))) {
            if from != to {
                links.insert((from.to_owned(), to.to_owned()), Link::to(addrs[to].parse().unwrap()).await);
            }
        }
        let (dir, running) = (tempfile::tempdir().unwrap(), BTreeMap::new());
        let mut cluster = Self { dir, addrs, links, running, timers };
        // The node lists must agree while a cluster forms; the links come in afterwards.
        for name in NAMES {
            let plain = settings(name, &cluster.root(name), &cluster.addrs);
            cluster.running.insert(name.to_owned(), Node::start(plain).await.unwrap());
        }
        cluster.put("first").await;
        for name in NAMES {
            // All of them before the first is stopped: the last one could not find a quorum any more.
            wait_until("the first write", || !cluster.running[name].view().tenants().is_empty()).await;
        }
        for name in NAMES {
            cluster.stop(name).await;
        }
        for name in NAMES {
            cluster.start(name).await;
        }
        cluster
    }

    fn root(&self, name: &str) -> std::path::PathBuf {
        let root = self.dir.path().join(name);
        std::fs::create_dir_all(&root).unwrap();
        root
    }

    fn linked(&self, name: &str) -> Settings {
        let mut nodes = self.addrs.clone();
        let mut settings = settings(name, &self.root(name), &nodes);
        for ((from, to), link) in &self.links {
            if from == name {
                nodes.insert(to.clone(), link.addr.to_string());
            }
        }
        settings.timers = self.timers.unwrap_or(settings.timers);
        if let hellojohn_raft::Mode::Embedded(embedded) = &mut settings.mode {
            embedded.nodes = nodes;
        }
        settings
    }

    async fn start(&mut self, name: &str) {
        let node = Node::start(self.linked(name)).await.unwrap();
        self.running.insert(name.to_owned(), node);
    }

    async fn stop(&mut self, name: &str) {
        self.running.remove(name).unwrap().shutdown().await;
    }

    /// Cuts or heals all links from and to a node.
    fn connect(&self, name: &str, open: bool) {
        for ((from, to), link) in &self.links {
            if from == name || to == name {
                link.open.send_replace(open);
            }
        }
    }

    async fn leader(&self) -> String {
        let mut found = None;
        wait_until("a leader", || {
            found = self.running.iter().find(|(_, n)| n.may_lead().is_ok()).map(|(name, _)| name.clone());
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    async fn put(&self, slug: &str) -> u64 {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let leader = self.leader().await;
            match self.running[&leader].propose(put_tenant(slug)).await {
                Ok(written) => return written.index,
                Err(error) => assert!(Instant::now() < deadline, "{leader}: {error}"),
            }
        }
    }

    /// Stops whoever leads until `name` does.
    async fn make_leader(&mut self, name: &str) {
        for _ in 0..10 {
            let leader = self.leader().await;
            if leader == name {
                return;
            }
            self.stop(&leader).await;
            let next = self.leader().await;
            self.start(&leader).await;
            let index = self.put("between").await;
            assert!(self.running[&leader].wait_applied(index, Duration::from_secs(20)).await);
            if next == name && self.running[name].may_lead().is_ok() {
                return;
            }
        }
        panic!("{name} never led");
    }

    async fn end(mut self) {
        for name in NAMES {
            self.stop(name).await;
        }
    }
}

/// F6: its writes fail, it stops calling itself leader within the election time, the majority goes on. F13: it
/// has been away past the purge, so that a snapshot takes the place of the write that it had under way. Leading
/// again, it takes writes again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_cut_off_in_the_middle_of_a_write_steps_aside_and_can_lead_again_after_a_snapshot() {
    let mut cluster = Cluster::formed().await;
    cluster.put("a").await;
    let old = cluster.leader().await;
    let node = cluster.running[&old].clone();
    cluster.connect(&old, false);
    let cut = Instant::now();
    let pending = tokio::spawn({
        let node = node.clone();
        async move { node.propose(put_tenant("pending")).await }
    });
    wait_until("the old leader steps aside", || node.may_lead().is_err()).await;
    assert!(cut.elapsed() < Duration::from_secs(3), "{:?}", cut.elapsed());
    let status = node.status().await;
    assert_eq!((status.role, status.raft.quorum_ok), (Role::Follower, false), "{status:?}");
    assert_eq!(pending.await.unwrap().unwrap_err(), ProposeError::OutcomeUnknown);

    let pending_at = node.status().await.raft.last_log_index;
    loop {
        let index = cluster.put("b").await;
        let leader = cluster.leader().await;
        assert_ne!(leader, old);
        // A thousand entries stay behind a snapshot, and those that are on their way to somebody.
        if cluster.running[&leader].status().await.raft.snapshot_index > pending_at + 1_150 {
            break;
        }
        assert!(index < 3_000, "no snapshot");
    }
    cluster.connect(&old, true);
    let index = cluster.put("c").await;
    assert!(node.wait_applied(index, Duration::from_secs(20)).await, "{:?}", node.status().await);
    drop(node);

    cluster.make_leader(&old).await;
    let node = &cluster.running[&old];
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match node.propose(put_tenant("again")).await {
            Ok(_) => break,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
    cluster.end().await;
}

/// PreVote: a node that cannot reach a majority does not stand for election. Were it to raise its term, the leader
/// would have to step down once the node is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_cut_off_raises_no_term_and_ends_no_leadership() {
    let cluster = Cluster::formed().await;
    cluster.put("a").await;
    let leader = cluster.leader().await;
    let follower = NAMES.into_iter().find(|name| *name != leader).unwrap();
    let term = cluster.running[&leader].status().await.term;
    let cut = Instant::now();
    cluster.connect(follower, false);
    wait_until("time for several elections", || cut.elapsed() > Duration::from_secs(4)).await;
    let alone = cluster.running[follower].status().await;
    assert_eq!((alone.leader_id, alone.term), (None, term));
    cluster.connect(follower, true);
    let index = cluster.put("b").await;
    assert!(cluster.running[follower].wait_applied(index, Duration::from_secs(20)).await);
    for name in NAMES {
        let status = cluster.running[name].status().await;
        assert_eq!((status.leader_id.as_deref(), status.term), (Some(leader.as_str()), term), "{name}");
    }
    cluster.end().await;
}

/// A node that lost its log has forgotten its vote and the writes it acknowledged: with it a quorum could elect
/// a leader that lacks them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_lost_its_log_but_kept_its_marker_is_refused() {
    let mut cluster = Cluster::formed().await;
    let index = cluster.put("acme").await;
    assert!(cluster.running["n2"].wait_applied(index, Duration::from_secs(10)).await);
    cluster.stop("n2").await;
    std::fs::remove_dir_all(cluster.root("n2").join("raft/log")).unwrap();
    cluster.start("n2").await;
    let why = tokio::time::timeout(Duration::from_secs(10), cluster.running["n2"].failed()).await.unwrap();
    assert!(why.contains("identity.json") && why.contains("the log was lost"), "{why}");
    assert!(cluster.running["n2"].view().tenants().is_empty());
    cluster.end().await;
}

/// With timers for bad networks: an append may take half of the election minimum.
fn calm() -> Timers {
    Timers {
        heartbeat: Duration::from_millis(150),
        election_min: Duration::from_secs(4),
        election_max: Duration::from_millis(4_600),
    }
}

/// A leader calls itself so for half the election minimum without its quorum, here 2 s, and lets writes wait until the
/// longest election timeout is over.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_at_a_leader_whose_quorum_is_late_waits_for_it_and_is_refused_when_it_does_not_come() {
    let cluster = Cluster::formed_with(Some(calm())).await;
    cluster.put("before").await;
    let name = cluster.leader().await;
    let leader = cluster.running[&name].clone();

    cluster.connect(&name, false);
    wait_until("the quorum is late", || leader.may_lead().is_err()).await;
    let write = tokio::spawn({
        let leader = leader.clone();
        async move { leader.propose(put_tenant("waits")).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!write.is_finished(), "it does not wait");
    cluster.connect(&name, true);
    let written = write.await.unwrap();
    assert!(written.is_ok(), "{written:?}");

    cluster.connect(&name, false);
    let cut = Instant::now();
    // Not before: the quorum's answer counts from when it was asked for, and what it was asked last was long under way.
    wait_until("the quorum is late again", || {
        cut.elapsed() > calm().leader_silence() && leader.may_lead().is_err()
    })
    .await;
    assert_eq!(leader.propose(put_tenant("refused")).await.unwrap_err(), ProposeError::Unavailable);
    assert!(cut.elapsed() >= Duration::from_secs(3), "it was refused after {:?}", cut.elapsed());
    let began = Instant::now();
    assert_eq!(leader.propose(put_tenant("refused")).await.unwrap_err(), ProposeError::Unavailable);
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "the wait is over, and was again {:?}",
        began.elapsed()
    );
    cluster.connect(&name, true);
    let index = cluster.put("after").await;
    for node in cluster.running.values() {
        assert!(node.wait_applied(index, Duration::from_secs(20)).await);
        let view = node.view();
        let slugs: Vec<String> = view.tenants().keys().map(ToString::to_string).collect();
        assert!(slugs.contains(&"waits".to_owned()), "{slugs:?}");
        assert!(!slugs.contains(&"refused".to_owned()), "{slugs:?}");
    }
    cluster.end().await;
}

/// F8. An append may take half the election minimum, here 2 s, and there is one under way for each follower: were each
/// lost one waited for so long, these writes would take half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_loses_half_of_the_calls_slows_writes_down_and_does_not_stop_them() {
    let cluster = Cluster::formed_with(Some(calm())).await;
    cluster.put("before").await;
    for link in cluster.links.values() {
        link.lossy.send_replace(true);
    }
    let began = Instant::now();
    for number in 0..30 {
        cluster.put(&format!("lossy-{number}")).await;
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "30 writes took {took:?}");
    for link in cluster.links.values() {
        link.lossy.send_replace(false);
    }
    cluster.end().await;
}
