//! Whether a session is worth both factors, for what needs them: another password, the end of the account.

use hellojohn_control::Timestamp;

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
    /// Enough; a session that follows may say so in its `amr`, as of `auth_time`. Whether the proof was used up for it.
    Enough { amr: Vec<String>, auth_time: Timestamp, proven: bool },
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
    /// `auth_time` is when the authentication happened that `amr` tells of (OpenID Connect Core §2): now, if everything in it was
    /// shown now; else the time of the login, for a password that is typed again makes no second factor of hours ago a fresh one
    /// to whoever asks for `max_age`.
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
        let now = self.0.clock.now();
        let family = family.filter(|family| family.live_at(now)).ok_or(Code::InvalidToken)?;
        let had_both = family.amr.iter().any(|amr| amr == AMR_MFA);
        let factor = work.totp().find(user).await.map_err(|error| refused(&error))?;
        let Some(factor) = factor.filter(|_| !had_both) else {
            let auth_time = if had_both { family.auth_time } else { now };
            return Ok(Assurance::Enough { amr: family.amr, auth_time, proven: false });
        };
        let Some(proof) = proof else { return Ok(Assurance::Missing) };
        Ok(match self.use_up(work, &family.tenant, user, &factor, proof).await? {
            Ok(()) => Assurance::Enough { amr: amr_of(proof), auth_time: now, proven: true },
            Err(why) => Assurance::Wrong(why),
        })
    }
}
