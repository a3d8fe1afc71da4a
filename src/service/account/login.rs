//! Log in with a password (EP002).
//!
//! Whatever is wrong with the credentials, the same work is done and the same answer given (S60): one
//! comparison of a hash, one look-up, one statement that counts a failure, without waiting for the disk.

use hellojohn_control::{ClientId, Slug};

use super::comparison::{changed_meanwhile, standing};
use super::place::Place;
use super::{AccountService, password};
use crate::crypto::password::{Password, Verified};
use crate::crypto::secret::SecretString;
use crate::domain::email::Email;
use crate::domain::user::{PasswordHash, User};
use crate::service::audit::{self, Action, Event, Outcome, Requester};
use crate::service::tokens::TokenSet;
use crate::service::user_store::refused;
use crate::service::{Code, Result};

/// What somebody who logs in says.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// Where.
    pub tenant: Slug,
    /// Through which client.
    pub client_id: ClientId,
    /// Address.
    pub email: String,
    /// Password as typed.
    pub password: SecretString,
}

/// How a comparison ended.
struct Compared {
    user: Option<User>,
    verified: Verified,
}

impl AccountService {
    /// Starts a session.
    ///
    /// # Errors
    /// `tenant_not_found`, `client_not_found`, `tenant_suspended`, `client_disabled`, `provider_not_allowed`;
    /// `invalid_parameter` for a password over 1,024 bytes; `invalid_credentials` for everything that is wrong
    /// with the credentials; `account_disabled` and `account_locked` after the right password only; `busy`;
    /// `storage_unavailable`.
    pub async fn login(&self, requester: &Requester, credentials: &Credentials) -> Result<TokenSet> {
        let place = self.place(&credentials.tenant, &credentials.client_id)?;
        let typed = password(&credentials.password)?;
        let event = |user: Option<&User>, outcome| Event {
            action: Action::Login,
            outcome,
            tenant: &credentials.tenant,
            actor: user.map(|user| user.id),
            target: None,
            client_id: Some(credentials.client_id.as_str()),
        };
        let Compared { user, verified } = self.compare(&place, &credentials.email, typed.clone()).await?;
        let user = match user {
            Some(user) if verified.ok => user,
            user => {
                self.count_failure(&place.entry.tenant, user.as_ref()).await?;
                let reason = if user.is_some() { "wrong_password" } else { "unknown_user" };
                audit::record(requester, &event(user.as_ref(), Outcome::Refused(reason)));
                return Err(Code::InvalidCredentials.into());
            }
        };
        match self.finish(requester, &place, &user, typed, verified).await {
            Ok(tokens) => {
                audit::record(requester, &event(Some(&user), Outcome::Ok));
                Ok(tokens)
            }
            Err(error) => {
                audit::record(requester, &event(Some(&user), Outcome::Refused(error.code().as_str())));
                Err(error)
            }
        }
    }

    /// Finds the account and compares the password. No connection is held while the hash is computed.
    async fn compare(&self, place: &Place, email: &str, typed: Password) -> Result<Compared> {
        let mut work = self.0.stores.begin(&place.entry.tenant).await?;
        // What is no address is nobody's address.
        let user = match Email::parse(email) {
            Ok(email) => work.users().find_by_email(&email).await.map_err(|error| refused(&error))?,
            Err(_) => None,
        };
        work.commit().await.map_err(|error| refused(&error))?;
        let verified = self.verify(user.as_ref(), typed).await?;
        Ok(Compared { user, verified })
    }

    /// After the right password: whether the account may be used, and its session.
    async fn finish(
        &self,
        requester: &Requester,
        place: &Place,
        user: &User,
        typed: Password,
        verified: Verified,
    ) -> Result<TokenSet> {
        standing(user, self.0.clock.now())?;
        let renewed = if verified.needs_rehash { self.rehash(user, typed).await } else { None };
        let now = self.0.clock.now();
        let mut work = self.0.stores.begin(&place.entry.tenant).await?;
        let old = user.password_hash.as_ref();
        let recorded = work.users().record_login(user.id, old, now).await.map_err(|error| refused(&error))?;
        if !recorded {
            return changed_meanwhile(&mut work, user.id, now).await;
        }
        if let Some(new) = renewed {
            work.users().replace_password_hash(user.id, old, &new).await.map_err(|error| refused(&error))?;
        }
        let tenant = &place.entry.tenant;
        let noticed = self.notice_device(&mut work, tenant, user, requester, now).await?;
        let (_, tokens) = self.start_session(&mut work, place, user, now).await?;
        work.commit().await.map_err(|error| refused(&error))?;
        if noticed {
            self.device_noticed(tenant);
        }
        Ok(tokens)
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
