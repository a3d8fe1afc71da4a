//! Requests with an `Idempotency-Key` have one effect (spec §13.5, ha.md F23 and I8).

use serde_json::{Value, json};

use crate::harness::node::{Answer, TestNode};

async fn keyed(node: &TestNode, method: &str, path: &str, key: &str, body: Value) -> Answer {
    node.call_with(method, path, &[("Idempotency-Key", key)], body).await
}

fn replayed(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == "true"
}

async fn global_kids(node: &TestNode) -> usize {
    node.get("/.well-known/jwks.json").await.json()["keys"].as_array().unwrap().len()
}

#[tokio::test]
async fn a_rotation_is_done_once_and_answered_as_it_was() {
    let node = TestNode::new().await;
    let rotate = |key: &'static str, body: Value| keyed(&node, "POST", "/v1/admin/keys/rotate", key, body);
    let first = rotate("a", json!({"graceSeconds": 60})).await;
    let published = global_kids(&node).await;
    let again = rotate("a", json!({"graceSeconds": 60})).await;
    assert_eq!((again.status, again.json()), (first.status, first.json()));
    assert!(replayed(&again) && !replayed(&first));
    assert_eq!(global_kids(&node).await, published);
    let other = rotate("a", json!({"graceSeconds": 61})).await;
    assert_eq!((other.status, other.code().as_str()), (422, "idempotency_key_reused"));
    let new = rotate("b", json!({"graceSeconds": 60})).await;
    assert_ne!(new.json()["kid"], first.json()["kid"]);
}

/// A secret is shown once, and again to whoever asks again with the same key.
#[tokio::test]
async fn a_once_shown_secret_is_shown_again() {
    let node = TestNode::new().await;
    node.call("PUT", "/v1/admin/tenants/acme", json!({})).await;
    let path = "/v1/admin/tenants/acme/clients/api";
    let body = json!({"client_type": "confidential"});
    let first = keyed(&node, "PUT", path, "made", body.clone()).await;
    let again = keyed(&node, "PUT", path, "made", body).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert!(first.json()["client_secret"].as_str().unwrap().starts_with("hjs_"));
    assert_eq!((first.json(), replayed(&again)), (again.json(), true));
    assert_eq!(first.header("etag"), again.header("etag"));

    let secret = format!("{path}/secret");
    let rotated = keyed(&node, "POST", &secret, "rotated", json!({})).await;
    let shown = keyed(&node, "POST", &secret, "rotated", json!({})).await;
    assert_eq!((rotated.status, rotated.json()), (shown.status, shown.json()));
    assert_ne!(rotated.json()["client_secret"], first.json()["client_secret"]);
}

/// What was done has changed the document, so the condition is not looked at again; nor is it in the way of a deletion that
/// was done before, even where somebody else has made a document of that name since.
#[tokio::test]
async fn a_repetition_is_known_before_conditions_and_before_absence() {
    let node = TestNode::new().await;
    let path = "/v1/admin/tenants/acme";
    let once = [("Idempotency-Key", "k"), ("If-None-Match", "*")];
    assert_eq!(node.call_with("PUT", path, &once, json!({"name": "A"})).await.status, 201);
    assert_eq!(node.call_with("PUT", path, &once, json!({"name": "A"})).await.status, 201);
    let unkeyed = node.call_with("PUT", path, &[("If-None-Match", "*")], json!({})).await;
    assert_eq!(unkeyed.status, 412);

    assert_eq!(keyed(&node, "DELETE", path, "gone", Value::Null).await.status, 204);
    let again = keyed(&node, "DELETE", path, "gone", Value::Null).await;
    assert_eq!((again.status, replayed(&again)), (204, true));
    assert_eq!(keyed(&node, "DELETE", path, "other", Value::Null).await.status, 404);
    assert_eq!(node.call("PUT", path, json!({})).await.status, 201);
    assert_eq!(keyed(&node, "DELETE", path, "gone", Value::Null).await.status, 204);
    assert_eq!(node.call("GET", path, Value::Null).await.status, 200, "the new one stays");
}

/// Nothing happened, so there is nothing to repeat.
#[tokio::test]
async fn a_request_that_was_refused_may_be_tried_again() {
    let node = TestNode::new().await;
    let path = "/v1/admin/tenants/acme/clients/web";
    let body = json!({"client_type": "public"});
    assert_eq!(keyed(&node, "PUT", path, "k", body.clone()).await.status, 404);
    node.call("PUT", "/v1/admin/tenants/acme", json!({})).await;
    let done = keyed(&node, "PUT", path, "k", body).await;
    assert_eq!((done.status, replayed(&done)), (201, false));
}

#[tokio::test]
async fn requests_with_one_key_at_the_same_time_have_one_effect() {
    let node = TestNode::new().await;
    let before = global_kids(&node).await;
    let body = || json!({"graceSeconds": 60, "prepublishSeconds": 60});
    let asked = (0..8).map(|_| keyed(&node, "POST", "/v1/admin/keys/rotate", "k", body()));
    let answers = futures::future::join_all(asked).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.json() == answers[0].json()));
    assert_eq!(answers.iter().filter(|answer| !replayed(answer)).count(), 1);
    assert_eq!(global_kids(&node).await, before + 1);
}

#[tokio::test]
async fn a_malformed_key_and_a_hand_over_with_one_are_refused() {
    let node = TestNode::new().await;
    let long = "k".repeat(129);
    for key in ["", long.as_str()] {
        let refused = keyed(&node, "POST", "/v1/admin/keys/rotate", key, json!({})).await;
        assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_header"), "{key}");
    }
    let refused = keyed(&node, "POST", "/v1/admin/cluster/step-down", "k", json!({})).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "invalid_header"));
}
