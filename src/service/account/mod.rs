//! What a person does with an account: register, log in, stay logged in, log out, look at it, edit it, delete it. One
//! verb a file.
//!
//! Owns the rules of the user plane: who may log in where, what a login yields, when a refresh token is dead.
//! Must never gate anything on Raft, hold a database connection while a password is hashed, or tell a stranger
//! more than `invalid_credentials` (S60).

mod admin;
mod authority;
mod browser;
mod change_password;
mod comparison;
mod delete;
mod device;
mod even;
mod fields;
mod import;
mod login;
mod logout;
mod logout_all;
mod mail_link;
mod mailed_token;
mod mfa;
mod place;
mod profile;
mod refresh;
mod register;
mod session;
mod sessions;

pub use admin::{Change, NewUser, Pair, UserPatch};
pub use browser::{BrowserLogin, BrowserStart};
pub use change_password::PasswordChange;
pub use import::{ImportLine, Imported, MAX_IMPORT, Submitted, UserImport};
pub use login::{Credentials, LoggedIn, Started};
pub use logout::Logout;
pub use mail_link::LinkRequest;
pub use mailed_token::PasswordReset;
pub use mfa::{Challenge, Enrolled, MfaRequired, MfaStatus, Passed, Proof, Reauthentication};
pub(in crate::service) use place::{PASSWORD, Place, admit, ref_of};
pub use profile::ProfilePatch;
pub use refresh::{Exchange, Redemption};
pub use register::{NewAccount, Registered, Registration};

pub(in crate::service) use session::{Opening, may_refresh};

use std::sync::Arc;
use std::time::Duration;

use crate::cluster::ControlPlane;
use crate::config::Config;
use crate::crypto::hash_pool::{HashPool, PoolError};
use crate::crypto::sealed::Sealer;
use crate::domain::clock::Clock;
use crate::domain::password_policy::{Blacklist, PasswordPolicy};
use crate::domain::rng::Rng;
use crate::service::authenticate::Authenticator;
use crate::service::limits::Limits;
use crate::service::mail::Mails;
use crate::service::tokens::TokenIssuer;
use crate::service::user_store::UserStores;
use crate::service::{Error, Result};

/// For how long a used refresh token still yields the successor that it was exchanged for (spec §13.11).
pub const REFRESH_OVERLAP: Duration = Duration::from_secs(10);
/// When a caller should try again who was turned away because too much is going on.
const BUSY_RETRY: Duration = Duration::from_secs(1);

/// What accounts need of the configuration.
#[derive(Debug, Clone)]
pub struct AccountSettings {
    /// Rules of new passwords, where a tenant has no other ones.
    pub password_policy: PasswordPolicy,
    /// Passwords that nobody may choose.
    pub blacklist: Blacklist,
    /// Whether a registration is answered with tokens (`REGISTER_AUTO_LOGIN`).
    pub auto_login: bool,
    /// Whether every registration is answered the same, and a mail tells the rest (`REGISTER_ENUMERATION_SAFE`).
    pub enumeration_safe: bool,
    /// Whether a password reset is answered with tokens (`AUTH_RESET_AUTO_LOGIN`).
    pub reset_auto_login: bool,
    /// Failed logins in a row that hold an account back (`AUTH_MAX_FAILED_LOGINS`).
    pub max_failed_logins: u32,
    /// For how long an account is held back (`AUTH_LOCK_DURATION`).
    pub lock_duration: Duration,
    /// Life of a browser session (`AUTH_SESSION_TTL`).
    pub session_ttl: Duration,
}

impl AccountSettings {
    /// The settings of `config`; `blacklist` is the file that it names.
    pub fn new(config: &Config, blacklist: Blacklist) -> Self {
        let chars = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let rules = &config.password;
        Self {
            password_policy: PasswordPolicy {
                min_length: chars(rules.min_length),
                max_length: chars(rules.max_length),
                require_upper: rules.require_upper,
                require_lower: rules.require_lower,
                require_digit: rules.require_digit,
                require_symbol: rules.require_symbol,
            },
            blacklist,
            auto_login: config.register.auto_login,
            enumeration_safe: config.register.enumeration_safe,
            reset_auto_login: config.auth.reset_auto_login,
            max_failed_logins: config.auth.max_failed_logins,
            lock_duration: config.auth.lock_duration,
            session_ttl: config.auth.session_ttl,
        }
    }
}

/// What an [`AccountService`] is made of.
#[derive(Debug)]
pub struct AccountParts {
    /// Tenants and clients.
    pub plane: ControlPlane,
    /// The user databases.
    pub stores: UserStores,
    /// Where passwords are hashed.
    pub hashes: Arc<HashPool>,
    /// Makes the tokens.
    pub tokens: Arc<TokenIssuer>,
    /// Seals the secrets of second factors.
    pub sealer: Arc<Sealer>,
    /// Writes mails.
    pub mails: Mails,
    /// Reads the bearer token that a logout may come with.
    pub authenticator: Authenticator,
    /// How often somebody may try.
    pub limits: Limits,
    /// From the configuration.
    pub settings: AccountSettings,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
}

/// The use cases of accounts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccountService(Arc<AccountParts>);

impl AccountService {
    /// The use cases over `parts`.
    pub fn new(parts: AccountParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Forgets opened signing keys that exist no more. Call it when the view has changed.
    pub fn forget_old_keys(&self) {
        self.0.tokens.forget_old_keys(&self.0.plane.view());
    }
}

/// The words in which a full or failing hash pool is told.
fn unhashed(error: &PoolError) -> Error {
    match error {
        PoolError::Busy | PoolError::ShuttingDown => Error::busy(BUSY_RETRY).context(error),
        PoolError::Hash(_) => Error::internal(error),
    }
}

/// A password as typed, within the limit that keeps hashing affordable (spec §13.13).
fn password(typed: &crate::crypto::secret::SecretString) -> Result<crate::crypto::password::Password> {
    crate::crypto::password::Password::parse(typed)
        .map_err(|error| Error::bad_input(crate::service::Code::InvalidParameter, error.to_string()))
}
