//! What must hold after every drill, when everything that was broken is whole again.

pub mod documents;
pub mod sameness;
pub mod secrets;

use std::time::Duration;

use crate::cluster::Cluster;
use crate::net::NODES;
use crate::waiting::until;

/// How long the nodes may take until all have applied and written the same.
const SETTLE: Duration = Duration::from_secs(60);

/// Waits until all nodes are ready, have applied the same, at least `index`, and have written it to their files.
///
/// # Errors
/// When that does not come true.
pub async fn settle(cluster: &Cluster, index: u64) -> Result<u64, String> {
    let mut last = String::new();
    let settled = until("all nodes at the same index", SETTLE, async || {
        let mut found = Vec::new();
        for node in 0..NODES {
            found.push(cluster.directory.status(node).await);
        }
        last = format!("{found:?}");
        let found: Vec<_> = found.into_iter().flatten().collect();
        let applied = found.first()?.applied;
        let same = found.len() == NODES
            && applied >= index
            && found.iter().all(|status| {
                status.ready
                    && !status.fs_degraded
                    && status.applied == applied
                    && status.projected >= applied
            });
        same.then_some(applied)
    })
    .await;
    settled.map_err(|error| format!("I4: {error}; last {last}"))
}
