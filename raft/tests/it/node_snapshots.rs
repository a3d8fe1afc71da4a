//! Snapshots of nodes that run: damaged ones (F12), and those that a follower is sent (F13).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hellojohn_control::Timestamp;
use hellojohn_raft::offline::Disk;
use hellojohn_raft::{Node, ProposeError, Settings};

use super::nodes::{free_addr, put_tenant, settings, single, wait_until};

/// Entries that are kept behind a snapshot.
const KEPT: u64 = 1_000;

/// The snapshot files of a node, newest first.
fn snapshots(root: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root.join("raft/snapshots")).unwrap().map(|entry| entry.unwrap().path()).collect();
    // An unfinished one has another name.
    files.retain(|path| path.extension().is_some_and(|extension| extension == "snap"));
    files.sort();
    files.reverse();
    files
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// A single node that is down again, with that many tenants and two snapshots; gives the hash of its state.
async fn stopped_with(tenants: u64, settings: Settings) -> String {
    let root = settings.root.clone();
    let node = Node::start(settings).await.unwrap();
    wait_until("the node leads", || node.may_lead().is_ok()).await;
    for i in 0..tenants {
        node.propose(put_tenant(&format!("t{i}"))).await.unwrap();
    }
    let snapshot = || async { node.status().await.raft.snapshot_index };
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    // A snapshot becomes due with a write: one that was being made when the last came is not followed by another.
    let mut nudges = 0;
    while snapshot().await + 60 < tenants || snapshots(&root).len() < 2 {
        assert!(std::time::Instant::now() < deadline, "no two snapshots");
        node.propose(put_tenant(&format!("nudge-{nudges}"))).await.unwrap();
        nudges += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let (_, hash) = node.state_hash().unwrap();
    node.shutdown().await;
    hash
}

/// The last entry that a stopped node's log has let go.
fn purged(root: &Path) -> Option<u64> {
    let scratch = tempfile::tempdir().unwrap();
    Disk::read(root, scratch.path()).unwrap().report(Timestamp::default()).unwrap().log.purged_index
}

/// F12: a flipped bit in the newest snapshot is passed over where the older one and the log make up for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f12_a_node_with_a_damaged_snapshot_comes_to_the_same_state_from_the_older_one_and_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let hash = stopped_with(220, single(dir.path())).await;
    let files = snapshots(dir.path());
    assert_eq!(files.len(), 2, "{files:?}");
    flip(&files[0]);
    let node = Node::start(single(dir.path())).await.unwrap();
    wait_until("the node leads", || node.may_lead().is_ok()).await;
    wait_until("all of it", || node.state_hash().unwrap().1 == hash).await;
    node.propose(put_tenant("more")).await.unwrap();
    node.shutdown().await;
    drop(node);
    // The damaged one was no second one: another was made in its place.
    assert!(!snapshots(dir.path()).contains(&files[0]));
    let scratch = tempfile::tempdir().unwrap();
    let report = Disk::read(dir.path(), scratch.path()).unwrap().report(Timestamp::default()).unwrap();
    let damage: Vec<_> = report.snapshots.iter().map(|snapshot| snapshot.damage.as_ref()).collect();
    assert_eq!(damage, [None, None], "{report:?}");
}

/// F12: where the log does not go back that far nothing is served, and the reason is told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f12_a_node_without_a_whole_snapshot_behind_its_purged_log_serves_nothing_and_says_why() {
    let dir = tempfile::tempdir().unwrap();
    stopped_with(KEPT + 250, single(dir.path())).await;
    // A node that is stopped right after a snapshot may not have purged its log yet.
    for round in 0..5 {
        if purged(dir.path()).is_some() {
            break;
        }
        let node = Node::start(single(dir.path())).await.unwrap();
        wait_until("the node leads", || node.may_lead().is_ok()).await;
        for i in 0..60 {
            node.propose(put_tenant(&format!("more-{round}-{i}"))).await.unwrap();
        }
        node.shutdown().await;
    }
    assert!(purged(dir.path()).is_some(), "the log was never purged");
    let files = snapshots(dir.path());
    assert_eq!(files.len(), 2, "{files:?}");
    files.iter().for_each(|file| flip(file));
    let node = Node::start(single(dir.path())).await.unwrap();
    let why = tokio::time::timeout(Duration::from_secs(20), node.failed()).await.unwrap();
    assert!(why.contains("raft/log was purged up to entry") && why.contains("ends at nothing"), "{why}");
    assert!(node.view().tenants().is_empty() && !node.caught_up());
    node.shutdown().await;
    // The handle keeps the disk.
    drop(node);
    let scratch = tempfile::tempdir().unwrap();
    let error =
        Disk::read(dir.path(), scratch.path()).unwrap().report(Timestamp::default()).unwrap_err().to_string();
    assert!(error.contains("entries between them are nowhere on this disk"), "{error}");
}

/// Writes through whoever leads; waits while nobody does. A refusal says that nothing was written, so that each document is
/// written once.
async fn write(nodes: &BTreeMap<String, Node>, slug: &str) -> u64 {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        for node in nodes.values() {
            match node.propose(put_tenant(slug)).await {
                Ok(written) => return written.index,
                Err(ProposeError::NotLeader { .. } | ProposeError::Unavailable) => {}
                Err(error) => unreachable!("{slug}: {error}"),
            }
        }
        assert!(std::time::Instant::now() < deadline, "nobody takes writes");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// F13: a follower that was away past the purge is sent a snapshot, and while it takes it in the leader makes the next one.
/// It comes to the same state, with every document written once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f13_a_follower_far_behind_catches_up_while_snapshots_follow_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let addrs: BTreeMap<String, String> =
        ["n1", "n2", "n3"].map(|name| (name.to_owned(), free_addr().to_string())).into();
    let root = |name: &str| {
        let root = dir.path().join(name);
        std::fs::create_dir_all(&root).unwrap();
        root
    };
    let mut nodes = BTreeMap::new();
    for name in addrs.keys() {
        nodes.insert(name.clone(), Node::start(settings(name, &root(name), &addrs)).await.unwrap());
    }
    let leading = |nodes: &BTreeMap<String, Node>| {
        nodes.iter().find(|(_, node)| node.may_lead().is_ok()).map(|(name, _)| name.clone())
    };
    wait_until("a leader", || leading(&nodes).is_some()).await;
    let leader = leading(&nodes).unwrap();
    let first = write(&nodes, "first").await;
    let away = nodes.keys().find(|name| **name != leader).unwrap().clone();
    assert!(nodes[&away].wait_applied(first, Duration::from_secs(10)).await);
    nodes.remove(&away).unwrap().shutdown().await;
    for i in 0..KEPT + 150 {
        write(&nodes, &format!("missed-{i}")).await;
    }
    let back = Node::start(settings(&away, &root(&away), &addrs)).await.unwrap();
    // Each 50 entries another snapshot, while the first is being sent.
    let mut last = 0;
    for i in 0..400 {
        last = write(&nodes, &format!("meanwhile-{i}")).await;
    }
    assert!(back.wait_applied(last, Duration::from_secs(20)).await, "{:?}", back.status().await);
    assert_eq!(back.state_hash().unwrap(), nodes[&leader].state_hash().unwrap());
    let view = back.view();
    assert_eq!(u64::try_from(view.tenants().len()).unwrap(), 1 + KEPT + 150 + 400);
    assert!(view.tenants().values().all(|entry| entry.tenant.revision == 1), "nothing was applied twice");
    back.shutdown().await;
    drop(back);
    // What it was sent is a snapshot like one of its own, and there are two at most.
    let held = snapshots(&root(&away));
    assert!((1..=2).contains(&held.len()), "{held:?}");
    for node in nodes.into_values() {
        node.shutdown().await;
    }
    let scratch = tempfile::tempdir().unwrap();
    let report = Disk::read(&root(&away), scratch.path()).unwrap().report(Timestamp::default()).unwrap();
    assert!(report.snapshots.iter().all(|snapshot| snapshot.damage.is_none()), "{report:?}");
}

/// F12, F13: the leader's newest snapshot is damaged, and the one before it ends where the log no longer begins. A follower
/// that needs one is sent a new one, and the leader has two whole ones again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f12_a_leader_whose_newest_snapshot_is_damaged_makes_another_for_a_follower_far_behind() {
    const EVERY: u64 = KEPT + 100;
    let dir = tempfile::tempdir().unwrap();
    let addrs: BTreeMap<String, String> =
        ["n1", "n2", "n3"].map(|name| (name.to_owned(), free_addr().to_string())).into();
    let start = async |name: &str| {
        let root = dir.path().join(name);
        std::fs::create_dir_all(&root).unwrap();
        Node::start(Settings { snapshot_every: EVERY, ..settings(name, &root, &addrs) }).await.unwrap()
    };
    let mut nodes = BTreeMap::new();
    for name in addrs.keys() {
        nodes.insert(name.clone(), start(name).await);
    }
    let leading = |nodes: &BTreeMap<String, Node>| {
        nodes.iter().find(|(_, node)| node.may_lead().is_ok()).map(|(name, _)| name.clone())
    };
    wait_until("a leader", || leading(&nodes).is_some()).await;
    let away = nodes.keys().find(|name| Some((*name).clone()) != leading(&nodes)).unwrap().clone();
    nodes.remove(&away).unwrap().shutdown().await;
    let mut last = 0;
    let mut written = 0;
    let two_made = async |nodes: &BTreeMap<String, Node>| {
        let leader = leading(nodes)?;
        let raft = nodes[&leader].status().await.raft;
        let two = snapshots(&dir.path().join(&leader)).len() == 2;
        // It goes when nothing of it is on its way to a follower any more.
        (two && raft.purged_index > EVERY + KEPT / 10).then_some(leader)
    };
    let leader = loop {
        assert!(written < 4 * EVERY, "two snapshots were not made");
        for _ in 0..50 {
            last = write(&nodes, &format!("missed-{written}")).await;
            written += 1;
        }
        if let Some(leader) = two_made(&nodes).await {
            break leader;
        }
    };
    let root = dir.path().join(&leader);
    let damaged = snapshots(&root)[0].clone();
    flip(&damaged);
    // It reads one again for each attempt to reach the follower. What it had read before is whole, and would do.
    wait_until("another in its place", || !damaged.exists()).await;
    let back = start(&away).await;
    assert!(back.wait_applied(last, Duration::from_secs(20)).await, "{:?}", back.status().await);
    // The leader may write on its own account, too: what it writes reaches the other one a moment later.
    let same = || back.state_hash().unwrap() == nodes[&leader].state_hash().unwrap();
    wait_until("the same state", same).await;
    let ended = tokio::time::timeout(Duration::ZERO, nodes[&leader].failed()).await;
    assert!(ended.is_err(), "the leader ended: {ended:?}");
    back.shutdown().await;
    for node in nodes.into_values() {
        node.shutdown().await;
    }
    let scratch = tempfile::tempdir().unwrap();
    let report = Disk::read(&root, scratch.path()).unwrap().report(Timestamp::default()).unwrap();
    let damage: Vec<_> = report.snapshots.iter().map(|snapshot| snapshot.damage.as_ref()).collect();
    assert_eq!(damage, [None, None], "{report:?}");
}
