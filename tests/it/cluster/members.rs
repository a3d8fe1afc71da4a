//! Members are added, promoted and removed while the cluster runs (spec §3.2, ha.md F15).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::everywhere;
use super::rejoin::votes_again;
use crate::harness::api::{Answer, Api};
use crate::harness::cluster::{Cluster, NAMES, PATIENCE, tree};

const MEMBERS: &str = "/v1/admin/cluster/members";

/// What a node says of a member.
async fn member(api: &Api, name: &str) -> Value {
    let cluster = api.get("/v1/admin/cluster").await.expect(200).json();
    let members = cluster["members"].as_array().unwrap();
    members.iter().find(|member| member["name"] == name).cloned().unwrap_or(Value::Null)
}

/// Asks the leader until it agrees.
pub(super) async fn until_done(cluster: &Cluster, token: &str, path: &str, body: Value) -> Answer {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let leader = cluster.api(cluster.leader().await).bearer(token);
        let answer = leader.post(path, body.clone()).await;
        if matches!(answer.status, 200 | 201) {
            return answer;
        }
        assert!(std::time::Instant::now() < deadline, "{answer:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

/// Writes through whoever leads until told to stop; gives what was acknowledged.
async fn keep_writing(urls: Vec<Api>, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut written = Vec::new();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let slug = format!("load-{number}");
        for api in &urls {
            let body = Some(json!({"name": slug}).to_string().into_bytes());
            let path = format!("/v1/admin/tenants/{slug}");
            let answer = api.try_send(reqwest::Method::PUT, &path, &[], body).await;
            if answer.is_some_and(|answer| matches!(answer.status, 200 | 201)) {
                written.push(slug);
                break;
            }
        }
    }
    written
}

/// F15: a member is replaced by another machine under load. Nothing that was acknowledged is missing on the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f15_a_member_is_replaced_under_load() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    let leader = cluster.api(cluster.leader().await).bearer(&token);
    // Nobody would find it.
    let refused = leader.post(MEMBERS, json!({"name": "node4"})).await.expect(409);
    assert_eq!(refused.code(), "member_not_ready");
    assert!(refused.json()["detail"].as_str().unwrap().contains("CLUSTER_NODES"), "{refused:?}");

    cluster.expect_node("node4");
    for name in NAMES {
        cluster.restart(name).await;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let urls = NAMES.map(|name| cluster.api(name).bearer(&token)).to_vec();
    let load = tokio::spawn(keep_writing(urls, Arc::clone(&stop)));

    cluster.start_node("node4");
    cluster
        .until("node4", "told that it is no member", |answer| {
            let waiting = answer.json()["cluster"]["waiting"].to_string();
            waiting.contains("hellojohn cluster members add node4")
        })
        .await;
    until_done(&cluster, &token, MEMBERS, json!({"name": "node4"})).await;
    cluster.ready("node4").await;
    let new = cluster.api("node4").bearer(&token);
    cluster.until("node4", "a learner", |answer| answer.json()["cluster"]["role"] == "learner").await;
    assert_eq!(member(&new, "node4").await["state"], "learner");
    let promoted = until_done(&cluster, &token, &format!("{MEMBERS}/node4/promote"), json!({})).await;
    assert_eq!(promoted.json()["role"], "voter", "{promoted:?}");
    votes_again(&cluster, "node4").await;

    let leader = cluster.leader().await;
    let api = cluster.api(leader).bearer(&token);
    let own = api.delete(&format!("{MEMBERS}/{leader}")).await.expect(409);
    assert_eq!(own.code(), "member_leads");
    assert_eq!(api.delete(&format!("{MEMBERS}/node9")).await.expect(404).code(), "member_not_found");
    let gone = NAMES.into_iter().find(|name| *name != leader).unwrap();
    api.delete(&format!("{MEMBERS}/{gone}")).await.expect(204);
    let mut process = cluster.processes.remove(gone).unwrap();
    assert!(process.wait(PATIENCE).is_some_and(|status| !status.success()), "{gone} goes on");
    assert!(process.log_text().contains("was removed from the cluster"), "{}", process.log_text());

    stop.store(true, Ordering::Relaxed);
    let written = load.await.unwrap();
    assert!(!written.is_empty());
    let index = cluster.put_tenant(&token, "last").await;
    everywhere(&cluster, index).await;
    for slug in &written {
        new.get(&format!("/v1/admin/tenants/{slug}")).await.expect(200);
    }
    let mut hashes = Vec::new();
    for name in cluster.processes.keys() {
        cluster.projected(name, index).await;
        let answer = cluster.api(name).bearer(&token).get("/v1/admin/cluster").await.expect(200).json();
        assert!(answer["applied_index"].as_u64() >= Some(index), "{answer}");
        hashes.push((answer["applied_index"].clone(), answer["state_hash"].clone()));
    }
    assert!(hashes.windows(2).all(|pair| pair[0] == pair[1]), "{hashes:?}");
    assert_eq!(tree(&cluster.root("node4")), tree(&cluster.root(leader)));

    // Its disk is none of the cluster's any more, and says so before it serves anybody.
    cluster.start_node(gone);
    let mut process = cluster.processes.remove(gone).unwrap();
    assert!(process.wait(PATIENCE).is_some_and(|status| !status.success()), "{gone} goes on");
}

/// ha.md: never fewer live voters than a quorum, by anybody's command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_would_cost_the_quorum_is_refused() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    let leader = cluster.leader().await;
    let [alive, dead] = cluster.followers().await[..] else { unreachable!() };
    cluster.kill9(dead);
    cluster
        .until(leader, "silent", |answer| {
            let peers = answer.json()["raft"]["peers"].as_array().unwrap().clone();
            peers.iter().any(|peer| peer["id"] == dead && peer["last_contact_ms"].as_u64() > Some(1000))
        })
        .await;
    let api = cluster.api(leader).bearer(&token);
    let refused = api.delete(&format!("{MEMBERS}/{alive}")).await.expect(409);
    assert_eq!(refused.code(), "quorum_at_risk");
    assert!(refused.json()["detail"].as_str().unwrap().contains(dead), "{refused:?}");
    api.delete(&format!("{MEMBERS}/{dead}")).await.expect(204);
    // Two of two: each is needed.
    let index = cluster.put_tenant(&token, "two").await;
    everywhere(&cluster, index).await;
    let last = api.delete(&format!("{MEMBERS}/{alive}")).await.expect(204);
    drop(last);
    cluster.put_tenant(&token, "one").await;
    assert_eq!(api.delete(&format!("{MEMBERS}/{leader}")).await.expect(409).code(), "member_leads");
}
