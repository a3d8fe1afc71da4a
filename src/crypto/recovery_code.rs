//! Recovery codes: a way in without the authenticator, each good once (S67).
//!
//! A code has 120 random bits, more than anybody can search for, so a fast hash is a safe form to store. Tenant and
//! account are hashed with it: equal codes of two accounts have unequal hashes, and a row that is moved to
//! another account opens nothing there.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE32_NOPAD;
use hellojohn_control::Slug;
use serde::{Deserialize, Deserializer, de};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::secret::SecretString;
use crate::domain::rng::Rng;
use crate::domain::user::UserId;

const RANDOM_BYTES: usize = 15;
/// Characters of base32 for 120 bits: no bit is left over, so every code has one text.
const CHARS: usize = 24;
/// Characters between two hyphens.
const GROUP: usize = 4;
/// Longest text that is looked at.
const MAX_TYPED: usize = 64;
const LABEL: &[u8] = b"hellojohn/recovery-code/v1";

/// A recovery code: 24 characters of base32, shown as `abcd-efgh-…`.
pub struct RecoveryCode(Zeroizing<[u8; RANDOM_BYTES]>);

/// A text is not a recovery code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a recovery code has {CHARS} letters and digits from 2 to 7")]
pub struct NotARecoveryCode;

impl RecoveryCode {
    /// A fresh code.
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut random = Zeroizing::new([0; RANDOM_BYTES]);
        rng.fill(random.as_mut_slice());
        Self(random)
    }

    /// The text to show to its owner, once.
    pub fn text(&self) -> SecretString {
        let plain = Zeroizing::new(BASE32_NOPAD.encode(self.0.as_slice()).to_ascii_lowercase());
        // Sized at once: growing would leave a copy behind that nobody wipes.
        let mut shown = String::with_capacity(CHARS + CHARS / GROUP);
        for (at, c) in plain.chars().enumerate() {
            if at > 0 && at % GROUP == 0 {
                shown.push('-');
            }
            shown.push(c);
        }
        SecretString::from(shown)
    }

    /// What the database holds of the code of this account.
    pub fn hash(&self, tenant: &Slug, user: UserId) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(LABEL);
        // A slug holds no zero byte and the rest has a fixed length, so no two inputs share their bytes.
        hash.update(tenant.as_str());
        hash.update([0]);
        hash.update(user.0.as_bytes());
        hash.update(self.0.as_slice());
        hash.finalize().into()
    }
}

impl FromStr for RecoveryCode {
    type Err = NotARecoveryCode;

    /// In capitals or not, with hyphens and spaces wherever somebody put them.
    fn from_str(typed: &str) -> Result<Self, NotARecoveryCode> {
        if typed.len() > MAX_TYPED {
            return Err(NotARecoveryCode);
        }
        let plain: Zeroizing<String> = Zeroizing::new(
            typed.chars().filter(|c| !matches!(c, '-' | ' ')).map(|c| c.to_ascii_uppercase()).collect(),
        );
        let decoded =
            BASE32_NOPAD.decode(plain.as_bytes()).map(Zeroizing::new).map_err(|_| NotARecoveryCode)?;
        let code = decoded.as_slice().try_into().map_err(|_| NotARecoveryCode)?;
        Ok(Self(Zeroizing::new(code)))
    }
}

impl Clone for RecoveryCode {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(..)")
    }
}

impl<'de> Deserialize<'de> for RecoveryCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        SecretString::deserialize(deserializer)?.expose().parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::rng::OsRng;

    fn hash(code: &RecoveryCode, tenant: &str, user: u128) -> [u8; 32] {
        code.hash(&Slug::parse(tenant).unwrap(), UserId(Uuid::from_u128(user)))
    }

    #[test]
    fn a_code_is_found_again_however_it_is_typed() {
        let code = RecoveryCode::generate(&OsRng);
        let text = code.text();
        assert_eq!(text.expose().len(), 29);
        let shouted = text.expose().to_uppercase();
        let bare = text.expose().replace('-', "");
        for typed in [text.expose(), &shouted, &bare, &text.expose().replace('-', " - ")] {
            let parsed: RecoveryCode = typed.parse().unwrap();
            assert_eq!(hash(&parsed, "acme", 1), hash(&code, "acme", 1), "{typed}");
        }
        for typed in ["", "abcd", &bare[1..], &format!("{bare}a"), &bare.replacen(&bare[..1], "1", 1)] {
            assert!(typed.parse::<RecoveryCode>().is_err(), "{typed}");
        }
    }

    /// S67, S103: the hash belongs to one account of one tenant.
    #[test]
    fn the_hash_is_of_one_account_and_two_codes_differ() {
        let (one, two) = (RecoveryCode::generate(&OsRng), RecoveryCode::generate(&OsRng));
        assert_ne!(hash(&one, "acme", 1), hash(&two, "acme", 1));
        assert_ne!(hash(&one, "acme", 1), hash(&one, "acme", 2));
        assert_ne!(hash(&one, "acme", 1), hash(&one, "evil", 1));
    }

    /// Pins what is stored: the codes of an earlier release go on working.
    #[test]
    fn the_hash_of_a_known_code_does_not_change() {
        let code: RecoveryCode = "aaaa-bbbb-cccc-dddd-eeee-ffff".parse().unwrap();
        let hex: String = hash(&code, "acme", 7).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "428e70b8dde1be2854d4f1f99590a7e38879f1f87cce77e1eb6297eb55a5337d");
    }

    /// S111
    #[test]
    fn a_code_is_not_printed() {
        assert_eq!(format!("{:?}", RecoveryCode::generate(&OsRng)), "RecoveryCode(..)");
    }

    proptest! {
        #[test]
        fn any_text_is_a_code_or_refused(typed in ".{0,80}") {
            if let Ok(code) = typed.parse::<RecoveryCode>() {
                let plain: String = typed.replace(['-', ' '], "");
                prop_assert_eq!(code.text().expose().replace('-', ""), plain.to_lowercase());
            }
        }
    }
}
