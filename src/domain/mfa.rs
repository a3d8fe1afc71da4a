//! Second factors (spec §6 EP060-5; S65-S69): what is kept of them, for how long, and how often one may guess.
//!
//! Owns the limits and the shapes of codes as people type them. Knows no storage and no crypto: a secret is here
//! only in its sealed form.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use hellojohn_control::Timestamp;
use serde::{Deserialize, Deserializer, de};
use uuid::Uuid;

use super::browser_session::ClientRef;
use super::return_to::ReturnTo;
use super::user::UserId;

/// A one-time password in `amr` (RFC 8176 §2).
pub const AMR_OTP: &str = "otp";
/// More than one factor in `amr` (RFC 8176 §2).
pub const AMR_MFA: &str = "mfa";

/// For how long a new secret waits for its first code.
pub const ENROLMENT_TTL: Duration = Duration::from_secs(15 * 60);
/// For how long the second half of a login may follow the first (S68).
pub const MFA_TOKEN_TTL: Duration = Duration::from_secs(5 * 60);
/// Wrong codes that end an enrolment or the token of a login.
pub const MAX_WRONG_CODES: u32 = 5;
/// For how long a device is trusted (S69).
pub const DEVICE_TTL: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How long after its login a session may enrol a first factor without the password (S66).
pub const RECENT_LOGIN: Duration = Duration::from_secs(10 * 60);
/// Recovery codes that are made at once.
pub const RECOVERY_CODES: usize = 10;
/// Digits of a code.
const DIGITS: usize = 6;
/// Longest text that is looked at for a code.
const MAX_TYPED: usize = 32;

/// A TOTP secret under the master key: `GCMV1-MFA:…`. Opens nothing by itself, but is nothing to print either.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedSecret(String);

impl SealedSecret {
    /// Wraps the text of a sealed secret; whether it is one is the sealer's business.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text, for the sealer and the store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SealedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealedSecret(..)")
    }
}

/// Identity of one secret: another enrolment is another factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FactorId(pub Uuid);

/// A TOTP secret that is asked for at logins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TotpFactor {
    /// Identifier.
    pub id: FactorId,
    /// The secret.
    pub secret: SealedSecret,
    /// The newest time step whose code was accepted; no code of it or of an older one is accepted again (S65).
    pub last_step: i64,
    /// Since when.
    pub created_at: Timestamp,
    /// Recovery codes that were not used yet.
    pub recovery_codes: u32,
}

/// A secret that was shown and waits for its first code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Identifier that the factor will have.
    pub id: FactorId,
    /// The secret.
    pub secret: SealedSecret,
    /// The factor that its owner proved to hold and means to replace; `None` where there was none. What is active when
    /// the first code comes must still be this (S66).
    pub replaces: Option<FactorId>,
    /// Until when it waits.
    pub expires_at: Timestamp,
}

/// The first half of a login, kept for the second.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingLogin {
    /// Whose.
    pub user_id: UserId,
    /// What the second half leads to; nothing in that half can change it.
    pub goal: PendingGoal,
    /// Fingerprint of the password's hash that was verified: another password makes it worthless (S68).
    pub password: [u8; 32],
    /// Until when it can be finished.
    pub expires_at: Timestamp,
}

/// What a login is for whose first half is kept (S68).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingGoal {
    /// Tokens for a client.
    Tokens(ClientRef),
    /// The session of a browser, and no tokens.
    Browser {
        /// The client that it goes through, if it goes through one.
        client: Option<ClientRef>,
        /// Where its owner wants to go then.
        return_to: Option<ReturnTo>,
    },
}

impl PendingGoal {
    /// The client that the login goes through.
    pub fn client(&self) -> Option<&ClientRef> {
        match self {
            Self::Tokens(client) => Some(client),
            Self::Browser { client, .. } => client.as_ref(),
        }
    }
}

/// Six digits as somebody typed them.
#[derive(Clone, PartialEq, Eq)]
pub struct TotpCode([u8; DIGITS]);

/// A text is not a code of an authenticator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has {DIGITS} digits")]
pub struct NotACode;

impl TotpCode {
    /// The digits, in ASCII.
    pub fn digits(&self) -> &[u8; DIGITS] {
        &self.0
    }
}

impl FromStr for TotpCode {
    type Err = NotACode;

    /// Authenticators show the digits in groups, so spaces between them are passed over.
    fn from_str(typed: &str) -> Result<Self, NotACode> {
        if typed.len() > MAX_TYPED {
            return Err(NotACode);
        }
        let digits: Vec<u8> = typed.bytes().filter(|byte| *byte != b' ').collect();
        let digits: [u8; DIGITS] = digits.try_into().map_err(|_| NotACode)?;
        if digits.iter().all(u8::is_ascii_digit) { Ok(Self(digits)) } else { Err(NotACode) }
    }
}

impl fmt::Debug for TotpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpCode(..)")
    }
}

impl<'de> Deserialize<'de> for TotpCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_six_digits_with_or_without_spaces_between() {
        for typed in ["012345", "012 345", " 012345 ", "0 1 2 3 4 5"] {
            assert_eq!(typed.parse::<TotpCode>().unwrap().digits(), b"012345", "{typed}");
        }
        for typed in
            ["", "12345", "1234567", "12345a", "-12345", "１２３４５６", "0123\t45", &" ".repeat(1000)]
        {
            assert_eq!(typed.parse::<TotpCode>(), Err(NotACode), "{typed}");
        }
    }

    /// S111
    #[test]
    fn neither_codes_nor_secrets_are_printed() {
        let shown = format!(
            "{:?} {:?}",
            "123456".parse::<TotpCode>().unwrap(),
            SealedSecret::new("GCMV1-MFA:ab:cd".into())
        );
        assert_eq!(shown, "TotpCode(..) SealedSecret(..)");
    }

    proptest! {
        #[test]
        fn any_text_is_a_code_or_refused(typed in ".*") {
            if let Ok(code) = typed.parse::<TotpCode>() {
                let bare = typed.replace(' ', "");
                prop_assert_eq!(bare.as_bytes(), code.digits());
            }
        }
    }
}
