//! A compact JWS (RFC 7515 §3.1) of ours, read strictly (S36 to S38).
//!
//! Every token that comes here is one of ours, so there is no room for interpretation: exactly three parts of
//! canonical base64url, a header of exactly `alg`, `kid` and `typ`, one spelling of each. A header that
//! carries a key or points to one (`jwk`, `jku`, `x5c`, `x5u`), `crit`, `zip`, `b64` or anything else is
//! refused unread.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hellojohn_control::Kid;
use hellojohn_control::documents::{Alg, PublicJwk};
use serde::Deserialize;

use super::proven::Proven;
use super::{MAX_TOKEN_BYTES, TokenError, TokenType, strict_json};
use crate::crypto::keys::{members, verifies};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: Kid,
    typ: String,
}

/// A token whose form is right; nothing in it is proven.
pub(super) struct Jws<'a> {
    /// What is signed: header and payload as they stand in the token.
    message: &'a str,
    signature: &'a str,
    header: Header,
}

impl<'a> Jws<'a> {
    /// Reads a token of the kind `typ`; the second part is its payload.
    ///
    /// # Errors
    /// Another kind of token, or one whose form or header is not exactly that of ours.
    pub(super) fn parse(token: &'a str, typ: TokenType) -> Result<(Self, Vec<u8>), TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLarge);
        }
        let (message, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenError::Malformed)?;
        // A dot too many is in the payload now, where base64 refuses it.
        let [header, payload, signature_bytes] = [decode(header)?, decode(payload)?, decode(signature)?];
        if signature_bytes.is_empty() {
            return Err(TokenError::Malformed);
        }
        let header: Header = strict_json::parse(&header).map_err(|_| TokenError::Header)?;
        if header.typ != typ.as_str() {
            return Err(TokenError::WrongType);
        }
        Ok((Self { message, signature, header }, payload))
    }

    /// Verifies the signature with the key that the header names **within the set that `keys` looks into**.
    ///
    /// # Errors
    /// [`TokenError`]: no such key, another algorithm than the key's, a wrong signature.
    pub(super) fn verify(&self, keys: &dyn Fn(&Kid) -> Option<(Alg, PublicJwk)>) -> Result<(), TokenError> {
        static PROVEN: LazyLock<Proven> = LazyLock::new(Proven::new);
        let (alg, jwk) = keys(&self.header.kid).ok_or(TokenError::UnknownKey)?;
        if self.header.alg != alg.as_str() {
            return Err(TokenError::WrongAlgorithm);
        }
        let key = members(alg, &jwk).ok_or(TokenError::UnfitKey)?;
        let verify = || verifies(alg, key, self.message, self.signature);
        if PROVEN.or_verify(key, self.message, self.signature, verify) {
            Ok(())
        } else {
            Err(TokenError::Signature)
        }
    }
}

/// Canonical base64url without padding: no other text decodes to the same bytes.
fn decode(part: &str) -> Result<Vec<u8>, TokenError> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenError::Malformed)
}
