//! Tells a resource server what a token is worth now (EP034, RFC 7662; S40, S41).
//!
//! Whoever may not know of a token is told what they are told of one that does not exist.

use hellojohn_control::documents::TenantStatus;
use hellojohn_control::{TenantEntry, Timestamp};
use serde::Serialize;
use subtle::ConstantTimeEq as _;

use super::client::invalid;
use super::{ClientProof, OAuthService, Presented, Whereabouts};
use crate::crypto::jwt::AccessClaims;
use crate::crypto::token_hash::OpaqueToken;
use crate::domain::refresh_token::TokenHash;
use crate::domain::user::UserStatus;
use crate::service::account::{Place, may_refresh};
use crate::service::tokens::joined;
use crate::service::user_store::refused;
use crate::service::{Code, Result};

/// Who asks.
#[derive(Debug)]
pub enum Introspector {
    /// A resource server that the operator trusts with the tokens of every tenant (`INTROSPECT_BASIC_USER`).
    Operator,
    /// A confidential client, for tokens that were issued to it or are meant for it.
    Client(Box<Presented>),
}

/// What a token is worth (RFC 7662 §2.2).
#[derive(Debug, Default, Serialize)]
pub struct Introspection {
    /// Whether it is worth anything.
    pub active: bool,
    /// Granted scopes, separated by spaces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The client that it was issued to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// How it is used: `Bearer`, for access tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
    /// Its end, in seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exp: Option<i64>,
    /// When it was issued, in seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iat: Option<i64>,
    /// From when on it is good, in seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<i64>,
    /// For whom it speaks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// For whom it is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aud: Vec<String>,
    /// Who issued it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tid: Option<String>,
    /// The session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// What the login was worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// How the login was made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// Roles, where the token has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// Permissions, where the token has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<String>,
}

impl OAuthService {
    /// What the token is worth to whoever asks.
    ///
    /// # Errors
    /// `invalid_client`; `storage_unavailable`: a look-up that fails tells nothing.
    pub async fn introspect(
        &self,
        whereabouts: &Whereabouts,
        introspector: &Introspector,
        token: &str,
    ) -> Result<Introspection> {
        let asker = match introspector {
            Introspector::Operator => None,
            Introspector::Client(presented) => {
                let place = self.authenticate(whereabouts, presented)?;
                if matches!(presented.proof, ClientProof::None) {
                    return Err(invalid("a public client has nothing to show"));
                }
                Some(place)
            }
        };
        // Below a tenant's address only its own tokens are known.
        let within = whereabouts.slug()?;
        let told = match OpaqueToken::parse(token) {
            Ok(token) => self.introspect_refresh(asker.as_ref(), &token).await?,
            Err(_) => self.introspect_access(asker.as_ref(), token).await?,
        };
        let told = told.filter(|told| within.is_none_or(|slug| told.tid.as_deref() == Some(slug.as_str())));
        Ok(told.unwrap_or_default())
    }

    /// Whether name and password are those of the operator's resource servers.
    pub fn is_operator(&self, presented: &Presented) -> bool {
        let Some((user, password)) = &self.0.settings.introspector else { return false };
        let ClientProof::Basic(shown) = &presented.proof else { return false };
        let name = user.as_bytes().ct_eq(presented.client_id.as_bytes());
        let secret = password.expose().as_bytes().ct_eq(shown.expose().as_bytes());
        (name & secret).into()
    }

    async fn introspect_access(&self, asker: Option<&Place>, token: &str) -> Result<Option<Introspection>> {
        let claims = match self.0.authenticator.inspect(token).await {
            Ok(claims) => claims,
            Err(error) if error.code() == Code::InvalidToken => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(asker.is_none_or(|place| concerns(place, &claims)).then(|| Introspection {
            active: true,
            scope: Some(claims.scope),
            client_id: Some(claims.client_id),
            token_type: Some("Bearer"),
            exp: Some(claims.exp),
            iat: Some(claims.iat),
            nbf: Some(claims.nbf),
            sub: Some(claims.sub),
            aud: claims.aud,
            iss: Some(claims.iss),
            jti: Some(claims.jti),
            tid: Some(claims.tid),
            sid: claims.sid,
            acr: claims.acr,
            amr: claims.amr,
            roles: claims.roles,
            permissions: claims.permissions,
        }))
    }

    async fn introspect_refresh(
        &self,
        asker: Option<&Place>,
        token: &OpaqueToken,
    ) -> Result<Option<Introspection>> {
        if asker.is_some_and(|place| place.entry.tenant.slug != *token.tenant()) {
            return Ok(None);
        }
        let view = self.0.plane.view();
        let Some(entry) = view.tenant(token.tenant()) else { return Ok(None) };
        let mut work = self.0.stores.begin(&entry.tenant).await?;
        let found = work.refresh_tokens().find_by_hash(&TokenHash(token.hash())).await;
        let Some(presented) = found.map_err(|error| refused(&error))? else { return Ok(None) };
        let user =
            work.users().find_by_id(presented.family.user_id).await.map_err(|error| refused(&error))?;
        work.commit().await.map_err(|error| refused(&error))?;
        let now = self.0.clock.now();
        let (row, family) = (presented.token, presented.family);
        let usable = family.live_at(now)
            && row.unused_at(now)
            && user.is_some_and(|user| user.status == UserStatus::Active)
            && stands(entry, &family.client_id, family.client_uuid);
        let known = asker.is_none_or(|place| place.client.id == family.client_uuid);
        Ok((usable && known).then(|| Introspection {
            active: true,
            scope: Some(joined(&row.scope)),
            client_id: Some(family.client_id.as_str().to_owned()),
            exp: Some(row.expires_at.secs()),
            iat: Some(row.created_at.secs()),
            sub: Some(family.user_id.to_string()),
            iss: Some(view.issuer_of(entry)),
            tid: Some(family.tenant.as_str().to_owned()),
            sid: Some(family.id.to_string()),
            amr: family.amr,
            ..Introspection::default()
        }))
    }
}

/// Whether the token was issued to the client or is meant for it.
fn concerns(place: &Place, claims: &AccessClaims) -> bool {
    let name = place.client.client_id.as_str();
    claims.tid == place.entry.tenant.slug.as_str()
        && (claims.client_id == name || claims.aud.iter().any(|aud| aud == name))
        // A client that was deleted and made again is another one (spec §4).
        && claims.iat >= made_at(place.client.created_at)
}

fn made_at(created_at: Timestamp) -> i64 {
    created_at.secs()
}

/// Whether tenant and client still let anybody refresh.
fn stands(entry: &TenantEntry, client_id: &hellojohn_control::ClientId, uuid: uuid::Uuid) -> bool {
    let client = entry.clients.get(client_id).filter(|client| client.id == uuid && client.enabled);
    entry.tenant.status == TenantStatus::Active && client.is_some_and(|client| may_refresh(client))
}
