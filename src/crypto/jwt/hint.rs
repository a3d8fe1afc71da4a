//! An ID token that comes back as `id_token_hint` (OpenID Connect Core §3.1.2.1, RP-Initiated Logout §2): it says whom the client
//! means. It proves nothing about who sends it, and it may be old, so its end is not asked for; whose it is must be certain.

use hellojohn_control::Kid;
use hellojohn_control::documents::{Alg, PublicJwk};
use serde::Deserialize;

use super::jws::Jws;
use super::{TokenError, TokenType, strict_json};

/// What a hint says.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct IdHint {
    /// Issuer.
    pub iss: String,
    /// The person.
    pub sub: String,
    /// The client that it was made for.
    pub aud: String,
    /// The session.
    pub sid: String,
    /// Tenant slug.
    pub tid: String,
}

/// Reads an ID token of ours. `keys` finds the keys of the issuer's own set; issuer and tenant must be the expected ones.
///
/// # Errors
/// [`TokenError`]: also for an access token, which is no hint.
pub fn read_hint(
    token: &str,
    keys: &dyn Fn(&Kid) -> Option<(Alg, PublicJwk)>,
    issuer: &str,
    tenant: &str,
) -> Result<IdHint, TokenError> {
    let (jws, payload) = Jws::parse(token, TokenType::Id)?;
    jws.verify(keys)?;
    let hint: IdHint = strict_json::parse(&payload).map_err(|_| TokenError::Claims)?;
    if hint.iss != issuer {
        return Err(TokenError::WrongIssuer);
    }
    if hint.tid != tenant {
        return Err(TokenError::WrongTenant);
    }
    Ok(hint)
}
