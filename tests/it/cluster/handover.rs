//! A planned change of the leader (ha.md F4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;

use super::everywhere;
use crate::harness::api::Api;
use crate::harness::cluster::{Cluster, NAMES, PATIENCE};

/// Writes tenants to one node until told to stop, or until that node no longer leads; gives those that were written. Each
/// write is done or refused: none has an unknown outcome.
async fn write_until(api: Api, stop: Arc<AtomicBool>, prefix: String) -> Vec<String> {
    let mut written = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let slug = format!("{prefix}-{}", written.len());
        let body = Some(json!({"name": slug}).to_string().into_bytes());
        let answer = api.try_send(Method::PUT, &format!("/v1/admin/tenants/{slug}"), &[], body).await;
        match answer.as_ref().map(|answer| (answer.status, answer.code())) {
            Some((201, _)) => written.push(slug),
            Some((409, code)) if code == "follower_conflict" => break,
            Some((503, code)) if code == "no_leader" => break,
            other => unreachable!("{other:?}"),
        }
    }
    written
}

/// F4: nothing is lost and nothing is in doubt.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_hands_over_under_load() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    let first = cluster.leader().await;
    let heir = cluster.followers().await[0];
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|n| {
            let api = cluster.api(first).bearer(&token);
            tokio::spawn(write_until(api, Arc::clone(&stop), format!("w{n}")))
        })
        .collect();
    let answer =
        cluster.api(first).bearer(&token).post("/v1/admin/cluster/step-down", json!({"to": heir})).await;
    let answer = answer.expect(200).json();
    assert_eq!(answer["leader"], heir, "{answer}");
    assert!(answer["gap_ms"].is_u64(), "{answer}");
    assert_eq!(cluster.leader().await, heir);
    stop.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    let index = cluster.put_tenant(&token, "after").await;
    everywhere(&cluster, index).await;
    for name in NAMES {
        for slug in &written {
            cluster.api(name).bearer(&token).get(&format!("/v1/admin/tenants/{slug}")).await.expect(200);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_without_a_successor_goes_on() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    let leader = cluster.leader().await;
    let dead = cluster.followers().await[0];
    cluster.kill9(dead);
    // Its last sign of life has to be old enough.
    cluster
        .until(leader, "silent", |answer| {
            let body = answer.json();
            let peers = body["raft"]["peers"].as_array().unwrap().clone();
            peers.iter().any(|peer| peer["id"] == dead && peer["last_contact_ms"].as_u64() > Some(600))
        })
        .await;
    let api = cluster.api(leader).bearer(&token);
    for to in [dead, "node9"] {
        let answer = api.post("/v1/admin/cluster/step-down", json!({"to": to})).await.expect(409);
        assert_eq!(answer.code(), "no_successor", "{to}");
    }
    let already = api.post("/v1/admin/cluster/step-down", json!({"to": leader})).await.expect(200).json();
    assert_eq!(
        (&already["leader"], &already["gap_ms"]),
        (&json!(leader), &json!(0)),
        "asked for twice, done once"
    );
    cluster.put_tenant(&token, "still").await;
    assert_eq!(cluster.leader().await, leader);
    let follower = cluster.followers().await[0];
    let elsewhere = cluster.api(follower).bearer(&token).post("/v1/admin/cluster/step-down", json!({})).await;
    assert_eq!(elsewhere.expect(409).code(), "follower_conflict");
}

/// F4: whoever is told to end hands over first: the others never stand for election by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_told_to_end_hands_over() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    let first = cluster.leader().await;
    let mut process = cluster.processes.remove(first).unwrap();
    process.signal(Signal::SIGTERM);
    assert!(process.wait(PATIENCE).is_some_and(|status| status.success()));
    let log = process.log_text();
    assert!(log.contains("the leadership was handed over"), "{log}");
    cluster.put_tenant(&token, "after").await;
    for name in cluster.followers().await {
        let log = cluster.processes[name].log_text();
        let stood = log.lines().filter(|line| line.contains("no leader is heard; standing")).count();
        let body = cluster.readyz(name).await.unwrap().json();
        assert!(stood <= 1, "{name} stood {stood} times beside the first election: {body}");
    }
}
