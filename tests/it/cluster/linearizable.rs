//! Reads that see every acknowledged write (spec §3.3).

use serde_json::json;

use crate::harness::cluster::{Cluster, NAMES};

/// A read right after a write, on every node, again and again: a local read of a follower may be behind, this one never is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linearizable_read_sees_what_was_written_before_on_any_node() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    for round in 0..50 {
        let name = format!("round {round}");
        cluster.put(&token, "/v1/admin/tenants/acme", &json!({"name": name})).await;
        let node = NAMES[round % NAMES.len()];
        let read = cluster.api(node).bearer(&token);
        let answer = read.get("/v1/admin/tenants/acme?consistency=linearizable").await.expect(200);
        assert_eq!(answer.json()["name"], name, "{node}");
    }
    let jwks = cluster.api(cluster.followers().await[0]);
    jwks.get("/.well-known/jwks.json?consistency=linearizable").await.expect(200);
}

/// F6: without a quorum nobody can tell, and says so; a local read is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_a_linearizable_read_is_refused() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    cluster.put_tenant(&token, "acme").await;
    let last = cluster.leader().await;
    for name in NAMES.into_iter().filter(|name| *name != last) {
        cluster.kill9(name);
    }
    let api = cluster.api(last).bearer(&token);
    let refused = api.get("/v1/admin/tenants/acme?consistency=linearizable").await.expect(503);
    assert_eq!(refused.code(), "no_leader");
    assert!(refused.header("retry-after").is_some());
    api.get("/v1/admin/tenants/acme?consistency=local").await.expect(200);
}
