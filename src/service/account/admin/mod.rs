//! What an administrator does with the accounts of a tenant (EP129, EP130). One verb a file.
//!
//! The caller is known to be an administrator; each use case looks at one tenant's accounts only, so that an identifier of
//! another tenant's account is nobody's (S103). Every change is recorded.

mod consents;
mod create;
mod edit;
mod mfa;
mod roles;
mod search;
mod sessions;
mod status;

pub use consents::Pair;
pub use create::NewUser;
pub use edit::UserPatch;
pub use roles::Change;

use std::sync::Arc;

use hellojohn_control::{Slug, TenantEntry};

use super::AccountService;
use crate::domain::user::{User, UserId};
use crate::service::audit::{AdminAction, AdminEvent, Administrator};
use crate::service::user_store::refused;
use crate::service::{Code, Result};
use crate::store::UnitOfWork;

impl AccountService {
    /// An account.
    ///
    /// # Errors
    /// `tenant_not_found`, `user_not_found`, `storage_unavailable`.
    pub async fn user(&self, tenant: &Slug, id: UserId) -> Result<User> {
        let entry = self.entry(tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let user = found(&mut work, id).await?;
        work.commit().await.map_err(|error| refused(&error))?;
        Ok(user)
    }

    /// Removes an account with everything of it.
    ///
    /// # Errors
    /// As [`Self::user`].
    pub async fn delete_user(&self, by: &Administrator, tenant: &Slug, id: UserId) -> Result<()> {
        let object = id.to_string();
        let event = AdminEvent::of_tenant(by, AdminAction::DeleteUser, tenant).to(&object);
        self.0.stores.judged(&event, self.removed(&event, tenant, id).await).await
    }

    async fn removed(&self, event: &AdminEvent<'_>, tenant: &Slug, id: UserId) -> Result<()> {
        let entry = self.entry(tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        if !work.users().remove(id).await.map_err(|error| refused(&error))? {
            return Err(Code::UserNotFound.into());
        }
        self.0.stores.commit_told(work, &[*event]).await
    }

    /// The tenant whose accounts are looked at. Suspended or not: an administrator can always look.
    fn entry(&self, tenant: &Slug) -> Result<Arc<TenantEntry>> {
        self.0.plane.view().tenant(tenant).cloned().ok_or_else(|| Code::TenantNotFound.into())
    }
}

/// As [`found`], and nobody changes the account until the unit of work ends.
async fn locked(work: &mut UnitOfWork, id: UserId) -> Result<User> {
    let user = work.users().find_for_update(id).await.map_err(|error| refused(&error))?;
    user.ok_or_else(|| Code::UserNotFound.into())
}

/// The account as the unit of work sees it.
async fn found(work: &mut UnitOfWork, id: UserId) -> Result<User> {
    let user = work.users().find_by_id(id).await.map_err(|error| refused(&error))?;
    user.ok_or_else(|| Code::UserNotFound.into())
}
