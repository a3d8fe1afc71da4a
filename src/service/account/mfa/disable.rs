//! Remove one's second factor (EP063, S66, S34).

use super::factor::{Proof, with_recovery};
use super::refusal::Judged;
use crate::crypto::secret::SecretString;
use crate::domain::refresh_token::RevocationReason;
use crate::domain::user::UserId;
use crate::service::account::{AccountService, password};
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::authenticate::{Person, person_of};
use crate::service::limits::{Account, Pool};
use crate::service::user_store::refused;
use crate::service::{Code, Principal, Result};
use crate::store::UnitOfWork;

impl AccountService {
    /// Removes the second factor with its recovery codes. Every other session of the account ends, no device is trusted
    /// any more.
    ///
    /// # Errors
    /// `invalid_credentials`, `invalid_mfa_code`, each counted as a failed login; `mfa_not_enabled`; `account_locked`; `too_many_requests`;
    /// `invalid_parameter` for a password over 1,024 bytes; `invalid_token`; `busy`; `storage_unavailable`.
    pub async fn disable_totp(
        &self,
        requester: &Requester,
        principal: &Principal,
        typed: &SecretString,
        proof: &Proof,
    ) -> Result<()> {
        let person = person_of(principal)?;
        let event = Event {
            requester,
            action: Action::MfaDisable,
            outcome: Outcome::Ok,
            tenant: &person.tenant,
            actor: Some(person.user),
            target: Some(person.user.0),
            client_id: principal.client_id.as_deref(),
        };
        let account = Account::User(&person.tenant, person.user);
        let disabled = Box::pin(self.disable(&event, &person, typed, proof));
        let disabled = self.limited(Pool::MfaDisable, requester, account, disabled).await;
        self.heard(&event, disabled).await
    }

    async fn disable(
        &self,
        event: &Event<'_>,
        person: &Person,
        typed: &SecretString,
        proof: &Proof,
    ) -> Judged<()> {
        let mut work = self.proven(event, person, typed, proof).await?;
        let (user, now) = (person.user, self.0.clock.now());
        let ended = work
            .refresh_tokens()
            .revoke_others_of_user(user, person.session, now, RevocationReason::MfaChanged)
            .await;
        ended.map_err(|error| refused(&error))?;
        self.remove_factor(&mut work, user).await?;
        self.forget_halves(&mut work, user).await?;
        Ok(self.0.stores.commit_told(work, &with_recovery(event, Some(proof))).await?)
    }

    /// Removes the factor and its recovery codes. The account's row must be locked.
    pub(in crate::service::account) async fn remove_factor(
        &self,
        work: &mut UnitOfWork,
        user: UserId,
    ) -> Result<()> {
        work.totp().delete(user).await.map_err(|error| refused(&error))?;
        work.recovery_codes().delete(user).await.map_err(|error| refused(&error))
    }

    /// Begins the work of somebody who has shown both factors just now, whatever their session is worth.
    pub(super) async fn proven(
        &self,
        event: &Event<'_>,
        person: &Person,
        typed: &SecretString,
        proof: &Proof,
    ) -> Judged<UnitOfWork> {
        let view = self.0.plane.view();
        let entry = view.tenant(&person.tenant).ok_or(Code::InvalidToken)?;
        let verified = self.confirm(event, &entry.tenant, person.user, password(typed)?).await?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let user = self.lock(&mut work, &verified).await?;
        let factor = work.totp().find(user.id).await.map_err(|error| refused(&error))?;
        let factor = factor.ok_or(Code::MfaNotEnabled)?;
        match self.use_up(&mut work, &person.tenant, user.id, &factor, proof).await? {
            Ok(()) => Ok(work),
            Err(why) => Err(self.count_wrong(work, user.id, event, why).await),
        }
    }
}
