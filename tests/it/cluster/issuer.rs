//! T48: the recipe for a tenant with an issuer of its own (spec §12).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{everywhere, login, person, with_acme};
use crate::harness::api::Answer;
use crate::harness::cluster::NAMES;

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

fn kids(jwks: &Answer) -> Vec<String> {
    jwks.json()["keys"].as_array().unwrap().iter().map(|k| k["kid"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t48_path_mode_login_rotate_and_both_kids_during_grace() {
    let (cluster, token) = with_acme().await;
    let leader = cluster.api(cluster.leader().await).bearer(&token);
    let path_mode = json!({"slug": "acme", "settings": {"issuerMode": "path"}});
    let answer = leader.put("/v1/admin/tenants/acme", path_mode).await.expect(200);
    assert_eq!(answer.json()["settings"]["issuerMode"], "path");
    everywhere(&cluster, answer.header("x-applied-index").unwrap().parse().unwrap()).await;

    let issuer = format!("{}/t/acme", cluster.issuer());
    for name in NAMES {
        let discovery = cluster.api(name).get("/t/acme/.well-known/openid-configuration").await.expect(200);
        assert_eq!(discovery.header("cache-control"), Some("no-store"));
        let discovery = discovery.json();
        assert_eq!(discovery["issuer"], issuer);
        assert_eq!(discovery["jwks_uri"], format!("{}/.well-known/jwks/acme.json", cluster.issuer()));
    }
    let api = cluster.api("node1");
    api.post("/v1/auth/register", person("ann@example.test")).await.expect(201);
    let before = login(&api, "ann@example.test").await.json()["access_token"].as_str().unwrap().to_owned();
    assert_eq!(part(&before, 1)["iss"], issuer);
    assert_eq!(part(&before, 1)["tid"], "acme");
    assert_eq!(part(&before, 0)["typ"], "at+jwt");
    let old_kid = part(&before, 0)["kid"].as_str().unwrap().to_owned();
    let jwks = api.get("/.well-known/jwks/acme.json").await.expect(200);
    assert_eq!(kids(&jwks), [old_kid.as_str()]);
    let global = api.get("/.well-known/jwks.json").await.expect(200);
    assert!(!kids(&global).contains(&old_kid), "keys of a tenant are its own");

    let rotated =
        leader.post("/v1/admin/tenants/acme/keys/rotate", json!({"graceSeconds": 3600})).await.expect(200);
    let index: u64 = rotated.header("x-applied-index").unwrap().parse().unwrap();
    let rotated = rotated.json();
    let new_kid = rotated["kid"].as_str().unwrap().to_owned();
    assert_eq!(rotated["state"], "active");
    assert_eq!(rotated["retiring"][0]["kid"], old_kid.as_str());
    for name in NAMES {
        let api = cluster.api(name);
        let headers = [("X-Min-Index", index.to_string())];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        let jwks = api
            .try_send(reqwest::Method::GET, "/.well-known/jwks/acme.json", &headers, None)
            .await
            .unwrap()
            .expect(200);
        let mut expected = vec![old_kid.clone(), new_kid.clone()];
        expected.sort();
        let mut found = kids(&jwks);
        found.sort();
        assert_eq!(found, expected);
        api.bearer(&before).get("/v1/me").await.expect(200);
        let after = login(&api, "ann@example.test").await.json()["access_token"].as_str().unwrap().to_owned();
        assert_eq!(part(&after, 0)["kid"], new_kid.as_str());
    }

    let rotated = leader
        .post("/v1/admin/tenants/acme/keys/rotate", json!({"graceSeconds": 0}))
        .await
        .expect(200)
        .json();
    let last_kid = rotated["kid"].as_str().unwrap();
    let leader_jwks = leader.get("/.well-known/jwks/acme.json").await.expect(200);
    assert_eq!(kids(&leader_jwks), [last_kid], "grace 0 removes the old keys at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_global_tenant_has_no_discovery_of_its_own_and_serves_the_global_keys() {
    let (cluster, _) = with_acme().await;
    let api = cluster.api("node2");
    let none = api.get("/t/acme/.well-known/openid-configuration").await.expect(404);
    assert_eq!(none.code(), "issuer_mode_global");
    assert_eq!(
        api.get("/t/nobody/.well-known/openid-configuration").await.expect(404).code(),
        "tenant_not_found"
    );
    assert_eq!(
        api.get("/.well-known/jwks/acme.json").await.expect(200).body,
        api.get("/.well-known/jwks.json").await.expect(200).body
    );
    assert_eq!(api.get("/.well-known/jwks/nobody.json").await.expect(404).code(), "tenant_not_found");
}
