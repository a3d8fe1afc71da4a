//! Whether a session is worth both factors, for what needs them: another password, the end of the account.

use super::factor::{Proof, amr_of};
use super::refusal::Why;
use crate::domain::mfa::AMR_MFA;
use crate::domain::refresh_token::FamilyId;
use crate::domain::user::UserId;
use crate::service::account::AccountService;
use crate::service::user_store::refused;
use crate::service::{Code, Result};
use crate::store::UnitOfWork;

/// What a session and a proof are worth together.
#[derive(Debug)]
pub(in crate::service::account) enum Assurance {
    /// Enough; a session that follows may say so in its `amr`. Whether the proof was used up for it.
    Enough { amr: Vec<String>, proven: bool },
    /// A second factor is missing.
    Missing,
    /// The proof is no good.
    Wrong(Why),
}

impl AccountService {
    /// Judges a session of an account whose password was just verified and whose row is locked. Without a second
    /// factor, and in a session that was started with one, the password is enough. A session of one factor, such as one
    /// of a trusted device, needs a proof (S69).
    ///
    /// # Errors
    /// `invalid_token` when the session is gone; `storage_unavailable`.
    pub(in crate::service::account) async fn assure(
        &self,
        work: &mut UnitOfWork,
        session: FamilyId,
        user: UserId,
        proof: Option<&Proof>,
    ) -> Result<Assurance> {
        let family = work.refresh_tokens().find_family(session).await.map_err(|error| refused(&error))?;
        // Asked again: it may have been ended while passwords were compared.
        let family = family.filter(|family| family.live_at(self.0.clock.now())).ok_or(Code::InvalidToken)?;
        let factor = work.totp().find(user).await.map_err(|error| refused(&error))?;
        let Some(factor) = factor.filter(|_| !family.amr.iter().any(|amr| amr == AMR_MFA)) else {
            return Ok(Assurance::Enough { amr: family.amr, proven: false });
        };
        let Some(proof) = proof else { return Ok(Assurance::Missing) };
        Ok(match self.use_up(work, &family.tenant, user, &factor, proof).await? {
            Ok(()) => Assurance::Enough { amr: amr_of(proof), proven: true },
            Err(why) => Assurance::Wrong(why),
        })
    }
}
