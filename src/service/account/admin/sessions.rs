//! Look at somebody's sessions, and end all of them (EP130, S81).

use hellojohn_control::Slug;

use super::{found, locked};
use crate::domain::refresh_token::{FamilyId, RevocationReason, Session};
use crate::domain::user::UserId;
use crate::service::Result;
use crate::service::account::AccountService;
use crate::service::audit::{AdminAction, AdminEvent, Administrator};
use crate::service::user_store::refused;

impl AccountService {
    /// At most `limit` live sessions of an account, by identifier, after `after`.
    ///
    /// # Errors
    /// `tenant_not_found`, `user_not_found`, `storage_unavailable`.
    pub async fn sessions_of_user(
        &self,
        tenant: &Slug,
        id: UserId,
        after: Option<FamilyId>,
        limit: usize,
    ) -> Result<Vec<Session>> {
        let entry = self.entry(tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        found(&mut work, id).await?;
        let sessions = work.sessions().of_user(id, self.0.clock.now(), after, limit).await;
        let sessions = sessions.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        Ok(sessions)
    }

    /// Ends every session of an account: its tokens are dead at once, and no device is trusted any more. How many there were.
    ///
    /// # Errors
    /// As [`Self::sessions_of_user`].
    pub async fn end_sessions_of_user(&self, by: &Administrator, tenant: &Slug, id: UserId) -> Result<u64> {
        let object = id.to_string();
        let event = AdminEvent::of_tenant(by, AdminAction::EndSessions, tenant).to(&object);
        self.0.stores.judged(&event, self.sessions_ended(&event, tenant, id).await).await
    }

    async fn sessions_ended(&self, event: &AdminEvent<'_>, tenant: &Slug, id: UserId) -> Result<u64> {
        let entry = self.entry(tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        // The account first: whatever is being begun with it is over by then, or sees what is ended here.
        locked(&mut work, id).await?;
        let reason = RevocationReason::Revoked;
        let ended = work.refresh_tokens().revoke_all_of_user(id, self.0.clock.now(), reason).await;
        let ended = ended.map_err(|error| refused(&error))?;
        self.forget_halves(&mut work, id).await?;
        self.0.stores.commit_told(work, &[*event]).await?;
        Ok(ended)
    }
}
