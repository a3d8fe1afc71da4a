//! Single writes of a drill, beside the load.

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::cluster::Cluster;
use crate::run::Run;

/// Writes `count` tenants with long names, so that a snapshot is large.
pub(super) async fn ballast(run: &Run, count: usize) -> Result<(), String> {
    let leader = run.leader().await?;
    let mut writers = JoinSet::new();
    for writer in 0..16 {
        let directory = std::sync::Arc::clone(&run.cluster.directory);
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

/// One write at a node; the status and code of its answer, and how many milliseconds it took.
pub(super) async fn probe(cluster: &Cluster, node: usize) -> (String, u128) {
    let began = tokio::time::Instant::now();
    let body = json!({ "name": "probe" });
    let sent = cluster.directory.send(node, Method::PUT, "/v1/admin/tenants/probe", &[], Some(&body)).await;
    let said = match sent {
        Ok(answer) => format!("{} {}", answer.status, answer.code()),
        Err(silence) => format!("{silence:?}"),
    };
    (said, began.elapsed().as_millis())
}
