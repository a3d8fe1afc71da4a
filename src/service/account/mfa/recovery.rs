//! New recovery codes (EP064, S67).

use hellojohn_control::Slug;

use super::factor::{Proof, tell_of_recovery};
use super::refusal::{Judged, outcome_of};
use crate::crypto::recovery_code::RecoveryCode;
use crate::crypto::secret::SecretString;
use crate::domain::mfa::RECOVERY_CODES;
use crate::domain::user::UserId;
use crate::service::account::AccountService;
use crate::service::audit::{self, Action, Event, Requester};
use crate::service::authenticate::{Person, person_of};
use crate::service::limits::Pool;
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
        let rotated = Box::pin(self.replace_recovery_codes(requester, &person, typed, proof));
        let rotated = self.limited(Pool::MfaDisable, requester, (&person.tenant, person.user), rotated).await;
        let event = Event {
            action: Action::RotateRecoveryCodes,
            outcome: outcome_of(&rotated),
            tenant: &person.tenant,
            actor: Some(person.user),
            target: Some(person.user.0),
            client_id: principal.client_id.as_deref(),
        };
        audit::record(requester, &event);
        let codes = rotated.map_err(|refusal| refusal.error)?;
        tell_of_recovery(requester, &event, Some(proof));
        Ok(codes)
    }

    async fn replace_recovery_codes(
        &self,
        requester: &Requester,
        person: &Person,
        typed: &SecretString,
        proof: &Proof,
    ) -> Judged<Vec<SecretString>> {
        let mut work = self.proven(requester, person, typed, proof).await?;
        let codes = self.new_recovery_codes(&mut work, &person.tenant, person.user).await?;
        work.commit().await.map_err(|error| refused(&error))?;
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
