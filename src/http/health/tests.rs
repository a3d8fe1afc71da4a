//! The body of `/readyz`, pinned, and what is said when a part fails.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::ready::answer;
use crate::cluster::{FsStatus, PeerStatus, RaftStatus, Role, Status};
use crate::service::health::{Check, Failure, Report};

fn status() -> Status {
    let peer = |id: &str, lag: u64| PeerStatus {
        id: id.to_owned(),
        addr: format!("{id}.internal:8201"),
        matched_index: Some(42 - lag),
        lag: Some(lag),
        last_contact_ms: Some(12),
        clock_ahead_ms: None,
    };
    Status {
        mode: "embedded",
        role: Role::Leader,
        voter: true,
        node_id: "n1".to_owned(),
        leader_id: Some("n1".to_owned()),
        term: 3,
        peers_configured: 3,
        cluster_id: Some("0b9c6a3e-5b0d-4c7f-8a1b-2c3d4e5f6071".to_owned()),
        waiting: None,
        other_cluster: None,
        fs: FsStatus { projected_index: 41, repairs: 0, quarantined: 0 },
        raft: RaftStatus {
            num_peers: 2,
            state: "Leader",
            applied_index: 42,
            commit_index: 42,
            last_log_index: 42,
            snapshot_index: 0,
            purged_index: 0,
            quorum_ok: true,
            peers: vec![peer("n2", 0), peer("n3", 2)],
        },
        certificate_ends: None,
        caught_up: true,
        fs_degraded: None,
    }
}

fn report() -> Report {
    let (failing, cluster) = (Vec::new(), status());
    Report { failing, database: Check::Ok, cache: Check::Disabled, keystore: Check::Ok, cluster }
}

async fn read(report: &Report) -> (StatusCode, Value) {
    let redirects = BTreeMap::from([("n1".to_owned(), "https://n1.example.com".to_owned())]);
    let response = answer(report, &redirects);
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&body).unwrap())
}

/// spec §3.4, §13.1: pinned, because load balancers, scripts and alerts read it.
#[tokio::test]
async fn the_body_of_a_ready_node_is_pinned() {
    let (status, body) = read(&report()).await;
    assert_eq!(status, StatusCode::OK);
    insta::assert_json_snapshot!(body);
}

/// spec §3.4: top-level `raft` is the same object
#[tokio::test]
async fn raft_stands_in_the_cluster_and_at_the_top() {
    let (_, body) = read(&report()).await;
    assert_eq!(body["raft"], body["cluster"]["raft"]);
}

/// spec §13.2
#[tokio::test]
async fn a_node_that_waits_for_its_peers_names_them() {
    let mut report = report();
    report.cluster.waiting = Some("no answer from n2, n3".to_owned());
    report.failing = vec![Failure { code: "cluster_not_formed", detail: "no answer from n2, n3".to_owned() }];
    let (status, body) = read(&report).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((&body["status"], &body["code"]), (&"unavailable".into(), &"cluster_not_formed".into()));
    assert_eq!(body["failing"][0]["detail"], "no answer from n2, n3");
}

/// The reason may name a path of this machine, so it stays in the log.
#[tokio::test]
async fn degraded_files_are_a_flag_without_the_reason_and_do_not_make_the_node_unready() {
    let mut report = report();
    report.cluster.fs_degraded = Some("/var/lib/hellojohn/tenants: no space".to_owned());
    let (status, body) = read(&report).await;
    assert_eq!((status, &body["fs_degraded"]), (StatusCode::OK, &true.into()));
    assert!(!body.to_string().contains("/var/lib"));
}
