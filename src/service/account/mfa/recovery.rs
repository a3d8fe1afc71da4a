//! New recovery codes (EP064, S67).

use hellojohn_control::Slug;

use super::factor::{Proof, with_recovery};
use super::refusal::Judged;
use crate::crypto::recovery_code::RecoveryCode;
use crate::crypto::secret::SecretString;
use crate::domain::mfa::RECOVERY_CODES;
use crate::domain::user::UserId;
use crate::service::account::AccountService;
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::authenticate::{Person, person_of};
use crate::service::limits::{Account, Pool};
use crate::service::user_store::refused;
use crate::service::{Principal, Result};
use crate::store::UnitOfWork;

impl AccountService {
    /// Gives new recovery codes; all older ones are worthless.
    ///
    /// # Errors
    /// As [`Self::disable_totp`].
    pub async fn rotate_recovery_codes(
        &self,
        requester: &Requester,
        principal: &Principal,
        typed: &SecretString,
        proof: &Proof,
    ) -> Result<Vec<SecretString>> {
        let person = person_of(principal)?;
        let event = Event {
            requester,
            action: Action::RotateRecoveryCodes,
            outcome: Outcome::Ok,
            tenant: &person.tenant,
            actor: Some(person.user),
            target: Some(person.user.0),
            client_id: principal.client_id.as_deref(),
        };
        let account = Account::User(&person.tenant, person.user);
        let rotated = Box::pin(self.replace_recovery_codes(&event, &person, typed, proof));
        let rotated = self.limited(Pool::MfaDisable, requester, account, rotated).await;
        self.heard(&event, rotated).await
    }

    async fn replace_recovery_codes(
        &self,
        event: &Event<'_>,
        person: &Person,
        typed: &SecretString,
        proof: &Proof,
    ) -> Judged<Vec<SecretString>> {
        let mut work = self.proven(event, person, typed, proof).await?;
        let codes = self.new_recovery_codes(&mut work, &person.tenant, person.user).await?;
        self.0.stores.commit_told(work, &with_recovery(event, Some(proof))).await?;
        Ok(codes)
    }

    /// Puts fresh codes in place of all others; to be shown once.
    pub(super) async fn new_recovery_codes(
        &self,
        work: &mut UnitOfWork,
        tenant: &Slug,
        user: UserId,
    ) -> Result<Vec<SecretString>> {
        let rng = self.0.rng.as_ref();
        let codes: Vec<RecoveryCode> = (0..RECOVERY_CODES).map(|_| RecoveryCode::generate(rng)).collect();
        let hashes: Vec<[u8; 32]> = codes.iter().map(|code| code.hash(tenant, user)).collect();
        work.recovery_codes().replace(user, &hashes).await.map_err(|error| refused(&error))?;
        Ok(codes.iter().map(RecoveryCode::text).collect())
    }
}
