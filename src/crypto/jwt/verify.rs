//! Reading access tokens back, strictly (S36 to S39).

use std::fmt;

use hellojohn_control::documents::{Alg, KeyState, PublicJwk, SigningKey};
use hellojohn_control::{Kid, Timestamp};

use super::claims::AccessClaims;
use super::jws::Jws;
use super::strict_json;
use super::{MAX_TOKEN_BYTES, SKEW_SECS, TokenType};

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
    /// Another `typ` than that of the kind of token which is read: an ID token is no access token.
    #[error("the token is of another type")]
    WrongType,
    /// No key of this issuer has that kid.
    #[error("the token's kid names no key of this issuer")]
    UnknownKey,
    /// The header's `alg` is not the key's.
    #[error("the token's alg is not the algorithm of its key")]
    WrongAlgorithm,
    /// The public half is of another kind than the algorithm of its key.
    #[error("the token's key is not one for its algorithm")]
    UnfitKey,
    /// The signature is not the key's.
    #[error("the token's signature is wrong")]
    Signature,
    /// A claim is missing, empty, repeated or has the wrong type.
    #[error("the token's claims are not those of its type")]
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

/// A token whose form is right; nothing in it is proven. What it says about its issuer and tenant is good for
/// choosing the key set to verify with, and for nothing else.
pub struct Unverified<'a> {
    jws: Jws<'a>,
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
        let (jws, payload) = Jws::parse(token, TokenType::Access)?;
        let claims = strict_json::parse(&payload).map_err(|_| TokenError::Claims)?;
        Ok(Self { jws, claims })
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
        self.jws.verify(keys)?;
        check(&self.claims, now, expect)?;
        Ok(self.claims)
    }
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
