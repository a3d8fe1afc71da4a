//! Who leads, and that losing the leader costs nobody a login.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::json;

use super::{elections_started, everywhere, login, person, with_acme};
use crate::harness::cluster::{Cluster, NAMES};

/// T46: one leader, two followers; the leader is killed, another leads, writes work; the old one returns as
/// follower and has everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t46_the_leader_is_killed_and_returns_as_follower() {
    let mut cluster = Cluster::start().await;
    let token = cluster.mint_token();
    let first = cluster.leader().await;
    let mut roles: Vec<String> = Vec::new();
    for name in NAMES {
        let body = cluster.readyz(name).await.unwrap().expect(200).json();
        assert_eq!(body["cluster"]["leader_id"], first, "{body}");
        assert_eq!(body["cluster"]["raft"], body["raft"]);
        roles.push(body["cluster"]["role"].as_str().unwrap().to_owned());
    }
    roles.sort();
    assert_eq!(roles, ["follower", "follower", "leader"]);
    cluster.put_tenant(&token, "before").await;

    cluster.kill9(first);
    let index = cluster.put_tenant(&token, "after").await;
    let second = cluster.leader().await;
    assert_ne!(second, first);

    cluster.start_node(first);
    let body = cluster
        .until(first, "caught up as follower", |answer| {
            let body = answer.json();
            body["raft"]["applied_index"].as_u64() >= Some(index) && body["cluster"]["role"] == "follower"
        })
        .await;
    assert_eq!(body["cluster"]["leader_id"], second, "{body}");
    for slug in ["before", "after"] {
        cluster.admin(first).get(&format!("/v1/admin/tenants/{slug}")).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_is_left_alone_serves_people_without_quorum() {
    let (cluster, token) = with_acme().await;
    let last = cluster.followers().await[0];
    serves_people_without_quorum(cluster, &token, last).await;
}

/// A leader that nobody answers any more stops calling itself one (spec §13.6).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_left_alone_serves_people_without_quorum() {
    let (cluster, token) = with_acme().await;
    let last = cluster.leader().await;
    serves_people_without_quorum(cluster, &token, last).await;
}

/// Hard promise 3: with two of three nodes gone, the last one goes on logging people in, and says that it takes
/// no writes.
async fn serves_people_without_quorum(mut cluster: Cluster, token: &str, last: &'static str) {
    cluster.api(last).post("/v1/auth/register", person("ann@example.test")).await.expect(201);
    for name in NAMES.into_iter().filter(|name| *name != last) {
        cluster.kill9(name);
    }
    let body = cluster.until(last, "quorum lost", |answer| answer.json()["raft"]["quorum_ok"] == false).await;
    assert_eq!(body["cluster"]["role"], "follower");
    cluster.readyz(last).await.unwrap().expect(200);

    let api = cluster.api(last);
    let tokens = login(&api, "ann@example.test").await.json();
    let refreshed = api
        .post("/v1/auth/refresh", json!({"refresh_token": tokens["refresh_token"]}))
        .await
        .expect(200)
        .json();
    let me = api.bearer(refreshed["access_token"].as_str().unwrap()).get("/v1/me").await.expect(200).json();
    assert_eq!(me["user"]["email"], "ann@example.test", "{me}");
    api.get("/.well-known/jwks.json").await.expect(200);
    api.get("/.well-known/openid-configuration").await.expect(200);

    let write = api.bearer(token).put("/v1/admin/tenants/acme", json!({"name": "New"})).await.expect(503);
    assert_eq!(write.code(), "no_leader");
    assert!(write.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1);
    assert_eq!(api.bearer(token).get("/v1/admin/tenants/acme").await.json()["name"], "acme");
}

/// Each step of a person's session on another node, while the leader dies in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_walks_across_nodes_and_outlives_the_leader() {
    let (mut cluster, token) = with_acme().await;
    let [one, two, three] = NAMES;
    cluster.api(one).post("/v1/auth/register", person("bob@example.test")).await.expect(201);
    let tokens = login(&cluster.api(two), "bob@example.test").await.json();
    let leader = cluster.leader().await;
    cluster.kill9(leader);
    let alive: Vec<&str> = [one, two, three].into_iter().filter(|name| *name != leader).collect();
    for name in &alive {
        let api = cluster.api(name).bearer(tokens["access_token"].as_str().unwrap());
        api.get("/v1/me").await.expect(200);
    }
    let refreshed = cluster
        .api(alive[0])
        .post("/v1/auth/refresh", json!({"refresh_token": tokens["refresh_token"], "client_id": "web"}))
        .await
        .expect(200)
        .json();
    let index = cluster.put_tenant(&token, "later").await;
    everywhere(&cluster, index).await;
    let api = cluster.api(alive[1]).bearer(refreshed["access_token"].as_str().unwrap());
    api.post("/v1/auth/logout", json!({"refresh_token": refreshed["refresh_token"]})).await.expect(204);
    let reused = cluster
        .api(alive[0])
        .post("/v1/auth/refresh", json!({"refresh_token": refreshed["refresh_token"]}))
        .await
        .expect(401);
    assert_eq!(reused.code(), "invalid_refresh_token");
}

/// Decision 0008: a leader whose process has ended need not be waited for as long as one that is silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_leader_is_replaced_sooner_than_a_silent_one() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.set("RAFT_ELECTION_MIN_MS", "10000");
    cluster.set("RAFT_ELECTION_MAX_MS", "11000");
    cluster.start_all().await;
    let killed = cluster.leader().await;
    let since = Instant::now();
    cluster.kill9(killed);
    let silent = cluster.leader().await;
    let gap = since.elapsed();
    assert!(gap >= Duration::from_millis(4_500) && gap < Duration::from_secs(10), "{gap:?}");

    cluster.start_node(killed);
    cluster.ready(killed).await;
    let since = Instant::now();
    cluster.processes[silent].signal(Signal::SIGSTOP);
    let other = NAMES.into_iter().find(|name| *name != silent && *name != killed).unwrap();
    cluster
        .until(other, "another leader", |answer| {
            let leader = &answer.json()["cluster"]["leader_id"];
            !leader.is_null() && leader != silent
        })
        .await;
    // The last heartbeat came at most a heartbeat before, on its way when the leader was stopped.
    let gap = since.elapsed();
    assert!(gap >= Duration::from_millis(9_500), "{gap:?}");
}

/// SIGTERM ends a node in order and with success.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_a_node_cleanly() {
    let mut cluster = Cluster::start().await;
    let leader = cluster.leader().await;
    let process = cluster.processes.get_mut(leader).unwrap();
    process.signal(Signal::SIGTERM);
    let status = process.wait(Duration::from_secs(30)).expect("the node ends");
    assert!(status.success(), "{status}");
}

/// F8: a follower that was stopped for longer than any election timeout finds out that there is a leader before it
/// stands for election.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_stopped_returns_without_an_election() {
    let cluster = Cluster::start().await;
    let token = cluster.mint_token();
    let leader = cluster.leader().await;
    for follower in cluster.followers().await {
        let before = elections_started(&cluster, follower).await;
        cluster.processes[follower].signal(Signal::SIGSTOP);
        cluster
            .until(leader, "silence of the stopped follower", |answer| {
                let body = answer.json();
                let peers = body["raft"]["peers"].as_array().unwrap();
                let peer = peers.iter().find(|peer| peer["id"] == follower).unwrap();
                peer["last_contact_ms"].as_u64().is_some_and(|age| age >= 1_500)
            })
            .await;
        cluster.processes[follower].signal(Signal::SIGCONT);
        let index = cluster.put_tenant(&token, follower).await;
        cluster
            .until(follower, "caught up", |answer| {
                answer.json()["raft"]["applied_index"].as_u64() >= Some(index)
            })
            .await;
        assert_eq!(elections_started(&cluster, follower).await, before, "{follower}");
    }
}
