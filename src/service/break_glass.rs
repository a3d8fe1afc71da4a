//! Break-glass tokens: a way in for whoever holds the signing master key, when nobody can log in (spec §6, §13.12).
//!
//! Owns how one is made and recognised: tid `_system` (no slug has an underscore), the global issuer, a key of
//! the global set, ten minutes at most. They need no user database and skip its deny-list. Must never be made by
//! a request.

use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::documents::SigningKey;
use hellojohn_control::{Timestamp, View};
use serde_json::{Map, json};

use super::Result;
use super::authenticate::{invalid, principal_of, refuse, rights};
use super::principal::Principal;
use super::tokens::SYS_CLAIM;
use crate::crypto::jwt::{AccessClaims, Expect, Unverified, keys_of};
use crate::crypto::keys::KeyError;
use crate::crypto::sealed::Sealer;
use crate::crypto::secret::SecretString;
use crate::crypto::signer::{KeyOpener, SignError};
use crate::domain::rng::{self, Rng};

/// The `tid` of every break-glass token.
pub const TENANT: &str = "_system";
/// Longest life of a break-glass token (spec §13.12).
pub const MAX_LIFE: Duration = Duration::from_secs(10 * 60);
/// Audience and client of every break-glass token: only the administration of hellojohn takes it.
const AUDIENCE: &str = "_break_glass";
/// Most characters of a subject.
const MAX_SUBJECT: usize = 128;

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum MintError {
    /// Longer than [`MAX_LIFE`], or no time at all.
    #[error("a break-glass token lives for 1 to 600 seconds")]
    Life,
    /// Empty, too long or not printable.
    #[error("the subject must be 1 to {MAX_SUBJECT} printable ASCII characters")]
    Subject,
    /// The key does not open: wrong `SIGNING_MASTER_KEY`, or another tenant's key.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Signing failed.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// What a break-glass token is made of.
#[derive(Debug, Clone, Copy)]
pub struct BreakGlass<'a> {
    /// The global issuer, `JWT_ISSUER`.
    pub issuer: &'a str,
    /// Who asks, for the audit: a person of the host, never an account.
    pub subject: &'a str,
    /// How long it lives; at most [`MAX_LIFE`].
    pub life: Duration,
    /// The time.
    pub now: Timestamp,
}

/// Makes a break-glass token with a key of the global set, opened under `sealer`, the signing master key.
///
/// # Errors
/// See [`MintError`].
pub fn mint_break_glass(
    sealer: Arc<Sealer>,
    key: &SigningKey,
    rng: &dyn Rng,
    wanted: &BreakGlass<'_>,
) -> std::result::Result<SecretString, MintError> {
    if wanted.life < Duration::from_secs(1) || wanted.life > MAX_LIFE {
        return Err(MintError::Life);
    }
    let printable = wanted.subject.bytes().all(|b| b.is_ascii_graphic());
    if wanted.subject.is_empty() || wanted.subject.len() > MAX_SUBJECT || !printable {
        return Err(MintError::Subject);
    }
    let claims = AccessClaims {
        iss: wanted.issuer.trim_end_matches('/').to_owned(),
        sub: wanted.subject.to_owned(),
        aud: vec![AUDIENCE.to_owned()],
        client_id: AUDIENCE.to_owned(),
        azp: None,
        scope: String::new(),
        tid: TENANT.to_owned(),
        sid: None,
        exp: wanted.now.plus(wanted.life).secs(),
        iat: wanted.now.secs(),
        nbf: wanted.now.secs(),
        jti: rng::uuid(rng).to_string(),
        amr: Vec::new(),
        acr: None,
        roles: Vec::new(),
        permissions: Vec::new(),
        custom: Some(Map::from_iter([(SYS_CLAIM.to_owned(), json!({"is_admin": true, "roles": []}))])),
    };
    let token = KeyOpener::new(sealer).handle(None, key)?.sign_access(&claims)?;
    Ok(SecretString::from(token))
}

/// The holder of a token that says it is a break-glass token.
///
/// # Errors
/// `invalid_token` for one that is not a valid one.
pub(super) fn verify(view: &View, token: Unverified<'_>, now: Timestamp) -> Result<Principal> {
    let find = keys_of(|kid| view.global_keys().get(kid.as_str()).map(AsRef::as_ref));
    let expect = Expect { issuer: view.global_issuer(), audience: Some(AUDIENCE), tenant: Some(TENANT) };
    let claims = token.verify(&find, now, &expect).map_err(refuse)?;
    let life = claims.exp.saturating_sub(claims.iat);
    if u64::try_from(life).map_or(true, |life| life > MAX_LIFE.as_secs()) || !rights(&claims).is_admin {
        return Err(invalid("a break-glass token that lives too long or administers nothing"));
    }
    Ok(Principal { client_id: None, ..principal_of(claims) })
}
