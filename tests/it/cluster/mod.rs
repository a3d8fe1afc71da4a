//! Scenarios of three real processes with mTLS between them.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail the test")]

mod audit;
mod availability;
mod blacklist;
mod certificates;
mod crash_points;
mod cut_short;
mod dead_database;
mod files;
mod forward;
mod gating;
mod handover;
mod idempotency;
mod input;
mod issuer;
mod leadership;
mod linearizable;
mod matrix;
mod members;
mod old_disks;
mod people;
mod postgres_crash;
mod quorum_loss;
mod recovery;
mod redis_killed;
mod rejoin;
mod secrets;
mod seeded;
mod skew;
mod snapshots;
mod stalls;
mod startup;
mod syncs;
mod transfer;

use std::process::Command;

use serde_json::{Value, json};

use crate::harness::api::{Answer, Api};
use crate::harness::cluster::{Cluster, NAMES};

/// A cluster with tenant `acme` and its public client `web`, seen by every node; gives the admin's token too.
pub(crate) async fn with_acme() -> (Cluster, String) {
    let cluster = Cluster::start().await;
    let token = cluster.mint_token();
    let index = make_acme(&cluster, &token).await;
    for name in NAMES {
        cluster.projected(name, index).await;
    }
    (cluster, token)
}

/// Makes tenant `acme` with its client `web`; gives the log index.
pub(crate) async fn make_acme(cluster: &Cluster, token: &str) -> u64 {
    cluster.put_tenant(token, "acme").await;
    let client = json!({
        "name": "Web", "client_type": "public",
        "redirect_uris": ["http://localhost:3000/cb"], "scopes": ["openid", "profile", "email"],
    });
    cluster.put(token, "/v1/admin/tenants/acme/clients/web", &client).await
}

/// Waits until every node that runs has applied `index`.
pub(crate) async fn everywhere(cluster: &Cluster, index: u64) {
    for name in cluster.processes.keys() {
        cluster
            .until(name, "applied", |answer| {
                answer.json()["raft"]["applied_index"].as_u64().is_some_and(|at| at >= index)
            })
            .await;
    }
}

/// What every account of the tests logs in with.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Body of a registration or login.
pub(crate) fn person(email: &str) -> Value {
    json!({"tenant_id": "acme", "client_id": "web", "email": email, "password": PASSWORD})
}

/// Logs in; gives the answer with its tokens.
pub(crate) async fn login(api: &Api, email: &str) -> Answer {
    api.post("/v1/auth/login", person(email)).await.expect(200)
}

/// How often the node stood for election since it started.
pub(crate) async fn elections_started(cluster: &Cluster, name: &str) -> u64 {
    let body = cluster.api(name).get("/metrics").await.expect(200).body;
    let text = String::from_utf8(body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("hellojohn_raft_elections_started_total "));
    line.map_or(0, |count| count.trim().parse().unwrap())
}

/// Whether processes may be traced here.
pub(crate) fn strace_works() -> bool {
    Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).status().is_ok_and(|s| s.success())
}
