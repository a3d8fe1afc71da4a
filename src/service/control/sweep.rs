//! Removal of what is over from the user databases, on the node that leads.

use super::ControlService;
use crate::service::Result;
use crate::service::user_store::{UserStores, refused};
use crate::store::Database;

/// Portions of one run; what is left waits for the next.
const PORTIONS: usize = 50;

impl ControlService {
    /// Sweeps the global database. Does nothing on a node that does not lead.
    ///
    /// # Errors
    /// `storage_unavailable`.
    pub async fn sweep_global(&self, stores: &UserStores) -> Result<()> {
        match stores.pools().global() {
            Some(global) if self.plane.may_write().is_ok() => self.sweep(global).await,
            Some(_) | None => Ok(()),
        }
    }

    /// Sweeps the databases of tenants that have one of their own. Does nothing on a node that does not lead.
    ///
    /// # Errors
    /// The first refusal, after every database was tried.
    pub async fn sweep_tenants(&self, stores: &UserStores) -> Result<()> {
        if self.plane.may_write().is_err() {
            return Ok(());
        }
        let mut first = Ok(());
        let view = self.plane.view();
        for entry in view.tenants().values().filter(|entry| entry.tenant.settings.user_store.is_some()) {
            let result = match stores.database(&entry.tenant) {
                Ok(database) => self.sweep(&database).await,
                Err(error) => Err(error),
            };
            first = first.and(result);
        }
        first
    }

    async fn sweep(&self, database: &Database) -> Result<()> {
        for _ in 0..PORTIONS {
            let swept = database.sweep(self.plane.now(), self.defaults.keep_events).await;
            let swept = swept.map_err(|error| refused(&error))?;
            if !swept.more {
                break;
            }
        }
        Ok(())
    }
}
