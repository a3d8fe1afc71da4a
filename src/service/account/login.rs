//! Log in with a password (EP002), and with a second factor where the account has one.
//!
//! Whatever is wrong with the credentials, the same work is done and the same answer given (S60): one
//! comparison of a hash, one look-up, one statement that counts a failure, without waiting for the disk.

use hellojohn_control::documents::Tenant;
use hellojohn_control::{ClientId, Slug};

use super::browser::BrowserStart;
use super::comparison::standing;
use super::mfa::{Judged, MfaRequired, Proof, amr_of};
use super::place::Goal;
use super::session::password_alone;
use super::{AccountService, password, unhashed};
use crate::crypto::password::{Password, Verified};
use crate::crypto::secret::SecretString;
use crate::domain::email::Email;
use crate::domain::user::{PasswordHash, User};
use crate::service::audit::{Action, Event, Outcome, Requester};
use crate::service::limits::{Account, Pool};
use crate::service::tokens::TokenSet;
use crate::service::user_store::refused;
use crate::service::{Code, Error, Result};
use crate::store::UnitOfWork;

/// What somebody who logs in says.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Where.
    pub tenant: Slug,
    /// Address.
    pub email: String,
    /// Password as typed.
    pub password: SecretString,
    /// The second factor, from whoever knows that it will be asked for.
    pub proof: Option<Proof>,
    /// What the device shows that may be trusted, as sent.
    pub device: Option<SecretString>,
}

/// What a right password leads to.
#[derive(Debug)]
pub enum LoggedIn {
    /// A session.
    Session(Started),
    /// The second half of the login.
    MfaRequired(MfaRequired),
}

/// A session that a login has started, as its owner is given it.
#[derive(Debug)]
pub enum Started {
    /// Tokens for a client.
    Tokens(TokenSet),
    /// A cookie for a browser, and no tokens.
    Browser(BrowserStart),
}

/// How a comparison ended.
struct Compared {
    user: Option<User>,
    verified: Verified,
}

impl AccountService {
    /// Starts a session, or the second half of the login where the account has a second factor.
    ///
    /// # Errors
    /// `tenant_not_found`, `client_not_found`, `tenant_suspended`, `client_disabled`, `provider_not_allowed`;
    /// `invalid_parameter` for a password over 1,024 bytes; `invalid_credentials` for everything that is wrong
    /// with the credentials; `account_disabled`, `account_locked` and `invalid_mfa_code` after the right password only;
    /// `too_many_requests`; `busy`; `storage_unavailable`.
    pub async fn login(
        &self,
        requester: &Requester,
        client_id: &ClientId,
        credentials: &Credentials,
    ) -> Result<LoggedIn> {
        let goal = Goal::Tokens(self.place(&credentials.tenant, client_id)?);
        self.attempt(requester, &goal, credentials).await
    }

    /// A login, whatever it is for, within its limits.
    pub(super) async fn attempt(
        &self,
        requester: &Requester,
        goal: &Goal,
        credentials: &Credentials,
    ) -> Result<LoggedIn> {
        let typed = password(&credentials.password)?;
        // What is no address is nobody's, and counts for the address that it comes from.
        let email = Email::parse(&credentials.email).ok();
        let account = email.as_ref().map(|email| Account::Email(&credentials.tenant, email));
        let work = self.log_in(requester, goal, credentials, email.as_ref(), typed);
        let outcome = self.0.limits.guess(Pool::Login, requester.ip, account, work).await;
        if let Err(error) = &outcome
            && error.code() == Code::TooManyRequests
        {
            let event = event(requester, goal, None);
            self.0.stores.refuse(&event, error.code().as_str(), error).await;
        }
        outcome
    }

    async fn log_in(
        &self,
        requester: &Requester,
        goal: &Goal,
        credentials: &Credentials,
        email: Option<&Email>,
        typed: Password,
    ) -> Result<LoggedIn> {
        let tenant = &goal.entry().tenant;
        let Compared { user, verified } = self.compare(tenant, email, typed.clone()).await?;
        let user = match user {
            Some(user) if verified.ok => user,
            user => {
                let why = if user.is_some() { "wrong_password" } else { "unknown_user" };
                let event = event(requester, goal, user.as_ref());
                self.count_failure(tenant, user.as_ref(), &event, why).await?;
                return Err(Code::InvalidCredentials.into());
            }
        };
        let event = event(requester, goal, Some(&user));
        let reached = self.finish(&event, goal, &user, credentials, typed, verified).await;
        self.heard(&event, reached).await
    }

    /// Finds the account and compares the password. No connection is held while the hash is computed.
    async fn compare(&self, tenant: &Tenant, email: Option<&Email>, typed: Password) -> Result<Compared> {
        self.0.hashes.check_room().map_err(|error| unhashed(&error))?;
        let mut work = self.0.stores.begin(tenant).await?;
        let user = match email {
            Some(email) => work.users().find_by_email(email).await.map_err(|error| refused(&error))?,
            None => None,
        };
        work.commit().await.map_err(|error| refused(&error))?;
        let verified = self.verify(user.as_ref(), typed).await?;
        Ok(Compared { user, verified })
    }

    /// After the right password: whether the account may be used, its second factor, and its session.
    async fn finish(
        &self,
        event: &Event<'_>,
        goal: &Goal,
        user: &User,
        credentials: &Credentials,
        typed: Password,
        verified: Verified,
    ) -> Judged<LoggedIn> {
        standing(user, self.0.clock.now())?;
        let renewed = if verified.needs_rehash { self.rehash(user, typed).await } else { None };
        let mut work = self.0.stores.begin(&goal.entry().tenant).await?;
        // From here on nobody changes the account, its password or its second factor.
        let mut user = self.lock(&mut work, user).await?;
        if let Some(new) = renewed {
            let old = user.password_hash.as_ref();
            work.users().replace_password_hash(user.id, old, &new).await.map_err(|error| refused(&error))?;
            user.password_hash = Some(new);
        }
        let (proof, device) = (credentials.proof.as_ref(), credentials.device.as_ref());
        self.enter(work, goal, &user, &[*event], proof, device).await
    }

    /// A session for somebody who has shown the first factor, or the second half of the login. The account's row must be
    /// locked in `work`, and the account be one that may log in. Every way in ends here. The last of `events` is the login, those
    /// before it are what else is done by the same commit.
    pub(super) async fn enter(
        &self,
        mut work: UnitOfWork,
        goal: &Goal,
        user: &User,
        events: &[Event<'_>],
        proof: Option<&Proof>,
        device: Option<&SecretString>,
    ) -> Judged<LoggedIn> {
        let Some((login, before)) = events.split_last() else {
            return Err(Error::internal("a login of which nothing would be told").into());
        };
        let tenant = &goal.entry().tenant;
        let factor = work.totp().find(user.id).await.map_err(|error| refused(&error))?;
        let (amr, besides) = match (factor, proof) {
            (None, _) => (password_alone(), None),
            (Some(factor), Some(proof)) => {
                if let Err(why) = self.use_up(&mut work, &tenant.slug, user.id, &factor, proof).await? {
                    return Err(self.count_wrong(work, user.id, login, why).await);
                }
                (amr_of(proof), proof.is_recovery().then_some(Action::UseRecoveryCode))
            }
            (Some(factor), None) => {
                if !self.trusts(&mut work, &tenant.slug, user, device).await? {
                    let half = Event { action: Action::MfaRequired, ..*login };
                    let events = [before, &[half]].concat();
                    let half = self.suspend_login(work, goal, user, &factor, &events).await?;
                    return Ok(LoggedIn::MfaRequired(half));
                }
                (password_alone(), Some(Action::UseTrustedDevice))
            }
        };
        let now = self.0.clock.now();
        let old = user.password_hash.as_ref();
        if !work.users().record_login(user.id, old, now).await.map_err(|error| refused(&error))? {
            return Err(Error::internal("a locked account was changed by somebody else").into());
        }
        let noticed = self.notice_device(&mut work, tenant, user, login.requester, now).await?;
        let started = self.start(&mut work, goal, user, amr, now).await?;
        let besides = besides.map(|action| Event { action, ..*login });
        let events = [before, &[*login], besides.as_slice()].concat();
        self.0.stores.commit_told(work, &events).await?;
        if noticed {
            self.device_noticed(tenant);
        }
        Ok(LoggedIn::Session(started))
    }

    /// The password's hash with the current parameters (S64). Not worth failing a login for: the next one tries
    /// again.
    async fn rehash(&self, user: &User, typed: Password) -> Option<PasswordHash> {
        match self.0.hashes.hash(typed).await {
            Ok(hash) => Some(PasswordHash::new(hash)),
            Err(error) => {
                tracing::warn!(user = %user.id, %error, "a password was not hashed anew");
                None
            }
        }
    }
}

fn event<'a>(requester: &'a Requester, goal: &'a Goal, user: Option<&User>) -> Event<'a> {
    Event {
        requester,
        action: Action::Login,
        outcome: Outcome::Ok,
        tenant: &goal.entry().tenant.slug,
        actor: user.map(|user| user.id),
        target: None,
        client_id: goal.client_id(),
    }
}
