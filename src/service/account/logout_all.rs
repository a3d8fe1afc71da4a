//! Log out everywhere (EP006).

use super::AccountService;
use crate::domain::refresh_token::RevocationReason;
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::authenticate::person_of;
use crate::service::user_store::refused;
use crate::service::{Code, Principal, Result};

impl AccountService {
    /// Ends every session of the account, and denies the access token that asked for it. No device is trusted any more
    /// either, and no half login can be finished: who logs out everywhere fears for what lies about.
    ///
    /// # Errors
    /// `storage_unavailable`: nothing was ended.
    pub async fn logout_all(&self, requester: &Requester, principal: &Principal) -> Result<()> {
        let person = person_of(principal)?;
        let view = self.0.plane.view();
        let entry = view.tenant(&person.tenant).ok_or(Code::InvalidToken)?;
        let now = self.0.clock.now();
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        // The account first: whatever is being begun with it is over by then, or sees what is ended here.
        work.users().find_for_update(person.user).await.map_err(|error| refused(&error))?;
        let ended =
            work.refresh_tokens().revoke_all_of_user(person.user, now, RevocationReason::LogoutAll).await;
        ended.map_err(|error| refused(&error))?;
        self.forget_halves(&mut work, person.user).await?;
        let denied = work.denied_jtis().insert(&person.token_id, person.expires_at).await;
        denied.map_err(|error| refused(&error))?;
        let event = Event {
            requester,
            action: Action::LogoutAll,
            outcome: Outcome::Ok,
            tenant: &person.tenant,
            actor: Some(person.user),
            target: Some(person.user.0),
            client_id: principal.client_id.as_deref(),
        };
        self.0.stores.commit_told(work, &[event]).await
    }
}
