//! The leader's duties around signing keys: the global ones exist, rotations are finished, graces end
//! (spec §13.2, §13.3). Every node runs it; it acts where the node leads.

use std::time::Duration;

use super::Timer;
use crate::service::control::ControlService;

/// How often it looks.
pub const EVERY: Duration = Duration::from_secs(1);
/// Longest run: a few writes, each bounded by the cluster's write time-out.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Runs the job.
pub async fn run(timer: Timer, control: ControlService) {
    timer
        .run(|| {
            let control = control.clone();
            async move { control.tend_keys(control.plane().now()).await }
        })
        .await;
}
