//! Takes a snapshot when the log has grown by bytes, beside openraft's own rule that counts entries
//! (`RAFT_MAX_LOG_MB`, `RAFT_SNAPSHOT_EVERY`; spec §3.5).

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::log::LogHandle;
use crate::types::Raft;

/// How often the size is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// Entries that must have been applied since the last snapshot. Some entries stay behind every snapshot for
/// slow followers; if those alone exceed the limit, another snapshot would free nothing.
const AT_LEAST: u64 = 100;

/// Watches the size of the log until `stop`.
pub(crate) async fn watch_size(raft: Raft, log: LogHandle, max_bytes: u64, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(EVERY) => {}
        }
        if log.stats().payload_bytes <= max_bytes {
            continue;
        }
        let metrics = raft.metrics();
        let (applied, snapshot) = {
            let now = metrics.borrow();
            (now.last_applied.map_or(0, |id| id.index), now.snapshot.map_or(0, |id| id.index))
        };
        if applied < snapshot + AT_LEAST {
            continue;
        }
        tracing::info!(applied, max_bytes, "the log has grown beyond its limit, taking a snapshot");
        if let Err(error) = raft.trigger().snapshot().await {
            tracing::warn!(%error, "snapshot could not be asked for");
            return;
        }
    }
}
