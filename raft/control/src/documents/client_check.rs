//! When a client document is valid. A rule that comes later must not turn down what is in a log already: it begins with
//! a format, see [`Client::merged`].

use super::client::{AuthMethod, Client, ClientType, GrantType};
use crate::limits;
use crate::validate::Findings;

impl Client {
    pub(super) fn check(&self, findings: &mut Findings) {
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
        self.check_oidc(findings);
        self.check_type(findings);
    }

    fn check_oidc(&self, findings: &mut Findings) {
        if let Some(jwks) = &self.jwks {
            jwks.check("jwks", findings);
            if self.token_endpoint_auth_method != AuthMethod::PrivateKeyJwt {
                findings.add(
                    "jwks",
                    "invalid_value",
                    "is for token_endpoint_auth_method private_key_jwt alone",
                );
            }
        }
        if self.response_modes.is_empty() {
            findings.add("response_modes", "required", "must name at least one of query and form_post");
        }
        findings.list("response_modes", &self.response_modes);
        findings.list("resources", &self.resources);
        for (i, resource) in self.resources.iter().enumerate() {
            findings.resource(&format!("resources[{i}]"), resource);
        }
        for (field, url) in [
            ("backchannel_logout_uri", &self.backchannel_logout_uri),
            ("logo_uri", &self.logo_uri),
            ("client_uri", &self.client_uri),
            ("policy_uri", &self.policy_uri),
            ("tos_uri", &self.tos_uri),
        ] {
            if let Some(url) = url {
                findings.web_url(field, url);
            }
        }
        if let Some(age) = self.default_max_age {
            findings.at_most_seconds("default_max_age", age, limits::DEFAULT_MAX_AGE_SECONDS);
        }
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
