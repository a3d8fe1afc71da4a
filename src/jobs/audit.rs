//! Copies the records of control-plane writes to the global database (spec §10, S113). Every node runs it; it acts where
//! the node leads.

use std::time::Duration;

use super::Timer;
use crate::service::control::AuditCopy;

/// How often it looks although nothing was written.
pub const EVERY: Duration = Duration::from_secs(5);
/// Longest run; the next one goes on.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Runs the job.
pub async fn run(timer: Timer, copy: AuditCopy) {
    timer
        .run(|| {
            let copy = copy.clone();
            async move { copy.run().await }
        })
        .await;
}
