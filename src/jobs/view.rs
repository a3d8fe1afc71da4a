//! What this node derives from the view and keeps outside it: opened keys, pools of tenants. When the view
//! changes, what it no longer has is let go.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::View;

use super::Timer;
use crate::cluster::ControlPlane;
use crate::service::account::AccountService;
use crate::service::user_store::UserStores;

/// How often it looks although nothing has changed.
pub const EVERY: Duration = Duration::from_secs(60);
/// Longest run; all of it is work in memory.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Runs the job; `refresh` is told of the newest view besides.
pub async fn run(
    timer: Timer,
    plane: ControlPlane,
    accounts: AccountService,
    stores: UserStores,
    refresh: impl Fn(&Arc<View>),
) {
    timer
        .run(|| {
            let view = plane.view();
            accounts.forget_old_keys();
            stores.pools().retain(|slug| {
                view.tenant(slug).is_some_and(|entry| entry.tenant.settings.user_store.is_some())
            });
            refresh(&view);
            std::future::ready(Ok::<(), Infallible>(()))
        })
        .await;
}
