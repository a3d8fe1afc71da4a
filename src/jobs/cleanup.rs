//! Revokes the tokens of clients and tenants that were deleted or switched off while the database was away (spec §13.12). Every
//! node runs it; it acts where the node leads.

use std::time::Duration;

use super::Timer;
use crate::service::control::ControlService;
use crate::service::user_store::UserStores;

/// How often it looks.
pub const EVERY: Duration = Duration::from_secs(30);
/// Longest run over all databases; the next one goes on.
pub const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Runs the job.
pub async fn run(timer: Timer, control: ControlService, stores: UserStores) {
    timer
        .run(|| {
            let (control, stores) = (control.clone(), stores.clone());
            async move { control.revoke_orphans(&stores).await }
        })
        .await;
}
