//! The client document and the merge patch that changes it (spec §2.1, §13.10).

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Alg, Patch, SecretHash};
use crate::validate::{FieldError, Findings};
use crate::{ClientId, ScopeName, Timestamp, limits};

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
    /// Counter of changes, from 1, never reused for the name; the ETag.
    pub revision: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A merge patch for [`Client`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientPatch {
    /// See [`Client::name`]; `null` gives the client id.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub name: Patch<String>,
    /// See [`Client::client_type`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "clientType")]
    pub client_type: Patch<ClientType>,
    /// See [`Client::redirect_uris`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "redirectUris")]
    pub redirect_uris: Patch<Vec<String>>,
    /// See [`Client::post_logout_redirect_uris`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "postLogoutRedirectUris")]
    pub post_logout_redirect_uris: Patch<Vec<String>>,
    /// See [`Client::allowed_origins`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "allowedOrigins")]
    pub allowed_origins: Patch<Vec<String>>,
    /// See [`Client::providers`]; `password` unless set.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub providers: Patch<Vec<String>>,
    /// See [`Client::scopes`].
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub scopes: Patch<Vec<ScopeName>>,
    /// See [`Client::grant_types`]; code and refresh unless set.
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "grantTypes")]
    pub grant_types: Patch<Vec<GrantType>>,
    /// See [`Client::token_endpoint_auth_method`]; fits the client type unless set.
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "tokenEndpointAuthMethod")]
    pub token_endpoint_auth_method: Patch<AuthMethod>,
    /// See [`Client::id_token_signed_response_alg`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "idTokenSignedResponseAlg")]
    pub id_token_signed_response_alg: Patch<Alg>,
    /// See [`Client::access_ttl_seconds`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "accessTtlSeconds")]
    pub access_ttl_seconds: Patch<u32>,
    /// See [`Client::refresh_ttl_seconds`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "refreshTtlSeconds")]
    pub refresh_ttl_seconds: Patch<u32>,
    /// See [`Client::enabled`]; on unless set.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub enabled: Patch<bool>,
    /// See [`Client::require_consent`]; off unless set.
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "requireConsent")]
    pub require_consent: Patch<bool>,
    /// See [`Client::require_pkce`]; on unless set.
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "requirePkce")]
    pub require_pkce: Patch<bool>,
}

fn apply_or<T: Clone>(patch: &Patch<T>, target: &mut T, default: impl FnOnce() -> T) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *target = default(),
        Patch::Set(value) => target.clone_from(value),
    }
}

fn default_providers() -> Vec<String> {
    vec!["password".to_owned()]
}

fn default_grants() -> Vec<GrantType> {
    vec![GrantType::AuthorizationCode, GrantType::RefreshToken]
}

fn default_auth_method(client_type: ClientType) -> AuthMethod {
    match client_type {
        ClientType::Public => AuthMethod::None,
        ClientType::Confidential => AuthMethod::ClientSecretBasic,
    }
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
            revision: 0,
            created_at: at,
            updated_at: at,
        }
    }

    /// The client with the patch merged in, or everything that is wrong with the result. Whether its scopes
    /// exist is the machine's to check.
    pub fn merged(&self, patch: &ClientPatch) -> Result<Client, Vec<FieldError>> {
        let mut client = self.clone();
        apply_or(&patch.name, &mut client.name, || self.client_id.as_str().to_owned());
        apply_or(&patch.client_type, &mut client.client_type, ClientType::default);
        apply_or(&patch.redirect_uris, &mut client.redirect_uris, Vec::new);
        apply_or(&patch.post_logout_redirect_uris, &mut client.post_logout_redirect_uris, Vec::new);
        apply_or(&patch.allowed_origins, &mut client.allowed_origins, Vec::new);
        apply_or(&patch.providers, &mut client.providers, default_providers);
        apply_or(&patch.scopes, &mut client.scopes, Vec::new);
        apply_or(&patch.grant_types, &mut client.grant_types, default_grants);
        if client.client_type != self.client_type {
            client.token_endpoint_auth_method = default_auth_method(client.client_type);
        }
        let fallback = default_auth_method(client.client_type);
        apply_or(&patch.token_endpoint_auth_method, &mut client.token_endpoint_auth_method, || fallback);
        patch.id_token_signed_response_alg.clone().apply_option(&mut client.id_token_signed_response_alg);
        patch.access_ttl_seconds.clone().apply_option(&mut client.access_ttl_seconds);
        patch.refresh_ttl_seconds.clone().apply_option(&mut client.refresh_ttl_seconds);
        apply_or(&patch.enabled, &mut client.enabled, || true);
        apply_or(&patch.require_consent, &mut client.require_consent, || false);
        apply_or(&patch.require_pkce, &mut client.require_pkce, || true);
        if client.client_type == ClientType::Public {
            client.secrets.clear();
        }
        client.check()?;
        Ok(client)
    }

    fn check(&self) -> Result<(), Vec<FieldError>> {
        let mut findings = Findings::default();
        findings.text("name", &self.name);
        findings.list("redirect_uris", &self.redirect_uris);
        for (i, uri) in self.redirect_uris.iter().enumerate() {
            findings.redirect_uri(&format!("redirect_uris[{i}]"), uri);
        }
        findings.list("post_logout_redirect_uris", &self.post_logout_redirect_uris);
        for (i, uri) in self.post_logout_redirect_uris.iter().enumerate() {
            findings.redirect_uri(&format!("post_logout_redirect_uris[{i}]"), uri);
        }
        findings.list("allowed_origins", &self.allowed_origins);
        for (i, origin) in self.allowed_origins.iter().enumerate() {
            findings.origin(&format!("allowed_origins[{i}]"), origin);
        }
        findings.list("providers", &self.providers);
        for (i, provider) in self.providers.iter().enumerate() {
            findings.text(&format!("providers[{i}]"), provider);
        }
        findings.list("scopes", &self.scopes);
        findings.list("grant_types", &self.grant_types);
        if let Some(ttl) = self.access_ttl_seconds {
            findings.seconds("access_ttl_seconds", ttl, limits::ACCESS_TTL_SECONDS);
        }
        if let Some(ttl) = self.refresh_ttl_seconds {
            findings.seconds("refresh_ttl_seconds", ttl, limits::REFRESH_TTL_SECONDS);
        }
        self.check_type(&mut findings);
        findings.into_result()
    }

    fn check_type(&self, findings: &mut Findings) {
        match self.client_type {
            ClientType::Public => {
                if self.token_endpoint_auth_method != AuthMethod::None {
                    findings.add(
                        "token_endpoint_auth_method",
                        "invalid_value",
                        "must be none for a public client",
                    );
                }
                if self.grant_types.contains(&GrantType::ClientCredentials) {
                    findings.add(
                        "grant_types",
                        "invalid_value",
                        "client_credentials needs a confidential client",
                    );
                }
                if !self.require_pkce {
                    findings.add("require_pkce", "invalid_value", "must be true for a public client");
                }
            }
            ClientType::Confidential => {
                if self.token_endpoint_auth_method == AuthMethod::None {
                    findings.add(
                        "token_endpoint_auth_method",
                        "invalid_value",
                        "must not be none for a confidential client",
                    );
                }
            }
        }
    }
}
