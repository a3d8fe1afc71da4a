//! The stored form of a client secret.

use std::fmt;

use serde::{Deserialize, Serialize};

/// SHA-256 of a random 256-bit secret, `sha256:{64 lower-case hex digits}`. A plain digest is enough here: the input
/// has full entropy, so there is nothing to guess.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretHash([u8; 32]);

const PREFIX: &str = "sha256:";

impl SecretHash {
    /// From the digest.
    pub fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest.
    pub fn digest(&self) -> &[u8; 32] {
        &self.0
    }
}

impl TryFrom<String> for SecretHash {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        const WHY: &str = "a secret hash has the form sha256:<64 lower-case hex digits>";
        let hex = text.strip_prefix(PREFIX).ok_or(WHY)?;
        // One text for one digest: `from_str_radix` alone would also take signs and upper case.
        if hex.len() != 64 || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(WHY);
        }
        let mut digest = [0; 32];
        for (i, byte) in digest.iter_mut().enumerate() {
            let pair = hex.get(2 * i..2 * i + 2).ok_or(WHY)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| WHY)?;
        }
        Ok(Self(digest))
    }
}

impl From<SecretHash> for String {
    fn from(hash: SecretHash) -> String {
        hash.0.iter().fold(PREFIX.to_owned(), |text, byte| text + &format!("{byte:02x}"))
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(hex: &str) -> Result<SecretHash, &'static str> {
        SecretHash::try_from(format!("sha256:{hex}"))
    }

    #[test]
    fn a_digest_has_exactly_one_text() {
        let hash = SecretHash::new(std::array::from_fn(|i| u8::try_from(i * 8).unwrap()));
        let text = String::from(hash);
        assert_eq!(SecretHash::try_from(text.clone()), Ok(hash));
        let hex = text.strip_prefix("sha256:").unwrap();
        let signed = hex.replacen("00", "+0", 1);
        for bad in [&hex.to_uppercase(), &signed, &hex[1..], &format!("{hex}0"), &"é".repeat(32), ""] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
        assert!(SecretHash::try_from(hex.to_owned()).is_err(), "no prefix");
    }

    /// S111
    #[test]
    fn debug_does_not_show_the_digest() {
        assert_eq!(format!("{:?}", SecretHash::new([7; 32])), "SecretHash(..)");
    }
}
