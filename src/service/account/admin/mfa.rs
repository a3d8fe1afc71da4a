//! Take somebody's second factor away who cannot show it any more (EP130, S34, S69).

use hellojohn_control::Slug;

use super::locked;
use crate::domain::refresh_token::RevocationReason;
use crate::domain::user::UserId;
use crate::service::Result;
use crate::service::account::AccountService;
use crate::service::audit::{AdminAction, AdminEvent, Administrator};
use crate::service::user_store::refused;

impl AccountService {
    /// Removes the second factor of an account with its recovery codes, and a secret that waits for its first code. Every
    /// session ends, no device is trusted any more, and no half login can be finished. Done twice, it is done once; an
    /// account without a second factor loses its sessions all the same.
    ///
    /// # Errors
    /// `tenant_not_found`, `user_not_found`, `storage_unavailable`.
    pub async fn reset_mfa_of_user(&self, by: &Administrator, tenant: &Slug, id: UserId) -> Result<()> {
        let object = id.to_string();
        let event = AdminEvent::of_tenant(by, AdminAction::ResetMfa, tenant).to(&object);
        self.0.stores.judged(&event, self.mfa_reset(&event, tenant, id).await).await
    }

    async fn mfa_reset(&self, event: &AdminEvent<'_>, tenant: &Slug, id: UserId) -> Result<()> {
        let entry = self.entry(tenant)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        // The account first: whatever is being begun with it is over by then, or sees what is ended here.
        locked(&mut work, id).await?;
        let reason = RevocationReason::MfaChanged;
        let ended = work.refresh_tokens().revoke_all_of_user(id, self.0.clock.now(), reason).await;
        ended.map_err(|error| refused(&error))?;
        self.remove_factor(&mut work, id).await?;
        self.forget_halves(&mut work, id).await?;
        self.0.stores.commit_told(work, &[*event]).await
    }
}
