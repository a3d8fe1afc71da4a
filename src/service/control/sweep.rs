//! Removal of what is over from the user databases. Any node does it, and one at a time: the database says whose turn it is
//! (`store::pg::jobs`), so that it goes on without a leader, and where a node dies in the middle of it.

use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::TenantEntry;

use super::ControlService;
use super::each_database::on_each;
use crate::service::Result;
use crate::service::user_store::{UserStores, refused};
use crate::store::Database;
use crate::store::pg::jobs::Turn;
use crate::store::pg::maintenance::Sweep;

/// Portions of one kind in one run; what is left waits for the next.
const PORTIONS: usize = 50;
/// How long after its last use the database of a tenant is swept as often as the global one: longer than an overlap lasts, and a
/// look or two more.
const USED: Duration = Duration::from_secs(60);
/// Pause between two portions, so that a large sweep leaves room for what people wait for.
const PAUSE: Duration = Duration::from_millis(20);

impl ControlService {
    /// Sweeps the global database, as far as it is this node's turn. Does nothing where none is configured.
    ///
    /// # Errors
    /// The first refusal, after every kind was tried.
    pub async fn sweep_global(&self, stores: &UserStores) -> Result<()> {
        let Some(global) = stores.pools().global() else { return Ok(()) };
        self.sweep(global, |sweep| {
            let now = u32::try_from(self.plane.now().secs()).unwrap_or(u32::MAX);
            metrics::gauge!("hellojohn_sweep_last_run_timestamp_seconds", "kind" => sweep.kind).set(now);
        })
        .await
    }

    /// Sweeps databases of tenants that have one of their own, several at once. Who opens pools for it is the node that
    /// leads; any other one sweeps what it is connected to anyway, and goes on with that when nobody leads.
    ///
    /// # Errors
    /// A refusal, after every database was tried.
    pub async fn sweep_tenants(&self, stores: &UserStores) -> Result<()> {
        if self.plane.may_write().is_ok() {
            return on_each(own_databases(self), |entry| async move {
                self.sweep(&stores.database(&entry.tenant)?, |_| {}).await
            })
            .await;
        }
        let connected = stores.pools().connected_tenants();
        on_each(connected, |database| async move { self.sweep(&database, |_| {}).await }).await
    }

    /// Sweeps the databases of tenants that this node has used a short while ago: what people leave behind all the time is to be
    /// gone as soon there as in the global database.
    ///
    /// # Errors
    /// A refusal, after every database was tried.
    pub async fn sweep_used(&self, stores: &UserStores) -> Result<()> {
        let used = stores.pools().used_tenants(USED);
        on_each(used, |database| async move { self.sweep(&database, |_| {}).await }).await
    }

    async fn sweep(&self, database: &Database, ran: impl Fn(&Sweep)) -> Result<()> {
        let mut first = Ok(());
        for sweep in database.due_sweeps(self.defaults.keep_events).await.map_err(|error| refused(&error))? {
            match self.sweep_kind(database, &sweep).await {
                Ok(true) => ran(&sweep),
                Ok(false) => {}
                Err(error) => first = first.and(Err(error.context(sweep.kind))),
            }
        }
        first
    }

    /// Whether this node had a turn.
    async fn sweep_kind(&self, database: &Database, sweep: &Sweep) -> Result<bool> {
        for portion in 0..PORTIONS {
            let turn = database.sweep(sweep, self.plane.now()).await.map_err(|error| refused(&error))?;
            let Turn::Done { rows, more } = turn else { return Ok(portion > 0) };
            metrics::counter!("hellojohn_sweep_rows_total", "kind" => sweep.kind).increment(rows);
            if !more {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(true)
    }
}

/// The tenants that have a database of their own.
pub(super) fn own_databases(control: &ControlService) -> Vec<Arc<TenantEntry>> {
    let view = control.plane.view();
    let own = view.tenants().values().filter(|entry| entry.tenant.settings.user_store.is_some());
    own.cloned().collect()
}
