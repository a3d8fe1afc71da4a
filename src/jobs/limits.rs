//! Keeps the connection to Redis, where the rate limits count together; requests never make one.

use std::convert::Infallible;
use std::time::Duration;

use super::Timer;
use crate::service::limits::Limits;

/// How often it looks.
pub const EVERY: Duration = Duration::from_millis(500);
/// Longest run.
pub const LIMIT: Duration = Duration::from_secs(5);

/// Runs the job.
pub async fn run(timer: Timer, limits: Limits) {
    timer
        .run(|| {
            let limits = limits.clone();
            async move {
                limits.tend().await;
                Ok::<(), Infallible>(())
            }
        })
        .await;
}
