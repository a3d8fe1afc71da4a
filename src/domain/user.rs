//! A person's account in one tenant (spec §4).
//!
//! Owns the account's fields and the two questions that every grant asks of them: may this account be used,
//! and is it held back for a while. Knows no storage and no hashing.

use std::fmt;
use std::str::FromStr;

use hellojohn_control::Timestamp;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;
use uuid::Uuid;

use super::email::Email;

/// Identifier of an account; the `sub` of its tokens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(pub Uuid);

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for UserId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// A password's hash as a PHC string. Useless for a login, but still nothing to print: an offline attack
/// starts from it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Wraps a PHC string; whether it is one is the hasher's business.
    pub fn new(phc: String) -> Self {
        Self(phc)
    }

    /// The PHC string, for the hasher and the store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

/// What an administrator decided about an account. A hold after failed logins is not a status: see
/// [`User::held_at`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserStatus {
    /// May log in.
    Active,
    /// Switched off; its tokens are dead (spec §4).
    Disabled,
    /// Locked until an administrator unlocks it.
    Locked,
}

/// A text is not the name of a [`UserStatus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("status must be active, disabled or locked")]
pub struct InvalidUserStatus;

impl UserStatus {
    /// The name in JSON and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Locked => "locked",
        }
    }
}

impl FromStr for UserStatus {
    type Err = InvalidUserStatus;
    fn from_str(text: &str) -> Result<Self, InvalidUserStatus> {
        match text {
            "active" => Ok(Self::Active),
            "disabled" => Ok(Self::Disabled),
            "locked" => Ok(Self::Locked),
            _ => Err(InvalidUserStatus),
        }
    }
}

/// An account (spec §4). Its tenant is the one of the unit of work that read it.
#[derive(Debug, Clone, PartialEq)]
pub struct User {
    /// Identifier; never changes.
    pub id: UserId,
    /// Address; unique in the tenant by its key.
    pub email: Email,
    /// Absent for an account that never had a password (social login).
    pub password_hash: Option<PasswordHash>,
    /// OpenID Connect Core §5.1.
    pub given_name: Option<String>,
    /// OpenID Connect Core §5.1.
    pub family_name: Option<String>,
    /// URL of a picture (OpenID Connect Core §5.1).
    pub picture: Option<String>,
    /// BCP 47 language tag (OpenID Connect Core §5.1).
    pub locale: Option<String>,
    /// Attributes of the tenant's own choosing.
    pub custom: serde_json::Map<String, serde_json::Value>,
    /// What an administrator decided.
    pub status: UserStatus,
    /// Whether the owner showed that the address is theirs.
    pub email_verified: bool,
    /// Whether it administers this installation; counts only in the tenants of `ADMIN_TENANTS`.
    pub sys_admin: bool,
    /// Failed logins in a row since the last success or the end of the last hold.
    pub failed_logins: u32,
    /// End of the hold after too many failed logins.
    pub locked_until: Option<Timestamp>,
    /// When it was registered.
    pub created_at: Timestamp,
    /// When a field other than the login counters changed last.
    pub updated_at: Timestamp,
    /// When its owner logged in last.
    pub last_login_at: Option<Timestamp>,
}

impl User {
    /// A new active account without a name, with an unverified address.
    pub fn new(id: UserId, email: Email, password_hash: Option<PasswordHash>, now: Timestamp) -> Self {
        Self {
            id,
            email,
            password_hash,
            given_name: None,
            family_name: None,
            picture: None,
            locale: None,
            custom: serde_json::Map::new(),
            status: UserStatus::Active,
            email_verified: false,
            sys_admin: false,
            failed_logins: 0,
            locked_until: None,
            created_at: now,
            updated_at: now,
            last_login_at: None,
        }
    }

    /// The full name (OpenID Connect Core §5.1), as far as it is known.
    pub fn name(&self) -> Option<String> {
        match (self.given_name.as_deref(), self.family_name.as_deref()) {
            (Some(given), Some(family)) => Some(format!("{given} {family}")),
            (given, family) => given.or(family).map(str::to_owned),
        }
    }

    /// Whether failed logins hold the account back at `now` (S61: a hold always ends by itself).
    pub fn held_at(&self, now: Timestamp) -> bool {
        self.locked_until.is_some_and(|until| now < until)
    }
}

/// Most characters of a name by which it is searched and ordered.
const NAME_KEY: usize = 64;

/// A name, or the beginning of one, as it is searched: letter case and the ways to write an accent make no difference.
pub fn name_key(name: &str) -> String {
    name.to_lowercase().nfc().take(NAME_KEY).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_at_its_moment() {
        let now = Timestamp::from_secs(1_800_000_000);
        let mut user = User::new(UserId(Uuid::nil()), Email::parse("a@example.com").unwrap(), None, now);
        assert!(!user.held_at(now));
        user.locked_until = Some(now.plus(std::time::Duration::from_secs(1)));
        assert!(user.held_at(now));
        assert!(!user.held_at(now.plus(std::time::Duration::from_secs(1))));
    }

    #[test]
    fn status_names_round_trip() {
        for status in [UserStatus::Active, UserStatus::Disabled, UserStatus::Locked] {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert!("ACTIVE".parse::<UserStatus>().is_err());
    }

    /// S111
    #[test]
    fn a_password_hash_is_not_printed() {
        let hash = PasswordHash::new("$argon2id$v=19$secret".to_owned());
        let user = User::new(
            UserId(Uuid::nil()),
            Email::parse("a@example.com").unwrap(),
            Some(hash),
            Timestamp::default(),
        );
        assert!(!format!("{user:?}").contains("argon2id"));
    }
}
