//! The merge patch of a client and how it changes the document (spec §13.10).

use serde::{Deserialize, Serialize};

use super::client::{AuthMethod, Client, ClientType, GrantType, ResponseMode};
use super::{Alg, ClientJwks, Patch};
use crate::ScopeName;
use crate::format::OIDC_FORMAT;
use crate::validate::{FieldError, Findings};

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
    /// See [`Client::jwks`].
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub jwks: Patch<ClientJwks>,
    /// See [`Client::access_token_signed_response_alg`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "accessTokenSignedResponseAlg")]
    pub access_token_signed_response_alg: Patch<Alg>,
    /// See [`Client::response_modes`]; all unless set.
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "responseModes")]
    pub response_modes: Patch<Vec<ResponseMode>>,
    /// See [`Client::backchannel_logout_uri`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "backchannelLogoutUri")]
    pub backchannel_logout_uri: Patch<String>,
    /// See [`Client::backchannel_logout_session_required`]; off unless set.
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "backchannelLogoutSessionRequired")]
    pub backchannel_logout_session_required: Patch<bool>,
    /// See [`Client::resources`].
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub resources: Patch<Vec<String>>,
    /// See [`Client::logo_uri`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "logoUri")]
    pub logo_uri: Patch<String>,
    /// See [`Client::client_uri`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "clientUri")]
    pub client_uri: Patch<String>,
    /// See [`Client::policy_uri`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "policyUri")]
    pub policy_uri: Patch<String>,
    /// See [`Client::tos_uri`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "tosUri")]
    pub tos_uri: Patch<String>,
    /// See [`Client::default_max_age`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "defaultMaxAge")]
    pub default_max_age: Patch<u32>,
}

impl ClientPatch {
    /// Whether it has a member that releases before [`OIDC_FORMAT`] do not know.
    pub(crate) fn is_of_oidc_format(&self) -> bool {
        !(self.jwks.is_keep()
            && self.access_token_signed_response_alg.is_keep()
            && self.response_modes.is_keep()
            && self.backchannel_logout_uri.is_keep()
            && self.backchannel_logout_session_required.is_keep()
            && self.resources.is_keep()
            && self.logo_uri.is_keep()
            && self.client_uri.is_keep()
            && self.policy_uri.is_keep()
            && self.tos_uri.is_keep()
            && self.default_max_age.is_keep())
    }
}

fn apply_or<T: Clone>(patch: &Patch<T>, target: &mut T, default: impl FnOnce() -> T) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *target = default(),
        Patch::Set(value) => target.clone_from(value),
    }
}

pub(super) fn default_providers() -> Vec<String> {
    vec!["password".to_owned()]
}

pub(super) fn default_grants() -> Vec<GrantType> {
    vec![GrantType::AuthorizationCode, GrantType::RefreshToken]
}

fn default_auth_method(client_type: ClientType) -> AuthMethod {
    match client_type {
        ClientType::Public => AuthMethod::None,
        ClientType::Confidential => AuthMethod::ClientSecretBasic,
    }
}

impl Client {
    /// The client with the patch merged in, or everything that is wrong with the result. Whether its scopes
    /// exist is the machine's to check. `format` is what the cluster writes: releases of one cluster judge alike, so
    /// rules that came with a format begin with it.
    pub fn merged(&self, patch: &ClientPatch, format: u16) -> Result<Client, Vec<FieldError>> {
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
        Self::merge_oidc(&mut client, patch);
        if client.client_type == ClientType::Public {
            client.secrets.clear();
        }
        let mut findings = Findings::default();
        client.check(&mut findings);
        if format >= OIDC_FORMAT && client.lacks_keys() && !self.lacks_keys() {
            findings.add("jwks", "required", "private_key_jwt needs the client's public keys");
        }
        findings.into_result()?;
        Ok(client)
    }

    fn merge_oidc(client: &mut Client, patch: &ClientPatch) {
        patch.jwks.clone().apply_option(&mut client.jwks);
        if patch.jwks.is_keep() && client.token_endpoint_auth_method != AuthMethod::PrivateKeyJwt {
            // They are of no use any more, and would be taken for something that counts.
            client.jwks = None;
        }
        patch
            .access_token_signed_response_alg
            .clone()
            .apply_option(&mut client.access_token_signed_response_alg);
        apply_or(&patch.response_modes, &mut client.response_modes, ResponseMode::all);
        client.response_modes.sort_unstable();
        patch.backchannel_logout_uri.clone().apply_option(&mut client.backchannel_logout_uri);
        apply_or(
            &patch.backchannel_logout_session_required,
            &mut client.backchannel_logout_session_required,
            || false,
        );
        apply_or(&patch.resources, &mut client.resources, Vec::new);
        patch.logo_uri.clone().apply_option(&mut client.logo_uri);
        patch.client_uri.clone().apply_option(&mut client.client_uri);
        patch.policy_uri.clone().apply_option(&mut client.policy_uri);
        patch.tos_uri.clone().apply_option(&mut client.tos_uri);
        patch.default_max_age.clone().apply_option(&mut client.default_max_age);
    }

    /// Whether it could never prove itself. Documents from before [`OIDC_FORMAT`] may be so, and can be changed otherwise.
    fn lacks_keys(&self) -> bool {
        self.token_endpoint_auth_method == AuthMethod::PrivateKeyJwt && self.jwks.is_none()
    }
}
