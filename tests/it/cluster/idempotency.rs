//! One effect across failovers (ha.md F23).

use reqwest::Method;
use serde_json::json;

use super::everywhere;
use crate::harness::cluster::{Cluster, NAMES, PATIENCE};

/// F23: the leader is killed while it answers; whoever repeats the request with its key, at whatever node, gets one key
/// rotated and the answer of the one that was done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f23_a_rotation_that_is_repeated_across_a_failover_is_done_once() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    for round in 0..3 {
        let leader = cluster.leader().await;
        let key = format!("round-{round}");
        let headers = [("Idempotency-Key", key.as_str())];
        let body = || Some(json!({"prepublishSeconds": 3600, "graceSeconds": 60}).to_string().into_bytes());
        let path = "/v1/admin/keys/rotate";
        let tenant = format!("t{round}");
        let mode = json!({"settings": {"issuerMode": "path"}});
        let api = cluster.api(leader).bearer(&token);
        api.put(&format!("/v1/admin/tenants/{tenant}"), mode).await.expect(201);
        let path = path.replace("/keys", &format!("/tenants/{tenant}/keys"));

        let under_way = {
            let (api, path, key) = (api.clone(), path.clone(), key.clone());
            let body = body();
            tokio::spawn(async move {
                api.try_send(Method::POST, &path, &[("Idempotency-Key", key.as_str())], body).await
            })
        };
        // Some rounds the answer is on its way already, some not.
        for _ in 0..round {
            tokio::time::sleep(std::time::Duration::from_millis(3)).await;
        }
        cluster.kill9(leader);
        let first = under_way.await.unwrap();
        let deadline = std::time::Instant::now() + PATIENCE;
        let done = loop {
            let now = cluster.leader().await;
            let answer =
                cluster.api(now).bearer(&token).try_send(Method::POST, &path, &headers, body()).await;
            match answer {
                Some(answer) if answer.status == 200 => break answer,
                answer => assert!(std::time::Instant::now() < deadline, "{answer:?}"),
            }
        };
        if let Some(first) = first.filter(|first| first.status == 200) {
            assert_eq!(first.json(), done.json());
            assert_eq!(done.header("idempotency-replayed"), Some("true"));
        }
        cluster.start_node(leader);
        let index = cluster.put_tenant(&token, &format!("after-{round}")).await;
        everywhere(&cluster, index).await;
        for name in NAMES {
            let keys =
                cluster.api(name).bearer(&token).get(&format!("/v1/admin/tenants/{tenant}/keys")).await;
            let keys = keys.expect(200).json();
            let next: Vec<_> =
                keys["items"].as_array().unwrap().iter().filter(|key| key["state"] == "next").collect();
            assert_eq!(next.len(), 1, "{keys}");
            assert_eq!(next[0]["kid"], done.json()["kid"]);
        }
    }
}
