//! A node that lost its disk comes back as somebody else (spec §13.4).

use serde_json::{Value, json};

use super::{everywhere, make_acme, with_acme};
use crate::harness::cluster::{Cluster, NAMES, tree};

/// The marker of a node's disk.
pub(super) fn identity(cluster: &Cluster, name: &str) -> Value {
    let path = cluster.root(name).join("raft/identity.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Kills a node, empties its `raft/`, starts it, and waits until it is a voter again.
pub(super) async fn lose_the_disk_of(cluster: &mut Cluster, name: &'static str) {
    cluster.kill9(name);
    std::fs::remove_dir_all(cluster.root(name).join("raft")).unwrap();
    cluster.start_node(name);
    votes_again(cluster, name).await;
}

/// Waits until a node serves people and has a vote.
pub(super) async fn votes_again(cluster: &Cluster, name: &str) {
    cluster.ready(name).await;
    cluster.until(name, "a voter", |answer| answer.json()["cluster"]["voter"] == true).await;
}

/// T41, F15: keys are rotated, a follower loses its `raft/` and is started again: it has the leader's JWKS and files, under
/// a new Raft id, and its vote counts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t41_a_follower_that_lost_its_disk_is_swapped_in_under_a_new_raft_id() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    make_acme(&cluster, &token).await;
    let leader = cluster.leader().await;
    let rotated =
        cluster.api(leader).bearer(&token).post("/v1/admin/keys/rotate", json!({})).await.expect(200);
    let follower = cluster.followers().await[0];
    let old = identity(&cluster, follower);

    lose_the_disk_of(&mut cluster, follower).await;
    let jwks = cluster.api(leader).get("/.well-known/jwks.json").await.json();
    assert_eq!(cluster.api(follower).get("/.well-known/jwks.json").await.json(), jwks);
    assert!(jwks["keys"].as_array().unwrap().iter().any(|key| key["kid"] == rotated.json()["kid"]), "{jwks}");
    let new = identity(&cluster, follower);
    assert_eq!((&new["state"], &new["incarnation"]), (&json!("member"), &json!(2)), "{new}");
    assert_eq!(new["cluster_id"], old["cluster_id"]);
    assert!(new["raft_id"].as_u64() > Some(3), "{new}");

    let other = NAMES.into_iter().find(|name| *name != leader && *name != follower).unwrap();
    cluster.kill9(other);
    let index = cluster.put_tenant(&token, "with-its-vote").await;
    everywhere(&cluster, index).await;
    for name in [leader, follower] {
        cluster.projected(name, index).await;
    }
    assert_eq!(tree(&cluster.root(follower)), tree(&cluster.root(leader)));
}

/// One after the other, all three lose their disks; what was written is still there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_may_lose_its_disk_once_another_has_come_back() {
    let (mut cluster, token) = with_acme().await;
    for (lost, name) in NAMES.into_iter().enumerate() {
        lose_the_disk_of(&mut cluster, name).await;
        let index = cluster.put_tenant(&token, &format!("after-{lost}")).await;
        everywhere(&cluster, index).await;
    }
    for name in NAMES {
        let api = cluster.api(name).bearer(&token);
        for slug in ["acme", "after-0", "after-1", "after-2"] {
            api.get(&format!("/v1/admin/tenants/{slug}")).await.expect(200);
        }
        assert_eq!(identity(&cluster, name)["incarnation"], 2, "{name}");
    }
}
