//! Compares passwords, and counts those that were wrong (S60, S61).

use hellojohn_control::Timestamp;
use hellojohn_control::documents::Tenant;
use uuid::Uuid;

use super::mfa::{Judged, Refusal};
use super::{AccountService, unhashed};
use crate::crypto::hash_pool::PoolError;
use crate::crypto::password::{Password, Verified};
use crate::domain::user::{User, UserId, UserStatus};
use crate::service::audit::{Event, Outcome};
use crate::service::limits::{Account, Pool};
use crate::service::user_store::refused;
use crate::service::{Code, Error, Result};

impl AccountService {
    /// Compares a password with that of the account. For nobody, and where the stored hash cannot be used, the same
    /// work is done. Hold no connection meanwhile.
    ///
    /// # Errors
    /// `busy` when the hash pool is full.
    pub(super) async fn verify(&self, user: Option<&User>, typed: Password) -> Result<Verified> {
        let hash = user.and_then(|user| user.password_hash.as_ref());
        let hash = hash.map(|hash| hash.as_str().to_owned());
        match self.0.hashes.verify(typed, hash).await {
            Ok(verified) => Ok(verified),
            // To a stranger it is a wrong password.
            Err(PoolError::Hash(error)) => {
                let user = user.map(|user| user.id);
                tracing::error!(?user, %error, "a stored password hash cannot be used");
                Ok(Verified { ok: false, needs_rehash: false })
            }
            Err(error @ (PoolError::Busy | PoolError::ShuttingDown)) => Err(unhashed(&error)),
        }
    }

    /// Counts the failure, and tells of it in the same transaction. For nobody the same statements run, and the first finds no
    /// row (S60).
    pub(super) async fn count_failure(
        &self,
        tenant: &Tenant,
        user: Option<&User>,
        event: &Event<'_>,
        why: &'static str,
    ) -> Result<()> {
        let settings = &self.0.settings;
        let id = user.map_or(UserId(Uuid::nil()), |user| user.id);
        let mut work = self.0.stores.begin(tenant).await?;
        work.users()
            .record_failed_login(id, self.0.clock.now(), settings.max_failed_logins, settings.lock_duration)
            .await
            .map_err(|error| refused(&error))?;
        let event = Event { outcome: Outcome::Refused(why), ..*event };
        self.0.stores.commit_told_without_waiting_for_disk(work, &[event]).await
    }

    /// The account that a token speaks for, after the password that its owner typed again: whoever holds a stolen token
    /// does not get further than somebody at the login (S61). `event` is what it is asked for.
    ///
    /// # Errors
    /// `invalid_credentials`, counted as a failed login; `account_locked`, `account_disabled` after the right password;
    /// `too_many_requests`; `invalid_token` when the account is gone; `busy`; `storage_unavailable`.
    pub(super) async fn confirm(
        &self,
        event: &Event<'_>,
        tenant: &Tenant,
        user: UserId,
        typed: Password,
    ) -> Judged<User> {
        let mut work = self.0.stores.begin(tenant).await?;
        let user = work.users().find_by_id(user).await.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        let user = user.ok_or(Code::InvalidToken)?;
        let account = Account::Email(&tenant.slug, &user.email);
        let confirmed = Box::pin(self.confirmed(event, tenant, &user, typed));
        self.limited(Pool::Login, event.requester, account, confirmed).await?;
        Ok(user)
    }

    async fn confirmed(
        &self,
        event: &Event<'_>,
        tenant: &Tenant,
        user: &User,
        typed: Password,
    ) -> Judged<()> {
        if !self.verify(Some(user), typed).await?.ok {
            let error = Error::new(Code::InvalidCredentials);
            let why = error.code().as_str();
            self.count_failure(tenant, Some(user), event, why).await?;
            return Err(Refusal::told(error, why));
        }
        Ok(standing(user, self.0.clock.now())?)
    }
}

/// Whether the account may be used; told only to somebody who knows its password.
pub(super) fn standing(user: &User, now: Timestamp) -> Result<()> {
    match user.status {
        UserStatus::Active if user.held_at(now) => Err(Code::AccountLocked.into()),
        UserStatus::Active => Ok(()),
        UserStatus::Disabled => Err(Code::AccountDisabled.into()),
        UserStatus::Locked => Err(Code::AccountLocked.into()),
    }
}
