//! The route itself.

use std::sync::Arc;

use serde_json::{Value, json};

use super::description::DESCRIBED;
use super::instances::Members;
use super::requests::Parameters;
use crate::harness::node::{Follower, TestNode, send};

/// EP180: public, on any node, kept by its tag; its address is the configured one whatever the request says.
#[tokio::test]
async fn the_document_is_served_to_anybody_and_kept_by_its_tag() {
    let node = TestNode::with(&[("SERVER_PUBLIC_URL", "https://login.test")]).await;
    let follower = node.router_behind(Arc::new(Follower));
    let get = async |headers: &[(&str, &str)]| {
        send(&follower, "GET", "/openapi.json", None, headers, String::new()).await
    };
    let answer = get(&[("host", "evil.example"), ("x-forwarded-host", "evil.example")]).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/json; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), "public, no-cache");
    assert_eq!(answer.json()["servers"], json!([{"url": "https://login.test"}]));
    let tag = answer.header("etag");
    for known in [tag.to_owned(), format!("\"other\", W/{tag}"), "*".to_owned()] {
        let answer = get(&[("if-none-match", &known)]).await;
        assert_eq!((answer.status, answer.body.len(), answer.header("etag")), (304, 0, tag), "{known}");
    }
    assert_eq!(get(&[("if-none-match", "\"other\"")]).await.body, answer.body);
}

/// What has no database behind it: discovery, health, this document.
#[tokio::test]
async fn what_anybody_may_read_answers_as_described() {
    let node = TestNode::new().await;
    node.call("PUT", "/v1/admin/tenants/spare", json!({"settings": {"issuerMode": "path"}})).await;
    node.call("PUT", "/v1/admin/tenants/acme", json!({})).await;
    let mut seen = 0;
    for operation in DESCRIBED.operations().filter(|operation| !operation.path.starts_with("/v1/")) {
        let target = Parameters::from(Members::All).target(&operation);
        let answer = node.call(&operation.method.to_uppercase(), &target, Value::Null).await;
        let expected = if operation.id() == "devShutdown" { 404 } else { 200 };
        assert_eq!(answer.status, expected, "{operation}: {answer:?}");
        seen += 1;
    }
    assert!(seen >= 10, "only {seen}");
}
