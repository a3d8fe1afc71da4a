//! What a node does that waits for its cluster.

use std::path::Path;
use std::sync::Arc;

use hellojohn_control::{Issuer, Timestamp};

use super::*;
use crate::identity::{IdentityStore, Promise};
use crate::settings::{EmbeddedSettings, KeyFingerprints, NowFn, Settings, Timers};

/// A founder whose former is away.
async fn promised(root: &Path) -> Node {
    let dir = root.join("raft");
    let promise = Promise {
        cluster_id: Uuid::from_u128(7).to_string(),
        formed_by: "n2".to_owned(),
        raft_ids: [("n1".to_owned(), 1), ("n2".to_owned(), 2)].into(),
    };
    IdentityStore::load_or_create(&dir, "n1").unwrap().promise(promise).unwrap();
    let nodes = [("n1", "127.0.0.1:1"), ("n2", "127.0.0.1:2")].map(|(n, a)| (n.to_owned(), a.to_owned()));
    let embedded = EmbeddedSettings {
        bind: "127.0.0.1:0".parse().unwrap(),
        nodes: nodes.into(),
        bootstrap: false,
        allow_plaintext: false,
        tls: None,
    };
    let settings = Settings {
        name: "n1".to_owned(),
        mode: Mode::Embedded(embedded),
        root: root.to_owned(),
        issuer: Issuer::new("http://localhost:8080"),
        fingerprints: KeyFingerprints { signing: "s".to_owned(), secretbox: "b".to_owned() },
        timers: Timers {
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(300),
            election_max: Duration::from_millis(600),
        },
        snapshot_every: 50,
        max_log_bytes: 1 << 20,
        write_timeout: Duration::from_secs(1),
        flush_patience: Duration::from_secs(10),
        scan_interval: Duration::from_secs(30),
        now: NowFn(Arc::new(|| Timestamp::from_millis(1))),
    };
    Node::start(settings).await.unwrap()
}

async fn running(node: &Node) -> Arc<Running> {
    let found = async {
        loop {
            if let Some(running) = node.shared.running.load_full() {
                return running;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), found).await.unwrap()
}

/// Spec §3.4: a fatal storage error ends the process, also of a node that is no member yet.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founder_whose_raft_fails_while_it_waits_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let node = promised(dir.path()).await;
    running(&node).await.raft.shutdown().await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), node.failed()).await.unwrap();
    node.shutdown().await;
}

/// Spec §13.2: it says for whom it waits, and what to do when they never come.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founder_whose_former_is_lost_names_it_and_the_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let node = promised(dir.path()).await;
    let said = async {
        loop {
            let waiting = node.status().await.waiting.unwrap_or_default();
            if waiting.contains("n2") && waiting.contains("docs/ha.md") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), said).await.unwrap();
    node.shutdown().await;
}
