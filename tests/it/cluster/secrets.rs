//! Hard promise 6: no secret in clear in files, logs or the Raft log (S111, S112).

use std::collections::BTreeMap;

use serde_json::json;

use super::{PASSWORD, login, person, with_acme};
use crate::harness::cluster::{NAMES, SECRETBOX_MASTER_KEY, SIGNING_MASTER_KEY, walk};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_secrets_are_nowhere_in_clear() {
    let (cluster, token) = with_acme().await;
    let leader = cluster.api(cluster.leader().await).bearer(&token);
    let dsn_password = "planted-dsn-password";
    let settings = json!({"settings": {
        "issuerMode": "path",
        "userStore": {"dsn": format!("postgres://hj:{dsn_password}@127.0.0.1:1/none")},
        "smtp": {"host": "localhost", "from": "a@example.test", "password": "planted-smtp-password"},
        "socialProviders": {"google": {"kind": "google", "clientId": "g", "clientSecret": "planted-social-secret"}},
    }});
    let answer = leader.put("/v1/admin/tenants/other", settings).await.expect(201);
    let shown = String::from_utf8_lossy(&answer.body).into_owned();
    let client = leader
        .put("/v1/admin/tenants/acme/clients/backend", json!({"client_type": "confidential"}))
        .await
        .expect(201)
        .json();
    let client_secret = client["client_secret"].as_str().expect("shown once").to_owned();
    let again = leader.get("/v1/admin/tenants/acme/clients/backend").await.expect(200);
    assert!(!String::from_utf8_lossy(&again.body).contains("client_secret\""));

    let api = cluster.api("node2");
    api.post("/v1/auth/register", person("eve@example.test")).await.expect(201);
    let tokens = login(&api, "eve@example.test").await.json();
    let mut wrong = person("eve@example.test");
    wrong["password"] = json!("planted-wrong-password");
    api.post("/v1/auth/login", wrong).await.expect(401);
    api.bearer("planted-bearer-token").get("/v1/me").await.expect(401);
    leader.post("/v1/admin/tenants/other/user-store/test-connection", json!({})).await.expect(500);

    let secrets = [
        SIGNING_MASTER_KEY,
        SECRETBOX_MASTER_KEY,
        dsn_password,
        "planted-smtp-password",
        "planted-social-secret",
        "planted-wrong-password",
        "planted-bearer-token",
        PASSWORD,
        client_secret.as_str(),
        token.as_str(),
        tokens["refresh_token"].as_str().unwrap(),
        tokens["access_token"].as_str().unwrap(),
        "PRIVATE KEY",
    ];
    for secret in &secrets {
        assert!(!shown.contains(secret), "an answer shows {secret}");
    }
    let mut seen = BTreeMap::new();
    for name in NAMES {
        walk(cluster.dir.path(), &cluster.root(name), &mut seen);
        seen.insert(format!("{name}.log"), std::fs::read(cluster.log(name)).unwrap());
    }
    assert!(seen.keys().any(|path| path.ends_with("/raft/log/db")), "{:?}", seen.keys());
    for (path, bytes) in &seen {
        for secret in &secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{path} holds {secret:?} in clear");
        }
    }
}
