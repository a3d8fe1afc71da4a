//! Signing keys (EP109), and reads that wait for an index (spec §3.3).

use hellojohn::service::control::MAX_WAITING_READS;
use serde_json::{Value, json};

use crate::harness::node::{TestNode, until};

fn kids(jwks: &Value) -> Vec<String> {
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

/// EP109, spec §13.3, S46
#[tokio::test]
async fn a_rotation_answers_after_activation_and_both_keys_stay_published_for_the_grace() {
    let node = TestNode::new().await;
    let before = node.get("/.well-known/jwks.json").await.json();
    let old = kids(&before)[0].clone();
    let rotated = node.call("POST", "/v1/admin/keys/rotate", json!({"graceSeconds": 60})).await;
    assert_eq!(rotated.status, 200, "{:?}", rotated.json());
    let body = rotated.json();
    assert_eq!((&body["state"], &body["alg"]), (&"active".into(), &"EdDSA".into()));
    assert_eq!(body["retiring"][0]["kid"], old.as_str());
    assert!(body["retiring"][0]["retire_at"].is_string());
    let after = node.get("/.well-known/jwks.json").await;
    let new = body["kid"].as_str().unwrap().to_owned();
    let mut published = kids(&after.json());
    published.sort();
    let mut both = vec![old.clone(), new.clone()];
    both.sort();
    assert_eq!(published, both);
    assert!(!String::from_utf8_lossy(&after.body).contains("\"d\""), "no private half");

    // grace=0 removes the old ones at once.
    let at_once =
        node.call("POST", "/v1/admin/keys/rotate", json!({"graceSeconds": 0, "activate": "now"})).await;
    assert_eq!(at_once.status, 200);
    let left = kids(&node.get("/.well-known/jwks.json").await.json());
    assert_eq!(left, [at_once.json()["kid"].as_str().unwrap()]);
    let listed = node.call("GET", "/v1/admin/keys", Value::Null).await;
    assert_eq!(listed.json()["items"].as_array().unwrap().len(), 3);
    assert!(!String::from_utf8_lossy(&listed.body).contains("GCMV1"));
}

#[tokio::test]
async fn a_prepublished_key_waits_and_a_second_rotation_meanwhile_is_409() {
    let node = TestNode::new().await;
    let next = node.call("POST", "/v1/admin/keys/rotate", json!({"prepublishSeconds": 3600})).await;
    assert_eq!((next.status, &next.json()["state"]), (200, &"next".into()));
    let refused = node.call("POST", "/v1/admin/keys/rotate", Value::Null).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "rotation_pending"));
    for body in
        [json!({"grace": 1}), json!({"alg": "HS256"}), json!({"alg": "PS256"}), json!({"activate": "later"})]
    {
        assert_eq!(node.call("POST", "/v1/admin/keys/rotate", body.clone()).await.status, 422, "{body}");
    }
}

#[tokio::test]
async fn keys_of_a_tenant_are_its_own() {
    let node = TestNode::new().await;
    node.call("PUT", "/v1/admin/tenants/acme", json!({})).await;
    let rotate = "/v1/admin/tenants/acme/keys/rotate";
    assert_eq!(node.call("POST", rotate, Value::Null).await.code(), "issuer_mode_global");
    node.call("PUT", "/v1/admin/tenants/acme", json!({"settings": {"issuerMode": "path"}})).await;
    let rotated = node.call("POST", rotate, Value::Null).await;
    assert_eq!(rotated.status, 200);
    let listed = node.call("GET", "/v1/admin/tenants/acme/keys", Value::Null).await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    assert_eq!(node.call("GET", "/v1/admin/tenants/none/keys", Value::Null).await.code(), "tenant_not_found");
}

/// spec §3.3
#[tokio::test]
async fn a_read_waits_for_the_index_that_it_asks_for() {
    let node = TestNode::new().await;
    let made = node.call("PUT", "/v1/admin/tenants/acme", json!({})).await;
    let index = made.header("x-applied-index").to_owned();
    for path in [
        "/v1/admin/tenants/acme",
        "/v1/admin/ping",
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
    ] {
        let read = node.call_with("GET", path, &[("x-min-index", &index)], Value::Null).await;
        assert_eq!(read.status, 200, "{path}");
        assert!(read.header("x-applied-index").parse::<u64>().unwrap() >= index.parse::<u64>().unwrap());
        let bad = node.call_with("GET", path, &[("x-min-index", "-1")], Value::Null).await;
        assert_eq!((bad.status, bad.code().as_str()), (400, "invalid_header"), "{path}");
    }
    let future = [("x-min-index", "18446744073709551615")];
    let late = node.call_with("GET", "/v1/admin/tenants", &future, Value::Null).await;
    assert_eq!((late.status, late.code().as_str()), (503, "index_not_reached"));
    assert_eq!(late.header("retry-after"), "1");
    for (level, status) in [("local", 200), ("linearizable", 200), ("strong", 400)] {
        let read = node.call("GET", &format!("/v1/admin/tenants?consistency={level}"), Value::Null).await;
        assert_eq!(read.status, status, "{level}");
    }
}

/// S115: public reads that wait may not take the places of everybody else.
#[tokio::test]
async fn beyond_a_number_of_waiting_reads_one_more_is_answered_at_once() {
    let node = TestNode::new().await;
    let future = [("x-min-index", "18446744073709551615")];
    let ask = || node.call_with("GET", "/.well-known/jwks.json", &future, Value::Null);
    let crowd = futures::future::join_all((0..MAX_WAITING_READS).map(|_| ask()));
    let one_more = until("a read is not kept waiting", || async {
        let asked = tokio::time::Instant::now();
        let answer = ask().await;
        assert_eq!((answer.status, answer.code().as_str()), (503, "index_not_reached"));
        asked.elapsed() < std::time::Duration::from_secs(1)
    });
    let (crowd, ()) = futures::future::join(crowd, one_more).await;
    assert!(crowd.iter().all(|answer| answer.status == 503));
    let present = node.call_with("GET", "/.well-known/jwks.json", &[("x-min-index", "1")], Value::Null).await;
    assert_eq!(present.status, 200);
}

/// EP110
#[tokio::test]
async fn ping_says_who_answers_and_who_asks() {
    let node = TestNode::new().await;
    let pong = node.call("GET", "/v1/admin/ping", Value::Null).await;
    assert_eq!((pong.status, &pong.json()["status"]), (200, &"ok".into()));
    assert_eq!(pong.json()["subject"], "admin");
}
