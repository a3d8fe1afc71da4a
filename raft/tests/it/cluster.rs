//! Three whole nodes in one process: forming, replication, loss of a node. Real TCP, real disks.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hellojohn_control::Slug;
use hellojohn_raft::{Mode, Node, NowFn, ProposeError, Settings};

use super::nodes::{free_addr, put_tenant, settings, single, wait_until};

struct Cluster {
    dir: tempfile::TempDir,
    nodes: BTreeMap<String, String>,
    running: BTreeMap<String, Node>,
}

impl Cluster {
    fn new() -> Self {
        let nodes = ["n1", "n2", "n3"].map(|n| (n.to_owned(), free_addr().to_string())).into();
        Self { dir: tempfile::tempdir().unwrap(), nodes, running: BTreeMap::new() }
    }

    fn root(&self, name: &str) -> PathBuf {
        let root = self.dir.path().join(name);
        std::fs::create_dir_all(&root).unwrap();
        root
    }

    async fn start(&mut self, name: &str) {
        let settings = settings(name, &self.root(name), &self.nodes);
        self.start_with(settings).await;
    }

    async fn start_flagged(&mut self, name: &str) {
        let mut settings = settings(name, &self.root(name), &self.nodes);
        if let Mode::Embedded(embedded) = &mut settings.mode {
            embedded.bootstrap = true;
        }
        self.start_with(settings).await;
    }

    async fn start_with(&mut self, settings: Settings) {
        let name = settings.name.clone();
        self.running.insert(name, Node::start(settings).await.unwrap());
    }

    /// Waits until the node says that it waits, and why.
    async fn waits_for(&self, name: &str, part: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let status = self.running[name].status().await;
            if status.waiting.as_deref().is_some_and(|why| why.contains(part)) {
                assert_eq!(status.raft.state, "Forming");
                assert_eq!(status.leader_id, None);
                return;
            }
            assert!(Instant::now() < deadline, "{name} does not wait for {part:?}: {status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn start_all(&mut self) {
        for name in ["n1", "n2", "n3"] {
            self.start(name).await;
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
                Err(error) if Instant::now() < deadline => eprintln!("{leader}: {error}"),
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn stop(&mut self, name: &str) {
        self.running.remove(name).unwrap().shutdown().await;
    }
}

fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for top in ["tenants", "keys"] {
        let mut dirs = vec![root.join(top)];
        while let Some(dir) = dirs.pop() {
            for entry in std::fs::read_dir(&dir).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let name = path.strip_prefix(root).unwrap().display().to_string();
                    files.insert(name, std::fs::read(&path).unwrap());
                }
            }
        }
    }
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_form_replicate_and_project_the_same_files() {
    let mut cluster = Cluster::new();
    cluster.start_all().await;
    let index = cluster.put("acme").await;
    for (name, node) in &cluster.running {
        assert!(node.wait_applied(index, Duration::from_secs(5)).await, "{name}");
        let mut status = node.status().await;
        let deadline = Instant::now() + Duration::from_secs(10);
        while status.fs.projected_index < index || status.waiting.is_some() {
            assert!(Instant::now() < deadline, "{name} {status:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            status = node.status().await;
        }
        assert!(status.raft.quorum_ok, "{status:?}");
    }
    let trees: Vec<_> = cluster.running.keys().map(|name| tree(&cluster.dir.path().join(name))).collect();
    assert!(trees[0].contains_key("tenants/acme/tenant.yaml"), "{:?}", trees[0].keys());
    assert_eq!(trees[0], trees[1]);
    assert_eq!(trees[1], trees[2]);
    let hashes: Vec<_> = cluster.running.values().map(|n| n.state_hash().unwrap().1).collect();
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[1], hashes[2]);
    for name in ["n1", "n2", "n3"] {
        cluster.stop(name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_after_the_leader_is_gone_and_it_returns_as_follower() {
    let mut cluster = Cluster::new();
    cluster.start_all().await;
    cluster.put("a").await;
    let old = cluster.leader().await;
    cluster.stop(&old).await;
    for i in 0..200 {
        cluster.put(&format!("t{i}")).await;
    }
    let index = cluster.put("z").await;
    cluster.start(&old).await;
    assert!(cluster.running[&old].wait_applied(index, Duration::from_secs(20)).await);
    let hashes: Vec<_> = cluster.running.values().map(|n| n.state_hash().unwrap()).collect();
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}");
    for name in ["n1", "n2", "n3"] {
        cluster.stop(name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_restart_with_everything_that_was_acknowledged() {
    let mut cluster = Cluster::new();
    cluster.start_all().await;
    for i in 0..120 {
        cluster.put(&format!("t{i}")).await;
    }
    for name in ["n1", "n2", "n3"] {
        cluster.stop(name).await;
    }
    cluster.start_all().await;
    let index = cluster.put("last").await;
    for node in cluster.running.values() {
        assert!(node.wait_applied(index, Duration::from_secs(10)).await);
        assert_eq!(node.view().tenants().len(), 121);
    }
    for name in ["n1", "n2", "n3"] {
        cluster.stop(name).await;
    }
}

/// Spec promise 5.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_fresh_nodes_wait_say_why_and_form_when_the_third_comes() {
    let mut cluster = Cluster::new();
    cluster.start("n1").await;
    cluster.start("n2").await;
    cluster.waits_for("n1", "n3").await;
    cluster.waits_for("n2", "n3").await;
    let node = cluster.running["n1"].clone();
    assert!(matches!(node.propose(put_tenant("a")).await, Err(ProposeError::Unavailable)));
    cluster.start("n3").await;
    cluster.put("a").await;
    for name in ["n1", "n2", "n3"] {
        cluster.stop(name).await;
    }
}

/// F22: two nodes lose their disks and come back with bootstrap settings while the third is away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_wiped_nodes_never_form_a_second_cluster() {
    let mut cluster = Cluster::new();
    cluster.start_all().await;
    let index = cluster.put("acme").await;
    // The two others are enough for the write.
    assert!(cluster.running["n3"].wait_applied(index, Duration::from_secs(10)).await);
    let first = cluster.running["n3"].status().await.cluster_id;
    for name in ["n1", "n2", "n3"] {
        cluster.stop(name).await;
    }
    for name in ["n1", "n2"] {
        std::fs::remove_dir_all(cluster.root(name)).unwrap();
    }
    cluster.start_flagged("n1").await;
    cluster.start_flagged("n2").await;
    cluster.waits_for("n1", "n3").await;
    cluster.waits_for("n2", "n3").await;
    cluster.start("n3").await;
    cluster.waits_for("n1", first.as_deref().unwrap()).await;
    cluster.waits_for("n2", first.as_deref().unwrap()).await;
    assert!(cluster.running["n3"].may_lead().is_err(), "one of three has no quorum");
    let view = cluster.running["n3"].view();
    assert!(view.tenant(&Slug::parse("acme").unwrap()).is_some());
    for name in ["n1", "n2", "n3"] {
        cluster.stop(name).await;
    }
}

/// Spec §13.2.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_flagged_nodes_wait_and_name_each_other() {
    let mut cluster = Cluster::new();
    cluster.start_flagged("n1").await;
    cluster.start_flagged("n2").await;
    cluster.start("n3").await;
    for name in ["n1", "n2", "n3"] {
        cluster.waits_for(name, "CLUSTER_BOOTSTRAP is set on n1 and n2").await;
    }
    cluster.stop("n2").await;
    cluster.start("n2").await;
    cluster.put("acme").await;
    for name in ["n1", "n2", "n3"] {
        cluster.stop(name).await;
    }
}

/// Spec §13.1: a lost `raft/` beside files forms nothing and deletes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_node_that_lost_its_raft_directory_stops_and_keeps_its_files() {
    let dir = tempfile::tempdir().unwrap();
    let node = Node::start(single(dir.path())).await.unwrap();
    wait_until("the single node leads", || node.may_lead().is_ok()).await;
    let index = node.propose(put_tenant("acme")).await.unwrap().index;
    let deadline = Instant::now() + Duration::from_secs(10);
    while node.status().await.fs.projected_index < index {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.shutdown().await;
    let before = tree(dir.path());
    assert!(before.contains_key("tenants/acme/tenant.yaml"));
    std::fs::remove_dir_all(dir.path().join("raft")).unwrap();
    let node = Node::start(single(dir.path())).await.unwrap();
    let why = tokio::time::timeout(Duration::from_secs(10), node.failed()).await.unwrap();
    assert!(why.contains("cluster snapshot restore") && why.contains("Nothing was deleted"), "{why}");
    node.shutdown().await;
    assert_eq!(tree(dir.path()), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_raft_directory_is_let_back_in_and_keeps_its_files() {
    let mut cluster = Cluster::new();
    cluster.start_all().await;
    let index = cluster.put("acme").await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while cluster.running["n2"].status().await.fs.projected_index < index {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster.stop("n2").await;
    let root = cluster.root("n2");
    let before = tree(&root);
    std::fs::remove_dir_all(root.join("raft")).unwrap();
    cluster.start("n2").await;
    // The others have the majority without it; it is one of them again when it votes.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let status = cluster.running["n2"].status().await;
        if status.waiting.is_none() && status.voter {
            break;
        }
        assert!(Instant::now() < deadline, "{status:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(tree(&root), before);
    cluster.stop("n1").await;
    let index = cluster.put("later").await;
    assert!(cluster.running["n2"].wait_applied(index, Duration::from_secs(10)).await);
    for name in ["n2", "n3"] {
        cluster.stop(name).await;
    }
}

/// F16: whoever has other master keys could not read what is sealed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_other_master_keys_is_not_let_in() {
    let mut cluster = Cluster::new();
    cluster.start_all().await;
    cluster.put("acme").await;
    cluster.stop("n2").await;
    std::fs::remove_dir_all(cluster.root("n2")).unwrap();
    let mut stranger = settings("n2", &cluster.root("n2"), &cluster.nodes);
    stranger.fingerprints.signing = "another".to_owned();
    cluster.start_with(stranger).await;
    cluster.waits_for("n2", "SIGNING_MASTER_KEY").await;
    for name in ["n1", "n2", "n3"] {
        cluster.stop(name).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_of_another_node_is_refused_and_both_are_named() {
    let mut cluster = Cluster::new();
    cluster.start_all().await;
    cluster.put("acme").await;
    for name in ["n1", "n2", "n3"] {
        cluster.stop(name).await;
    }
    let mut foreign = settings("n1", &cluster.root("n2"), &cluster.nodes);
    foreign.root = cluster.root("n2");
    let error = Node::start(foreign).await.unwrap_err().to_string();
    assert!(error.contains("\"n1\"") && error.contains("\"n2\""), "{error}");
    let alone = Settings { mode: Mode::Single, ..settings("n2", &cluster.root("n2"), &cluster.nodes) };
    let node = Node::start(alone).await.unwrap();
    let why = tokio::time::timeout(Duration::from_secs(10), node.failed()).await.unwrap();
    assert!(why.contains("CLUSTER_MODE") && why.contains("n1, n2, n3"), "{why}");
    node.shutdown().await;
}

/// Spec §3.5: a snapshot is due by bytes as well as by entries.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_beyond_its_bytes_is_followed_by_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { snapshot_every: 1_000_000, max_log_bytes: 10_000, ..single(dir.path()) };
    let node = Node::start(settings).await.unwrap();
    wait_until("the single node leads", || node.may_lead().is_ok()).await;
    for i in 0..150 {
        node.propose(put_tenant(&format!("t{i}"))).await.unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while node.status().await.raft.snapshot_index == 0 {
        assert!(Instant::now() < deadline, "no snapshot");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    node.shutdown().await;
}

/// F18: somebody must be told, because the times of keys follow the leader's clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_tells_whose_clock_is_hours_off() {
    let names = ["n1", "n2", "n3"];
    let mut cluster = Cluster::new();
    for name in names {
        let mut settings = settings(name, &cluster.root(name), &cluster.nodes);
        if name == "n3" {
            let now = settings.now.clone();
            settings.now = NowFn(Arc::new(move || now.now().plus(Duration::from_secs(7_200))));
        }
        cluster.start_with(settings).await;
    }
    cluster.put("acme").await;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let leader = cluster.leader().await;
        let peers = cluster.running[&leader].status().await.raft.peers;
        let ahead =
            |name: &str| peers.iter().find(|peer| peer.id == name).and_then(|peer| peer.clock_ahead_ms);
        let right = if leader == "n3" {
            names[..2].iter().all(|name| ahead(name).is_some_and(|ms| ms < -7_000_000))
        } else {
            let other = if leader == "n1" { "n2" } else { "n1" };
            ahead("n3").is_some_and(|ms| ms > 7_000_000) && ahead(other).is_some_and(|ms| ms.abs() < 100_000)
        };
        if right {
            break;
        }
        assert!(Instant::now() < deadline, "{leader}: {peers:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for name in names {
        cluster.stop(name).await;
    }
}
