//! T45: a seed with `sub`, sent to one node, is a person at the others.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{PASSWORD, everywhere};
use crate::harness::cluster::{Cluster, NAMES};
use crate::harness::process::run;

const SUB: &str = "0198c0de-0000-7000-8000-000000000001";

/// Seeds through this node; the report.
fn seed(cluster: &Cluster, node: &str, bearer: &str, file: &str) -> Value {
    let mut env: BTreeMap<String, String> = cluster.env(node);
    env.insert("HELLOJOHN_ADMIN_URL".to_owned(), cluster.url(node));
    env.insert("HELLOJOHN_BEARER".to_owned(), bearer.to_owned());
    let output = run(&["--env", "--output", "json", "seed", file], &env);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn results(report: &Value) -> Vec<&str> {
    report["items"].as_array().unwrap().iter().map(|item| item["result"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t45_whoever_is_seeded_with_a_sub_has_it_at_every_node() {
    let cluster = Cluster::start().await;
    let bearer = cluster.mint_token();
    let file = cluster.dir.path().join("seed.yaml");
    let text = format!(
        "tenants: [{{slug: acme, clients: [{{client_id: web, providers: [password], scopes: [openid]}}], \
         users: [{{sub: {SUB}, email: ann@example.test, password: {PASSWORD}}}]}}]"
    );
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let leader = cluster.leader().await;
    let others: Vec<&str> = NAMES.into_iter().filter(|name| *name != leader).collect();
    assert_eq!(results(&seed(&cluster, others[0], &bearer, &file)), ["created"; 3]);
    assert_eq!(results(&seed(&cluster, others[1], &bearer, &file)), ["kept"; 3]);
    let ready = cluster.readyz(leader).await.unwrap().json();
    everywhere(&cluster, ready["raft"]["applied_index"].as_u64().unwrap()).await;

    for (node, next) in [(0, 1), (1, 2), (2, 0)] {
        let login = super::login(&cluster.api(NAMES[node]), "ann@example.test").await.json();
        let access = login["access_token"].as_str().unwrap();
        let claims = access.split('.').nth(1).unwrap();
        let claims = data_encoding::BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&claims).unwrap()["sub"], json!(SUB));
        let me = cluster.api(NAMES[next]).bearer(access).get("/v1/me").await.expect(200).json();
        assert_eq!(me["user"]["id"], SUB);
    }
}
