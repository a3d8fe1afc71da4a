//! The client document (spec §2.1). Members that came with format 3 are left out of what is written while they are at
//! their default: a document that does not use them keeps its bytes, and older releases can read it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::client_patch::{default_grants, default_providers};
use super::{Alg, ClientJwks, SecretHash};
use crate::{ClientId, ScopeName, Timestamp, redirect_uri_matches};

/// Whether a client can keep a secret (RFC 6749 §2.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientType {
    /// A browser or mobile application.
    #[default]
    Public,
    /// A server.
    Confidential,
}

/// Grants a client may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// RFC 6749 §4.1, with PKCE.
    AuthorizationCode,
    /// RFC 6749 §6.
    RefreshToken,
    /// RFC 6749 §4.4; confidential clients only.
    ClientCredentials,
}

/// How a client proves itself at the token endpoint (OIDC Core §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthMethod {
    /// Public clients: PKCE alone.
    None,
    /// Secret in the Authorization header.
    ClientSecretBasic,
    /// Secret in the body.
    ClientSecretPost,
    /// Signed assertion (RFC 7523).
    PrivateKeyJwt,
}

/// How an authorization response may reach the client (OAuth 2.0 Multiple Response Types §2.1, Form Post Response Mode).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMode {
    /// In the query of a redirect.
    Query,
    /// In a form that the browser posts.
    FormPost,
}

impl ResponseMode {
    /// Those of a client that names none.
    pub(super) fn all() -> Vec<Self> {
        vec![Self::Query, Self::FormPost]
    }

    /// Whether these are what a client has that names none.
    pub fn are_all(modes: &[Self]) -> bool {
        modes == Self::all()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A secret of a client: only its hash is ever stored or replicated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSecret {
    /// Identifier of the secret, to tell several apart.
    pub id: Uuid,
    /// SHA-256 of the 256-bit random secret.
    pub hash: SecretHash,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working; absent for the current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A fresh secret on its way into a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewClientSecret {
    /// Identifier of the secret.
    pub id: Uuid,
    /// SHA-256 of the secret.
    pub hash: SecretHash,
}

/// An OAuth client, as it stands in `tenants/{slug}/clients/{client_id}.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// New for each creation: a client made again under the same name does not revive old tokens.
    pub id: Uuid,
    /// Identifier within the tenant.
    pub client_id: ClientId,
    /// Name for people.
    pub name: String,
    /// Whether it can keep a secret.
    pub client_type: ClientType,
    /// Counts up at each change; equals `revision`.
    pub version: u64,
    /// Secrets that work now, newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<ClientSecret>,
    /// Where an authorization response may go; matched exactly.
    pub redirect_uris: Vec<String>,
    /// Where a logout may return to; matched exactly.
    pub post_logout_redirect_uris: Vec<String>,
    /// Browser origins that may call us for this client.
    pub allowed_origins: Vec<String>,
    /// Ways to log in: `password` and names of social providers.
    pub providers: Vec<String>,
    /// Scopes the client may ask for.
    pub scopes: Vec<ScopeName>,
    /// Grants the client may use.
    pub grant_types: Vec<GrantType>,
    /// How it proves itself at the token endpoint.
    pub token_endpoint_auth_method: AuthMethod,
    /// Algorithm of its ID tokens; the tenant's default unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_token_signed_response_alg: Option<Alg>,
    /// Seconds its access tokens live; the tenant's value unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_ttl_seconds: Option<u32>,
    /// Seconds its refresh token families live; the tenant's value unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_ttl_seconds: Option<u32>,
    /// Whether it may be used at all.
    pub enabled: bool,
    /// Whether a person is always asked for consent.
    pub require_consent: bool,
    /// Whether a code needs a PKCE challenge; only a confidential client may turn it off.
    pub require_pkce: bool,
    /// Public keys of a client that proves itself by `private_key_jwt`; only such a one has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks: Option<ClientJwks>,
    /// Algorithm of its access tokens; EdDSA unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token_signed_response_alg: Option<Alg>,
    /// Ways in which an authorization response may reach it, in the order of [`ResponseMode`] (S14).
    #[serde(default = "ResponseMode::all", skip_serializing_if = "ResponseMode::are_all")]
    pub response_modes: Vec<ResponseMode>,
    /// Where it is told that a session is over (OIDC Back-Channel Logout 1.0 §2.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backchannel_logout_uri: Option<String>,
    /// Whether its logout tokens must name the session.
    #[serde(default, skip_serializing_if = "is_false")]
    pub backchannel_logout_session_required: bool,
    /// Resource indicators it may ask for (RFC 8707).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// Its logo, for the consent page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    /// Its home page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// What it does with data of people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    /// Its terms of service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    /// Seconds after which a login is too old for it (OIDC Dynamic Client Registration 1.0 §2); no limit unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_max_age: Option<u32>,
    /// Counter of changes, from 1, never reused for the name; the ETag.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Client {
    /// A client that was just named and nothing else. Its revision is set by the machine.
    pub fn new(id: Uuid, client_id: ClientId, at: Timestamp) -> Self {
        Self {
            id,
            name: client_id.as_str().to_owned(),
            client_id,
            client_type: ClientType::Public,
            version: 0,
            secrets: Vec::new(),
            redirect_uris: Vec::new(),
            post_logout_redirect_uris: Vec::new(),
            allowed_origins: Vec::new(),
            providers: default_providers(),
            scopes: Vec::new(),
            grant_types: default_grants(),
            token_endpoint_auth_method: AuthMethod::None,
            id_token_signed_response_alg: None,
            access_ttl_seconds: None,
            refresh_ttl_seconds: None,
            enabled: true,
            require_consent: false,
            require_pkce: true,
            jwks: None,
            access_token_signed_response_alg: None,
            response_modes: ResponseMode::all(),
            backchannel_logout_uri: None,
            backchannel_logout_session_required: false,
            resources: Vec::new(),
            logo_uri: None,
            client_uri: None,
            policy_uri: None,
            tos_uri: None,
            default_max_age: None,
            revision: 0,
            created_at: at,
            updated_at: at,
        }
    }

    /// Whether an authorization response may go there: one of [`Client::redirect_uris`], exactly. A public client on a
    /// person's own machine cannot know its port beforehand, so there it may differ (RFC 8252 §7.3, S01, S02).
    pub fn allows_redirect_uri(&self, presented: &str) -> bool {
        self.redirect_uris.iter().any(|registered| match self.client_type {
            ClientType::Public => redirect_uri_matches(registered, presented),
            ClientType::Confidential => registered == presented,
        })
    }
}
