//! Judges what somebody presents as a second factor.

use hellojohn_control::Slug;

use super::refusal::{Refusal, Why};
use crate::crypto::recovery_code::RecoveryCode;
use crate::domain::mfa::{AMR_MFA, AMR_OTP, TotpCode, TotpFactor};
use crate::domain::user::{User, UserId};
use crate::service::account::AccountService;
use crate::service::account::comparison::standing;
use crate::service::account::session::AMR_PASSWORD;
use crate::service::audit::{Action, Event, Outcome};
use crate::service::user_store::refused;
use crate::service::{Code, Error, Result};
use crate::store::UnitOfWork;

/// What somebody presents as a second factor.
#[derive(Debug, Clone)]
pub enum Proof {
    /// A code of the authenticator.
    Totp(TotpCode),
    /// A recovery code.
    Recovery(RecoveryCode),
}

impl Proof {
    /// Whether it is a recovery code, whose use is an event of its own: its owner has lost the authenticator, or somebody
    /// has found the list.
    pub(in crate::service::account) fn is_recovery(&self) -> bool {
        match self {
            Self::Totp(_) => false,
            Self::Recovery(_) => true,
        }
    }
}

/// How a login with the password and this is named in `amr`. RFC 8176 has no name for a recovery code.
pub(in crate::service::account) fn amr_of(proof: &Proof) -> Vec<String> {
    let names: &[&str] = match proof {
        Proof::Totp(_) => &[AMR_PASSWORD, AMR_OTP, AMR_MFA],
        Proof::Recovery(_) => &[AMR_PASSWORD, AMR_MFA],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl AccountService {
    /// The account as it is now, locked until `work` ends.
    ///
    /// # Errors
    /// `account_disabled`, `account_locked`, or `invalid_credentials` when it has not the password any more that was
    /// `verified`, or is gone; `storage_unavailable`.
    pub(in crate::service::account) async fn lock(
        &self,
        work: &mut UnitOfWork,
        verified: &User,
    ) -> Result<User> {
        let again = work.users().find_for_update(verified.id).await.map_err(|error| refused(&error))?;
        let again = again.ok_or(Code::InvalidCredentials)?;
        standing(&again, self.0.clock.now())?;
        if again.password_hash == verified.password_hash {
            Ok(again)
        } else {
            Err(Error::new(Code::InvalidCredentials).context("the password changed meanwhile"))
        }
    }

    /// Uses a proof up; tells why not, if it is not good. The account's row must be locked.
    pub(in crate::service::account) async fn use_up(
        &self,
        work: &mut UnitOfWork,
        tenant: &Slug,
        user: UserId,
        factor: &TotpFactor,
        proof: &Proof,
    ) -> Result<std::result::Result<(), Why>> {
        let code = match proof {
            Proof::Recovery(code) => {
                let used = work.recovery_codes().use_up(user, &code.hash(tenant, user)).await;
                let used = used.map_err(|error| refused(&error))?;
                return Ok(if used { Ok(()) } else { Err("wrong_recovery_code") });
            }
            Proof::Totp(code) => code,
        };
        let secret = self.0.sealer.open_totp(tenant, user, &factor.secret).map_err(Error::internal)?;
        let Some(step) = secret.step_of(code, self.0.clock.now()) else { return Ok(Err("wrong_code")) };
        // The database decides, not what was read of it before (S65).
        let used = work.totp().use_step(user, factor.id, step).await.map_err(|error| refused(&error))?;
        Ok(if used { Ok(()) } else { Err("replayed_code") })
    }

    /// Counts a proof that was no good as a failed login, with all that `work` did besides, and tells of it: it was shown for
    /// what `event` is.
    pub(in crate::service::account) async fn count_wrong(
        &self,
        mut work: UnitOfWork,
        user: UserId,
        event: &Event<'_>,
        why: Why,
    ) -> Refusal {
        let settings = &self.0.settings;
        let now = self.0.clock.now();
        let counted = work
            .users()
            .record_failed_login(user, now, settings.max_failed_logins, settings.lock_duration)
            .await;
        let event = Event { outcome: Outcome::Refused(why), ..*event };
        let kept = match counted {
            Ok(_) => self.0.stores.commit_told(work, &[event]).await,
            Err(error) => Err(refused(&error)),
        };
        match kept {
            Ok(()) => Refusal::told(Error::new(Code::InvalidMfaCode).context(why), why),
            // A guess that cannot be counted is not answered.
            Err(error) => error.into(),
        }
    }

    /// What no password and no session that was begun before may survive: half logins, trusted devices, a secret that
    /// waits for its first code.
    pub(in crate::service::account) async fn forget_halves(
        &self,
        work: &mut UnitOfWork,
        user: UserId,
    ) -> Result<()> {
        work.mfa_tokens().delete_of_user(user).await.map_err(|error| refused(&error))?;
        work.trusted_devices().delete_of_user(user).await.map_err(|error| refused(&error))?;
        work.totp().delete_enrolment(user).await.map_err(|error| refused(&error))
    }
}

/// What is told of something that is done: it, and that a recovery code was used up for it, if one was.
pub(in crate::service::account) fn with_recovery<'a>(
    event: &Event<'a>,
    proof: Option<&Proof>,
) -> Vec<Event<'a>> {
    let used = proof.is_some_and(Proof::is_recovery);
    let besides = used.then_some(Event { action: Action::UseRecoveryCode, ..*event });
    std::iter::once(*event).chain(besides).collect()
}
