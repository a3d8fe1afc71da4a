//! A snapshot that is being sent when one end is killed (F14): the old state stays whole, and it is sent again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::snapshots::{cluster_command, told};
use super::{everywhere, make_acme};
use crate::harness::cluster::{Cluster, PATIENCE, tree};

/// Entries that a follower must have missed to be sent a snapshot: more than are kept behind one.
const MISSED: u64 = 1_150;
/// Bytes of a snapshot that have gone to the follower when an end is killed; it has several times as many.
const HALF: u64 = 400 * 1024;

/// A cluster of which one follower is down and has missed more than the log of the others goes back; gives the follower,
/// what its disk says, and the last index.
async fn with_a_follower_far_behind() -> (Cluster, String, &'static str, Value, u64) {
    let mut cluster = Cluster::prepare_without_database();
    cluster.link_all().await;
    cluster.set("RAFT_SNAPSHOT_EVERY", "100");
    cluster.start_all().await;
    let token = cluster.mint_token();
    let index = make_acme(&cluster, &token).await;
    everywhere(&cluster, index).await;
    let follower = cluster.followers().await[0];
    cluster.kill9(follower);
    let state = disk(&cluster, follower);

    let leader = cluster.leader().await;
    let api = cluster.api(leader).bearer(&token);
    let padding: Vec<String> =
        (0..20).map(|i| format!("https://app.example/{i}/{}", "x".repeat(100))).collect();
    let mut last = index;
    // One after the other, so that each is an entry of its own.
    for i in 0..MISSED {
        let client = json!({"client_type": "public", "redirect_uris": padding});
        let path = format!("/v1/admin/tenants/acme/clients/c{i}");
        let answer = api.put(&path, client.clone()).await;
        last = match answer.header("x-applied-index").filter(|_| answer.status == 201) {
            Some(index) => index.parse().unwrap(),
            // A busy machine; the leader may be another one by now.
            None => cluster.put(&token, &path, &client).await,
        };
    }
    cluster
        .until(leader, "a log that begins behind the follower's", |answer| {
            answer.json()["raft"]["purged_index"].as_u64().unwrap() > index + 10
        })
        .await;
    (cluster, token, follower, state, last)
}

/// What a stopped node's disk holds, and whether it is whole.
fn disk(cluster: &Cluster, name: &str) -> Value {
    let root = cluster.root(name).display().to_string();
    let mut seen = told(&cluster_command(&["snapshot", "inspect", &root, "--output", "json"]));
    // It may have voted since.
    seen["log"]["vote_term"].take();
    // When it was looked at.
    seen["state"]["created_at"].take();
    seen
}

/// Starts the follower and returns when a part of the snapshot is on its way.
async fn half_way(cluster: &mut Cluster, follower: &'static str) {
    let link = cluster.link(follower).clone();
    link.slow(Duration::from_millis(20));
    link.reset();
    cluster.start_node(follower);
    let deadline = Instant::now() + PATIENCE;
    while link.most() < HALF {
        assert!(Instant::now() < deadline, "only {} bytes were sent", link.most());
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Everything is where it should be in the end, and nothing was applied twice.
async fn same_everywhere(cluster: &Cluster, index: u64) {
    everywhere(cluster, index).await;
    let mut trees = Vec::new();
    for name in cluster.processes.keys() {
        cluster.projected(name, index).await;
        trees.push((name, tree(&cluster.root(name))));
    }
    let (_, first) = &trees[0];
    assert_eq!(first.len(), trees[1].1.len());
    assert!(first.len() as u64 > MISSED);
    assert!(trees.iter().all(|(_, tree)| tree == first), "the files differ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_a_follower_killed_while_it_is_sent_a_snapshot_has_its_old_state_and_is_sent_it_again() {
    let (mut cluster, token, follower, before, last) = with_a_follower_far_behind().await;
    half_way(&mut cluster, follower).await;
    cluster.kill9(follower);
    assert_eq!(disk(&cluster, follower), before);
    cluster.link(follower).slow(Duration::ZERO);
    cluster.start_node(follower);
    everywhere(&cluster, last).await;
    let index = cluster.put_tenant(&token, "after").await;
    same_everywhere(&cluster, index).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_a_leader_killed_while_it_sends_a_snapshot_is_followed_by_one_that_sends_its_own() {
    let (mut cluster, token, follower, before, last) = with_a_follower_far_behind().await;
    half_way(&mut cluster, follower).await;
    let leader = cluster.leader().await;
    cluster.kill9(leader);
    let seen = cluster.readyz(follower).await.unwrap().json();
    assert!(seen["raft"]["applied_index"].as_u64() < Some(last), "{seen}");
    assert!(seen["raft"]["applied_index"].as_u64() <= before["log"]["last_index"].as_u64(), "{seen}");
    cluster.link(follower).slow(Duration::ZERO);
    let index = cluster.put_tenant(&token, "after").await;
    cluster.start_node(leader);
    same_everywhere(&cluster, index).await;
}
