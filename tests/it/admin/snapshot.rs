//! EP131: a node's own state as a file.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use hellojohn::cluster::offline::Archive;
use hellojohn::service::audit::{Administrator, Requester};
use serde_json::{Value, json};

use crate::harness::node::TestNode;

const PATH: &str = "/v1/admin/cluster/snapshot";

#[tokio::test]
async fn a_snapshot_is_the_applied_state_whole_and_without_a_secret_in_clear() {
    let node = TestNode::new().await;
    let written = node.call("PUT", "/v1/admin/tenants/acme", json!({})).await;
    let client = json!({"client_type": "confidential", "redirect_uris": ["https://acme.example/cb"]});
    let client = node.call("PUT", "/v1/admin/tenants/acme/clients/web", client).await;
    assert_eq!(client.status, 201, "{:?}", client.json());
    let answer = node.call("POST", PATH, Value::Null).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/octet-stream"));
    assert_eq!(answer.header("content-length"), answer.body.len().to_string());
    let archive = Archive::decode(Path::new("answer"), answer.body.to_vec()).unwrap();
    let (_, index) = answer.marks();
    assert!(index >= written.marks().1);
    let summary = archive.summary().unwrap();
    assert_eq!((summary.index, summary.tenants, summary.clients), (index, 1, 1));
    assert_eq!(node.assembled.plane.state_hash().unwrap(), (index, summary.state_hash));
    let secret = client.json()["client_secret"].as_str().unwrap().to_owned();
    assert!(!String::from_utf8_lossy(&answer.body).contains(&secret));
}

/// Each is held in memory whole.
#[tokio::test]
async fn one_snapshot_at_a_time_is_made_or_sent() {
    let node = TestNode::new().await;
    let by = Administrator {
        actor: "admin".to_owned(),
        requester: Requester {
            request_id: "r".to_owned(),
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            user_agent: None,
        },
    };
    let state = &node.assembled.state;
    let saved = state.control.save_archive(&by, &state.stores).await.unwrap();
    let refused = node.call("POST", PATH, Value::Null).await;
    assert_eq!((refused.status, refused.code().as_str()), (503, "busy"));
    assert_eq!(refused.header("retry-after"), "2");
    drop(saved);
    assert_eq!(node.call("POST", PATH, Value::Null).await.status, 200);
}
