//! The first code of a new secret (EP061): from here on it is asked for.

use super::refusal::{Judged, Refusal};
use crate::crypto::secret::SecretString;
use crate::domain::mfa::TotpCode;
use crate::domain::refresh_token::RevocationReason;
use crate::service::account::AccountService;
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::authenticate::{Person, person_of};
use crate::service::limits::{Account, Pool};
use crate::service::user_store::refused;
use crate::service::{Code, Error, Principal, Result};

impl AccountService {
    /// Puts the secret that waits in force, in place of the one that there may be, and gives the recovery codes. Every
    /// other session of the account ends, no device is trusted any more, and no half login can be finished: all of
    /// them are from before this factor.
    ///
    /// # Errors
    /// `mfa_enrolment_not_found`; `invalid_mfa_code`, counted against the enrolment; `too_many_requests`; `invalid_token`;
    /// `storage_unavailable`.
    pub async fn verify_totp(
        &self,
        requester: &Requester,
        principal: &Principal,
        code: &TotpCode,
    ) -> Result<Vec<SecretString>> {
        let person = person_of(principal)?;
        let event = Event {
            requester,
            action: Action::MfaEnable,
            outcome: Outcome::Ok,
            tenant: &person.tenant,
            actor: Some(person.user),
            target: Some(person.user.0),
            client_id: principal.client_id.as_deref(),
        };
        let account = Account::User(&person.tenant, person.user);
        let verified = Box::pin(self.put_in_force(&event, &person, code));
        let verified = self.limited(Pool::MfaVerify, requester, account, verified).await;
        self.heard(&event, verified).await
    }

    async fn put_in_force(
        &self,
        event: &Event<'_>,
        person: &Person,
        code: &TotpCode,
    ) -> Judged<Vec<SecretString>> {
        let Person { tenant, user, session, .. } = person;
        let (user, session) = (*user, *session);
        let view = self.0.plane.view();
        let entry = view.tenant(tenant).ok_or(Code::InvalidToken)?;
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let found = work.users().find_for_update(user).await.map_err(|error| refused(&error))?;
        found.ok_or(Code::InvalidToken)?;
        let now = self.0.clock.now();
        let family = work.refresh_tokens().find_family(session).await.map_err(|error| refused(&error))?;
        family.filter(|family| family.live_at(now)).ok_or(Code::InvalidToken)?;
        let enrolment = work.totp().find_enrolment(user, now).await.map_err(|error| refused(&error))?;
        let enrolment = enrolment.ok_or(Code::MfaEnrolmentNotFound)?;
        let active = work.totp().find(user).await.map_err(|error| refused(&error))?;
        if active.map(|factor| factor.id) != enrolment.replaces {
            return Err(Refusal::new(Code::MfaEnrolmentNotFound, "another_factor_meanwhile"));
        }
        let secret = self.0.sealer.open_totp(tenant, user, &enrolment.secret).map_err(Error::internal)?;
        let Some(step) = secret.step_of(code, now) else {
            // Its holder was shown the secret and has nothing to guess: the account is not held back for it.
            work.totp().count_wrong(user, enrolment.id).await.map_err(|error| refused(&error))?;
            let (error, why) = (Error::new(Code::InvalidMfaCode), "wrong_code");
            let event = Event { outcome: Outcome::Refused(why), ..*event };
            self.0.stores.commit_told(work, &[event]).await?;
            return Err(Refusal::told(error.context(why), why));
        };
        // Families first, as everywhere that ends sessions and forgets devices.
        let ended = work
            .refresh_tokens()
            .revoke_others_of_user(user, session, now, RevocationReason::MfaChanged)
            .await;
        ended.map_err(|error| refused(&error))?;
        let activated = work.totp().activate(user, enrolment.id, &enrolment.secret, step, now).await;
        activated.map_err(|error| refused(&error))?;
        self.forget_halves(&mut work, user).await?;
        let codes = self.new_recovery_codes(&mut work, tenant, user).await?;
        self.0.stores.commit_told(work, &[*event]).await?;
        Ok(codes)
    }
}
