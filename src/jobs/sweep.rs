//! Removes what is over from the user databases: sealed successors, denied tokens, old families. Every node looks whether it
//! is its turn; the database lets one at a time have one, whether anybody leads or not.

use std::time::Duration;

use super::Timer;
use crate::service::control::ControlService;
use crate::service::user_store::UserStores;

/// How often the global database is looked at, and those of tenants that were just used: a sealed successor must not stay long after its overlap. What is due seldom is
/// found to be due by one of these looks.
pub const GLOBAL_EVERY: Duration = Duration::from_secs(5);
/// How often the databases of tenants are looked at. Seldom, because where this node leads it opens a pool that would
/// otherwise be let go.
pub const TENANTS_EVERY: Duration = Duration::from_secs(5 * 60);
/// Longest run over the global database.
pub const GLOBAL_LIMIT: Duration = Duration::from_secs(60);
/// Longest run over the databases of tenants that were just used.
pub const USED_LIMIT: Duration = Duration::from_secs(2 * 60);
/// Longest run over the databases of tenants.
pub const TENANTS_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Sweeps the global database.
pub async fn run_global(timer: Timer, control: ControlService, stores: UserStores) {
    timer
        .run(|| {
            let (control, stores) = (control.clone(), stores.clone());
            async move { control.sweep_global(&stores).await }
        })
        .await;
}

/// Sweeps the databases of tenants that this node has just used.
pub async fn run_used(timer: Timer, control: ControlService, stores: UserStores) {
    timer
        .run(|| {
            let (control, stores) = (control.clone(), stores.clone());
            async move { control.sweep_used(&stores).await }
        })
        .await;
}

/// Sweeps the databases of tenants that have one of their own.
pub async fn run_tenants(timer: Timer, control: ControlService, stores: UserStores) {
    timer
        .run(|| {
            let (control, stores) = (control.clone(), stores.clone());
            async move { control.sweep_tenants(&stores).await }
        })
        .await;
}
