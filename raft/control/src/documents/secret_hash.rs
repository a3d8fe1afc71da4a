//! The stored form of a client secret.

use std::fmt;

use serde::{Deserialize, Serialize};

/// SHA-256 of a random 256-bit secret, `sha256:{64 hex digits}`. A plain digest is enough here: the input
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
        const WHY: &str = "a secret hash has the form sha256:<64 hex digits>";
        let hex = text.strip_prefix(PREFIX).ok_or(WHY)?;
        if hex.len() != 64 || !hex.is_ascii() {
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
