//! Single writes of a drill, beside the load.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::cluster::directory::Directory;
use crate::run::Run;

/// Writes `count` tenants with long names, so that a snapshot is large.
pub(super) async fn ballast(run: &Run, count: usize) -> Result<(), String> {
    let leader = run.leader().await?;
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let directory = Arc::clone(&run.cluster.directory);
        writers.spawn(async move {
            for number in (writer..count).step_by(16) {
                let body = json!({ "name": format!("ballast {number} {}", "x".repeat(150)) });
                let path = format!("/v1/admin/tenants/ballast-{number}");
                // Some may fail on a busy machine; there are enough of them.
                let _some = directory.send(leader, Method::PUT, &path, &[], Some(&body)).await;
            }
        });
    }
    while writers.join_next().await.is_some() {}
    Ok(())
}

/// How one write at a node was answered.
#[derive(Debug, Clone)]
pub(super) struct Probed {
    /// When it was sent, from the first probe on.
    pub(super) sent: Duration,
    /// How long the answer took.
    pub(super) took: Duration,
    /// Status and code.
    pub(super) said: String,
}

/// Sends a write to a node every 50 ms, whatever becomes of those before, and gives all answers.
pub(super) async fn probes(directory: &Arc<Directory>, node: usize, length: Duration) -> Vec<Probed> {
    let began = Instant::now();
    let mut sent = JoinSet::new();
    while began.elapsed() < length {
        let (directory, at) = (Arc::clone(directory), began.elapsed());
        sent.spawn(async move {
            let (began, body) = (Instant::now(), json!({ "name": "probe" }));
            let path = "/v1/admin/tenants/probe";
            let within = Duration::from_secs(10);
            let answer = directory.send_within(within, node, Method::PUT, path, &[], Some(&body)).await;
            let said = match answer {
                Ok(answer) => format!("{} {}", answer.status, answer.code()),
                Err(silence) => format!("{silence:?}"),
            };
            Probed { sent: at, took: began.elapsed(), said }
        });
        sleep(Duration::from_millis(50)).await;
    }
    let mut all = Vec::new();
    while let Some(probed) = sent.join_next().await {
        all.extend(probed);
    }
    all.sort_by_key(|probed| probed.sent);
    all
}
