//! Reading tokens back, strictly (S36 to S39).
//!
//! Every token that comes here is one of ours, so there is no room for interpretation: exactly three parts of
//! canonical base64url, a header of exactly `alg`, `kid` and `typ`, one spelling of each. A header that
//! carries a key or points to one (`jwk`, `jku`, `x5c`, `x5u`), `crit`, `zip`, `b64` or anything else is
//! refused unread.

use std::fmt;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hellojohn_control::documents::{Alg, KeyState, PublicJwk, SigningKey};
use hellojohn_control::{Kid, Timestamp};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;

use super::claims::AccessClaims;
use super::proven::Proven;
use super::strict_json;
use super::{MAX_TOKEN_BYTES, SKEW_SECS, TokenType};
use crate::crypto::keys::ed25519_public;

/// Why a token is refused. The texts hold nothing of the token; clients are told `invalid_token` only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is longer than {MAX_TOKEN_BYTES} bytes")]
    TooLarge,
    /// Not three parts of canonical base64url.
    #[error("the token is not a compact JWS of three base64url parts")]
    Malformed,
    /// The header has unknown, repeated, missing or wrongly typed members.
    #[error("the token's header is not exactly alg, kid and typ")]
    Header,
    /// Another `typ`: an ID token, or something else that is no access token.
    #[error("the token is not an access token (typ at+jwt)")]
    WrongType,
    /// No key of this issuer has that kid.
    #[error("the token's kid names no key of this issuer")]
    UnknownKey,
    /// The header's `alg` is not the key's.
    #[error("the token's alg is not the algorithm of its key")]
    WrongAlgorithm,
    /// The key is of a kind that this release does not verify with.
    #[error("this release of hellojohn verifies EdDSA only")]
    UnsupportedKey,
    /// The signature is not the key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim is missing, empty, repeated or has the wrong type.
    #[error("the token's claims are not those of an access token")]
    Claims,
    /// `iss` is not the expected issuer.
    #[error("the token is from another issuer")]
    WrongIssuer,
    /// `aud` does not contain the expected audience.
    #[error("the token is for another audience")]
    WrongAudience,
    /// `tid` is not the expected tenant.
    #[error("the token is for another tenant")]
    WrongTenant,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` lies further in the future than clocks may differ.
    #[error("the token is not valid yet")]
    NotYetValid,
}

/// What a verifier insists on.
#[derive(Debug, Clone, Copy)]
pub struct Expect<'a> {
    /// `iss`, exactly.
    pub issuer: &'a str,
    /// Must be among `aud`, where given.
    pub audience: Option<&'a str>,
    /// `tid`, exactly, where given.
    pub tenant: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    kid: Kid,
    typ: String,
}

/// A token whose form is right; nothing in it is proven. What it says about its issuer and tenant is good for
/// choosing the key set to verify with, and for nothing else.
pub struct Unverified<'a> {
    /// What is signed: header and payload as they stand in the token.
    message: &'a str,
    signature: &'a str,
    header: Header,
    claims: AccessClaims,
}

/// Shows nothing of the token.
impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified").finish_non_exhaustive()
    }
}

impl<'a> Unverified<'a> {
    /// Reads an access token **without verifying anything**.
    ///
    /// # Errors
    /// Another kind of token, or one whose form, header or claims are not exactly those of ours.
    pub fn parse(token: &'a str) -> Result<Self, TokenError> {
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
        if header.typ != TokenType::Access.as_str() {
            return Err(TokenError::WrongType);
        }
        let claims = strict_json::parse(&payload).map_err(|_| TokenError::Claims)?;
        Ok(Self { message, signature, header, claims })
    }

    /// The claimed issuer.
    pub fn iss(&self) -> &str {
        &self.claims.iss
    }

    /// The claimed tenant.
    pub fn tid(&self) -> &str {
        &self.claims.tid
    }

    /// Verifies the token and gives its claims. `keys` finds the algorithm and public half of a kid **within the
    /// issuer's own key set**; [`keys_of`] makes it from documents. Does not consult the deny-list.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn verify(
        self,
        keys: &dyn Fn(&Kid) -> Option<(Alg, PublicJwk)>,
        now: Timestamp,
        expect: &Expect<'_>,
    ) -> Result<AccessClaims, TokenError> {
        let (alg, jwk) = keys(&self.header.kid).ok_or(TokenError::UnknownKey)?;
        if self.header.alg != alg.as_str() {
            return Err(TokenError::WrongAlgorithm);
        }
        self.verify_signature(alg, &jwk)?;
        check(&self.claims, now, expect)?;
        Ok(self.claims)
    }

    fn verify_signature(&self, alg: Alg, jwk: &PublicJwk) -> Result<(), TokenError> {
        static PROVEN: LazyLock<Proven> = LazyLock::new(Proven::new);
        let public = match alg {
            Alg::EdDsa => ed25519_public(jwk).ok_or(TokenError::UnsupportedKey)?,
            Alg::Es256 | Alg::Rs256 => return Err(TokenError::UnsupportedKey),
        };
        let verify = || {
            let (message, key) = (self.message.as_bytes(), DecodingKey::from_ed_der(&public));
            matches!(jsonwebtoken::crypto::verify(self.signature, message, &key, Algorithm::EdDSA), Ok(true))
        };
        if PROVEN.or_verify(&public, self.message, self.signature, verify) {
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

fn check(claims: &AccessClaims, now: Timestamp, expect: &Expect<'_>) -> Result<(), TokenError> {
    let named = [&claims.sub, &claims.client_id, &claims.tid, &claims.jti];
    if claims.aud.is_empty() || named.iter().any(|claim| claim.is_empty()) {
        return Err(TokenError::Claims);
    }
    if claims.iss != expect.issuer {
        return Err(TokenError::WrongIssuer);
    }
    if expect.audience.is_some_and(|wanted| !claims.aud.iter().any(|aud| aud == wanted)) {
        return Err(TokenError::WrongAudience);
    }
    if expect.tenant.is_some_and(|wanted| claims.tid != wanted) {
        return Err(TokenError::WrongTenant);
    }
    // No leeway at the end of life: clocks that differ may cut a token short but never prolong it.
    if now.secs() >= claims.exp {
        return Err(TokenError::Expired);
    }
    let latest = now.secs().saturating_add(SKEW_SECS);
    if claims.nbf > latest || claims.iat > latest {
        return Err(TokenError::NotYetValid);
    }
    Ok(())
}

/// The look-up for [`Unverified::verify`] over the keys of one issuer, for example
/// `keys_of(|kid| ring.get(kid.as_str()).map(AsRef::as_ref))`. A key counts from its publication (`next`:
/// another node may have activated it already) until it is retired.
pub fn keys_of<'a>(
    find: impl Fn(&Kid) -> Option<&'a SigningKey>,
) -> impl Fn(&Kid) -> Option<(Alg, PublicJwk)> {
    move |kid| {
        let key = find(kid)?;
        match key.state {
            KeyState::Next | KeyState::Active | KeyState::Retiring => Some((key.alg, key.public_jwk.clone())),
            KeyState::Retired => None,
        }
    }
}
