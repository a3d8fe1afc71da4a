//! Look for accounts (EP129).

use hellojohn_control::Slug;

use crate::service::Result;
use crate::service::account::AccountService;
use crate::service::user_store::refused;
use crate::store::pg::user_search::{FoundUser, UserPlace, UserQuery};

impl AccountService {
    /// At most `limit` accounts of the tenant that fit the query, after `after`.
    ///
    /// # Errors
    /// `tenant_not_found`, `storage_unavailable`.
    pub async fn search_users(
        &self,
        tenant: &Slug,
        query: &UserQuery,
        after: Option<&UserPlace>,
        limit: usize,
    ) -> Result<Vec<FoundUser>> {
        let entry = self.entry(tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let users = work.user_search().page(query, after, limit).await.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        Ok(users)
    }
}
