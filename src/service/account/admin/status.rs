//! Switch accounts off and on, and end their locks (EP130, S80).

use hellojohn_control::Slug;

use super::found;
use crate::domain::refresh_token::RevocationReason;
use crate::domain::user::{User, UserId, UserStatus};
use crate::service::account::AccountService;
use crate::service::audit::{AdminAction, AdminEvent, Administrator};
use crate::service::user_store::refused;
use crate::service::{Code, Result};

impl AccountService {
    /// Switches an account off: nobody logs in, and its sessions and tokens are dead at once on every node (S80).
    ///
    /// # Errors
    /// `tenant_not_found`, `user_not_found`, `storage_unavailable`.
    pub async fn disable_user(&self, by: &Administrator, tenant: &Slug, id: UserId) -> Result<User> {
        let object = id.to_string();
        let event = AdminEvent::of_tenant(by, AdminAction::DisableUser, tenant).to(&object);
        self.0.stores.judged(&event, self.disabled(&event, tenant, id).await).await
    }

    async fn disabled(&self, event: &AdminEvent<'_>, tenant: &Slug, id: UserId) -> Result<User> {
        let entry = self.entry(tenant)?;
        let now = self.0.clock.now();
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let from = [UserStatus::Active, UserStatus::Locked];
        let switched = work.users().set_status(id, &from, UserStatus::Disabled, now).await;
        switched.map_err(|error| refused(&error))?;
        work.mail_tokens().drop_all_of_user(id).await.map_err(|error| refused(&error))?;
        let reason = RevocationReason::UserDisabled;
        let ended = work.refresh_tokens().revoke_all_of_user(id, now, reason).await;
        ended.map_err(|error| refused(&error))?;
        // They must not come back when the account does.
        self.forget_halves(&mut work, id).await?;
        let user = found(&mut work, id).await?;
        self.0.stores.commit_told(work, &[*event]).await?;
        Ok(user)
    }

    /// Switches an account on again. What was dead stays dead; a locked account stays locked.
    ///
    /// # Errors
    /// As [`Self::disable_user`].
    pub async fn enable_user(&self, by: &Administrator, tenant: &Slug, id: UserId) -> Result<User> {
        let object = id.to_string();
        let event = AdminEvent::of_tenant(by, AdminAction::EnableUser, tenant).to(&object);
        self.0.stores.judged(&event, self.enabled(&event, tenant, id).await).await
    }

    async fn enabled(&self, event: &AdminEvent<'_>, tenant: &Slug, id: UserId) -> Result<User> {
        let entry = self.entry(tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let (from, now) = ([UserStatus::Disabled], self.0.clock.now());
        let switched = work.users().set_status(id, &from, UserStatus::Active, now).await;
        switched.map_err(|error| refused(&error))?;
        let user = found(&mut work, id).await?;
        self.0.stores.commit_told(work, &[*event]).await?;
        Ok(user)
    }

    /// Ends every lock of an account, whoever or whatever locked it. A disabled one stays disabled.
    ///
    /// # Errors
    /// As [`Self::disable_user`].
    pub async fn unlock_user(&self, by: &Administrator, tenant: &Slug, id: UserId) -> Result<User> {
        let object = id.to_string();
        let event = AdminEvent::of_tenant(by, AdminAction::UnlockUser, tenant).to(&object);
        self.0.stores.judged(&event, self.unlocked(&event, tenant, id).await).await
    }

    async fn unlocked(&self, event: &AdminEvent<'_>, tenant: &Slug, id: UserId) -> Result<User> {
        let entry = self.entry(tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        if !work.users().unlock(id, self.0.clock.now()).await.map_err(|error| refused(&error))? {
            return Err(Code::UserNotFound.into());
        }
        let user = found(&mut work, id).await?;
        self.0.stores.commit_told(work, &[*event]).await?;
        Ok(user)
    }
}
