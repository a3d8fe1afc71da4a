//! Opaque tokens (refresh tokens): made, parsed, hashed for storage.
//!
//! A token has 256 random bits, so a plain SHA-256 is a safe form to store: nobody can search for its
//! preimage, and a look-up by hash needs no comparison of secrets. Must never store or print a token itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::secret::SecretString;
use crate::domain::rng::{self, Rng};

/// What every refresh token begins with, so that secret scanners can find a leaked one.
pub const PREFIX: &str = "hjr_";
const RANDOM_BYTES: usize = 32;
/// Prefix and the 43 characters of base64url of 32 bytes.
const TEXT_LEN: usize = PREFIX.len() + 43;

/// An opaque token: `hjr_` and 32 random bytes in base64url without padding. Compared in constant time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpaqueToken(SecretString);

/// A text is not an opaque token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an opaque token: it begins with {PREFIX} and has {TEXT_LEN} characters")]
pub struct NotAToken;

impl OpaqueToken {
    /// A fresh token.
    pub fn generate(rng: &dyn Rng) -> Self {
        let random: Zeroizing<[u8; RANDOM_BYTES]> = Zeroizing::new(rng::bytes(rng));
        Self::from_bytes(&random)
    }

    /// Parses what a client sent. Only the one canonical text of a token is accepted.
    pub fn parse(text: &str) -> Result<Self, NotAToken> {
        if text.len() != TEXT_LEN {
            return Err(NotAToken);
        }
        let encoded = text.strip_prefix(PREFIX).ok_or(NotAToken)?;
        let decoded = URL_SAFE_NO_PAD.decode(encoded).map(Zeroizing::new).map_err(|_| NotAToken)?;
        if decoded.len() == RANDOM_BYTES { Ok(Self(text.into())) } else { Err(NotAToken) }
    }

    fn from_bytes(random: &[u8; RANDOM_BYTES]) -> Self {
        Self(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random)).into())
    }

    /// The text to hand to the client.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// SHA-256 of the text: what the database holds.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.expose().as_bytes()).into()
    }

    /// Whether `hash` is the hash of this token, in constant time.
    pub fn matches(&self, hash: &[u8; 32]) -> bool {
        self.hash().ct_eq(hash).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rng::OsRng;

    #[test]
    fn a_generated_token_parses_to_itself_and_to_the_same_hash() {
        let token = OpaqueToken::generate(&OsRng);
        let parsed = OpaqueToken::parse(token.expose()).unwrap();
        assert_eq!(parsed, token);
        assert_eq!(parsed.hash(), token.hash());
        assert!(token.matches(&parsed.hash()));
    }

    #[test]
    fn two_tokens_differ() {
        let (one, two) = (OpaqueToken::generate(&OsRng), OpaqueToken::generate(&OsRng));
        assert_ne!(one, two);
        assert!(!one.matches(&two.hash()));
    }

    #[test]
    fn anything_but_the_canonical_text_is_refused() {
        let token = OpaqueToken::generate(&OsRng);
        let text = token.expose();
        let mut bad = vec![
            String::new(),
            "hjr_".to_owned(),
            text[..text.len() - 1].to_owned(),
            format!("{text}A"),
            format!("{text}="),
            text.replacen("hjr_", "hjx_", 1),
            format!("{}+", &text[..text.len() - 1]),
            "hjr_".repeat(1_000_000),
        ];
        // 43 characters carry 258 bits; the two beyond 256 must be zero.
        let last = text.bytes().last().unwrap();
        let next = if last == b'8' { '9' } else { char::from(last + 1) };
        bad.push(format!("{}{next}", &text[..text.len() - 1]));
        for text in bad {
            assert_eq!(OpaqueToken::parse(&text).unwrap_err(), NotAToken);
        }
    }

    /// S111
    #[test]
    fn debug_does_not_show_the_token() {
        let token = OpaqueToken::generate(&OsRng);
        assert!(!format!("{token:?}").contains(token.expose()));
    }
}
