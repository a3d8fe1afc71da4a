//! Documents as administrators see them. Secrets show only that they are set; every document is taken apart
//! member by member, so that a member which is new to a document does not compile until it is decided here.

use std::collections::BTreeMap;

use hellojohn_control::documents::{
    Alg, AuthMethod, Branding, Client, ClientJwks, ClientSecret, ClientType, DiscoveryEndpoints, GrantType,
    IssuerMode, KeyState, PasswordRules, PublicJwk, ResponseMode, SigningKey, Smtp, SmtpTls, SocialKind,
    SocialProvider, Tenant, TenantSettings, TenantStatus, TokenTtls,
};
use hellojohn_control::{ClientId, Kid, ScopeName, Slug, Timestamp};
use serde::Serialize;
use uuid::Uuid;

/// A tenant without its secrets.
#[derive(Debug, Serialize)]
pub(super) struct ShownTenant {
    pub(super) slug: Slug,
    name: String,
    status: TenantStatus,
    settings: ShownSettings,
    revision: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownSettings {
    issuer_mode: IssuerMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer_override: Option<String>,
    discovery_endpoints: DiscoveryEndpoints,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_store: Option<ShownUserStore>,
    signing_algs: Vec<Alg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<TokenTtls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_policy: Option<PasswordRules>,
    #[serde(skip_serializing_if = "Option::is_none")]
    branding: Option<Branding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    smtp: Option<ShownSmtp>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    social_providers: BTreeMap<String, ShownProvider>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownUserStore {
    dsn_set: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownSmtp {
    host: String,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    password_set: bool,
    from: String,
    tls: SmtpTls,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ShownProvider {
    kind: SocialKind,
    enabled: bool,
    client_id: String,
    client_secret_set: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    scopes: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    allowed_clients: Vec<ClientId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosted_domains: Vec<String>,
    /// Only where it is off: what a GET shows can be put back while an older release is in the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    link_by_email: Option<bool>,
}

impl From<&Tenant> for ShownTenant {
    fn from(tenant: &Tenant) -> Self {
        let Tenant { slug, name, status, settings, revision, created_at, updated_at } = tenant;
        Self {
            slug: slug.clone(),
            name: name.clone(),
            status: *status,
            settings: settings.into(),
            revision: *revision,
            created_at: *created_at,
            updated_at: *updated_at,
        }
    }
}

impl From<&TenantSettings> for ShownSettings {
    fn from(settings: &TenantSettings) -> Self {
        let TenantSettings {
            issuer_mode,
            issuer_override,
            discovery_endpoints,
            user_store,
            signing_algs,
            tokens,
            password_policy,
            branding,
            smtp,
            social_providers,
        } = settings;
        Self {
            issuer_mode: *issuer_mode,
            issuer_override: issuer_override.clone(),
            discovery_endpoints: *discovery_endpoints,
            user_store: user_store.as_ref().map(|_| ShownUserStore { dsn_set: true }),
            signing_algs: signing_algs.clone(),
            tokens: tokens.clone(),
            password_policy: password_policy.clone(),
            branding: branding.clone(),
            smtp: smtp.as_ref().map(ShownSmtp::from),
            social_providers: social_providers.iter().map(|(name, p)| (name.clone(), p.into())).collect(),
        }
    }
}

impl From<&Smtp> for ShownSmtp {
    fn from(smtp: &Smtp) -> Self {
        let Smtp { host, port, username, password, from, tls } = smtp;
        Self {
            host: host.clone(),
            port: *port,
            username: username.clone(),
            password_set: password.is_some(),
            from: from.clone(),
            tls: *tls,
        }
    }
}

impl From<&SocialProvider> for ShownProvider {
    fn from(provider: &SocialProvider) -> Self {
        let SocialProvider {
            kind,
            enabled,
            client_id,
            client_secret,
            issuer,
            scopes,
            allowed_clients,
            hosted_domains,
            link_by_email,
        } = provider;
        Self {
            kind: *kind,
            enabled: *enabled,
            client_id: client_id.clone(),
            client_secret_set: client_secret.is_some(),
            issuer: issuer.clone(),
            scopes: scopes.clone(),
            allowed_clients: allowed_clients.clone(),
            hosted_domains: hosted_domains.clone(),
            link_by_email: (!link_by_email).then_some(false),
        }
    }
}

/// A client without the hashes of its secrets.
#[derive(Debug, Serialize)]
pub(super) struct ShownClient {
    id: Uuid,
    pub(super) client_id: ClientId,
    name: String,
    client_type: ClientType,
    /// The secret, in the answer that made it and never again (S45).
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
    secrets: Vec<ShownSecret>,
    redirect_uris: Vec<String>,
    post_logout_redirect_uris: Vec<String>,
    allowed_origins: Vec<String>,
    providers: Vec<String>,
    scopes: Vec<ScopeName>,
    grant_types: Vec<GrantType>,
    token_endpoint_auth_method: AuthMethod,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token_signed_response_alg: Option<Alg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_ttl_seconds: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_ttl_seconds: Option<u32>,
    enabled: bool,
    require_consent: bool,
    require_pkce: bool,
    // Only what differs from the default: what a GET shows can be put back while an older release is in the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks: Option<ClientJwks>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_signed_response_alg: Option<Alg>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_modes: Option<Vec<ResponseMode>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backchannel_logout_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backchannel_logout_session_required: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    resources: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logo_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tos_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_max_age: Option<u32>,
    version: u64,
    revision: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
}

#[derive(Debug, Serialize)]
struct ShownSecret {
    id: Uuid,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

impl ShownClient {
    /// With the secret that was just made.
    #[must_use]
    pub(super) fn with_secret(mut self, secret: Option<String>) -> Self {
        self.client_secret = secret;
        self
    }
}

impl From<&Client> for ShownClient {
    fn from(client: &Client) -> Self {
        let Client {
            id,
            client_id,
            name,
            client_type,
            version,
            secrets,
            redirect_uris,
            post_logout_redirect_uris,
            allowed_origins,
            providers,
            scopes,
            grant_types,
            token_endpoint_auth_method,
            id_token_signed_response_alg,
            access_ttl_seconds,
            refresh_ttl_seconds,
            enabled,
            require_consent,
            require_pkce,
            jwks,
            access_token_signed_response_alg,
            response_modes,
            backchannel_logout_uri,
            backchannel_logout_session_required,
            resources,
            logo_uri,
            client_uri,
            policy_uri,
            tos_uri,
            default_max_age,
            revision,
            created_at,
            updated_at,
        } = client;
        let shown = |secret: &ClientSecret| {
            let ClientSecret { id, hash: _, created_at, expires_at } = secret;
            ShownSecret { id: *id, created_at: *created_at, expires_at: *expires_at }
        };
        Self {
            id: *id,
            client_id: client_id.clone(),
            name: name.clone(),
            client_type: *client_type,
            client_secret: None,
            secrets: secrets.iter().map(shown).collect(),
            redirect_uris: redirect_uris.clone(),
            post_logout_redirect_uris: post_logout_redirect_uris.clone(),
            allowed_origins: allowed_origins.clone(),
            providers: providers.clone(),
            scopes: scopes.clone(),
            grant_types: grant_types.clone(),
            token_endpoint_auth_method: *token_endpoint_auth_method,
            id_token_signed_response_alg: *id_token_signed_response_alg,
            access_ttl_seconds: *access_ttl_seconds,
            refresh_ttl_seconds: *refresh_ttl_seconds,
            enabled: *enabled,
            require_consent: *require_consent,
            require_pkce: *require_pkce,
            jwks: jwks.clone(),
            access_token_signed_response_alg: *access_token_signed_response_alg,
            response_modes: (!ResponseMode::are_all(response_modes)).then(|| response_modes.clone()),
            backchannel_logout_uri: backchannel_logout_uri.clone(),
            backchannel_logout_session_required: backchannel_logout_session_required.then_some(true),
            resources: resources.clone(),
            logo_uri: logo_uri.clone(),
            client_uri: client_uri.clone(),
            policy_uri: policy_uri.clone(),
            tos_uri: tos_uri.clone(),
            default_max_age: *default_max_age,
            version: *version,
            revision: *revision,
            created_at: *created_at,
            updated_at: *updated_at,
        }
    }
}

/// A signing key without its private half.
#[derive(Debug, Serialize)]
pub(super) struct ShownKey {
    kid: Kid,
    alg: Alg,
    state: KeyState,
    public_jwk: PublicJwk,
    not_before: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    retire_at: Option<Timestamp>,
    created_at: Timestamp,
}

impl From<&SigningKey> for ShownKey {
    fn from(key: &SigningKey) -> Self {
        let SigningKey {
            kid,
            alg,
            public_jwk,
            private_key: _,
            state,
            not_before,
            activation: _,
            retire_at,
            created_at,
        } = key;
        Self {
            kid: kid.clone(),
            alg: *alg,
            state: *state,
            public_jwk: public_jwk.clone(),
            not_before: *not_before,
            retire_at: *retire_at,
            created_at: *created_at,
        }
    }
}
