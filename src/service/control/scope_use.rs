//! Whether people let clients have a scope that is to be removed from the catalogue (EP106, spec §13.12).

use std::fmt::Debug;

use futures::future::BoxFuture;
use hellojohn_control::ScopeName;
use hellojohn_control::documents::Tenant;

use crate::service::Result;
use crate::service::user_store::{UserStores, refused};

/// Looks at the consents of a tenant's people.
pub trait ConsentedScopes: Send + Sync + Debug {
    /// One of `scopes` that somebody lets a client have now. `None` where no database is configured: nobody can have consented.
    ///
    /// # Errors
    /// `storage_unavailable` or `tenant_db_error` when the database cannot be asked.
    fn in_use<'a>(
        &'a self,
        tenant: &'a Tenant,
        scopes: &'a [ScopeName],
    ) -> BoxFuture<'a, Result<Option<String>>>;
}

impl ConsentedScopes for UserStores {
    fn in_use<'a>(
        &'a self,
        tenant: &'a Tenant,
        scopes: &'a [ScopeName],
    ) -> BoxFuture<'a, Result<Option<String>>> {
        Box::pin(async move {
            if tenant.settings.user_store.is_none() && self.pools().global().is_none() {
                return Ok(None);
            }
            let mut work = self.begin(tenant).await?;
            let used = work.consents().in_use(scopes).await.map_err(|error| refused(&error))?;
            work.commit().await.map_err(|error| refused(&error))?;
            Ok(used)
        })
    }
}
