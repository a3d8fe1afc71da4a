//! Upstream identity providers of a tenant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Patch, SecretField};
use crate::format::OIDC_FORMAT;
use crate::validate::Findings;
use crate::{ClientId, Sealed, limits};

/// What protocol an upstream provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SocialKind {
    /// Google.
    Google,
    /// GitHub (OAuth 2.0 with its own user API).
    Github,
    /// Any OpenID Connect issuer.
    Oidc,
}

/// An upstream identity provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SocialProvider {
    /// Protocol.
    pub kind: SocialKind,
    /// Whether people may use it.
    pub enabled: bool,
    /// Our client id there.
    pub client_id: String,
    /// Our client secret there, sealed with `SECRETBOX_MASTER_KEY`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Sealed>,
    /// Issuer URL, for [`SocialKind::Oidc`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// Scopes to ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// Clients whose people may use it; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_clients: Vec<ClientId>,
    /// Domains that an account there must be of (`hd` of Google, else that of its verified address); empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosted_domains: Vec<String>,
    /// Whether a verified address may link to an account here whose address is verified, too (S91).
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub link_by_email: bool,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// A way to log in that is no upstream provider, so that none may have its name.
const RESERVED: &str = "password";

/// A merge patch for [`SocialProvider`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, bound(deserialize = "S: Deserialize<'de>"))]
pub struct SocialProviderPatch<S = Sealed> {
    /// See [`SocialProvider::kind`]; needed when the provider is new.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub kind: Patch<SocialKind>,
    /// See [`SocialProvider::enabled`]; on unless set.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub enabled: Patch<bool>,
    /// See [`SocialProvider::client_id`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "client_id")]
    pub client_id: Patch<String>,
    /// See [`SocialProvider::client_secret`].
    #[serde(default = "Patch::default", skip_serializing_if = "Patch::is_keep", alias = "client_secret")]
    pub client_secret: Patch<S>,
    /// See [`SocialProvider::issuer`].
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub issuer: Patch<String>,
    /// See [`SocialProvider::scopes`].
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub scopes: Patch<Vec<String>>,
    /// See [`SocialProvider::allowed_clients`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "allowed_clients")]
    pub allowed_clients: Patch<Vec<ClientId>>,
    /// See [`SocialProvider::hosted_domains`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "hosted_domains")]
    pub hosted_domains: Patch<Vec<String>>,
    /// See [`SocialProvider::link_by_email`]; on unless set.
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "link_by_email")]
    pub link_by_email: Patch<bool>,
}

impl<S> SocialProviderPatch<S> {
    /// Whether it has a member that releases before [`OIDC_FORMAT`] do not know.
    pub(super) fn is_of_oidc_format(&self) -> bool {
        !(self.allowed_clients.is_keep() && self.hosted_domains.is_keep() && self.link_by_email.is_keep())
    }

    pub(super) fn try_map_secrets<T, E>(
        self,
        name: &str,
        f: &mut impl FnMut(SecretField<'_>, S) -> Result<T, E>,
    ) -> Result<SocialProviderPatch<T>, E> {
        Ok(SocialProviderPatch {
            kind: self.kind,
            enabled: self.enabled,
            client_id: self.client_id,
            client_secret: self
                .client_secret
                .try_map(|secret| f(SecretField::SocialClientSecret(name), secret))?,
            issuer: self.issuer,
            scopes: self.scopes,
            allowed_clients: self.allowed_clients,
            hosted_domains: self.hosted_domains,
            link_by_email: self.link_by_email,
        })
    }
}

type Providers = BTreeMap<String, SocialProvider>;

impl SocialProvider {
    pub(super) fn merge_all(
        target: &mut Providers,
        patch: &Patch<BTreeMap<String, Patch<SocialProviderPatch>>>,
        format: u16,
        findings: &mut Findings,
    ) {
        let patches = match patch {
            Patch::Keep => return,
            Patch::Clear => {
                target.clear();
                return;
            }
            Patch::Set(patches) => patches,
        };
        for (name, patch) in patches {
            match patch {
                Patch::Keep => {}
                Patch::Clear => {
                    target.remove(name);
                }
                Patch::Set(patch) => {
                    if format >= OIDC_FORMAT && name == RESERVED && !target.contains_key(name) {
                        findings.add(
                            format!("settings.socialProviders.{name}"),
                            "invalid_name",
                            "password is the login with a password; choose another name",
                        );
                    }
                    Self::merge_one(target, name, patch, findings);
                }
            }
        }
    }

    fn merge_one(target: &mut Providers, name: &str, patch: &SocialProviderPatch, findings: &mut Findings) {
        let existing = target.remove(name);
        let mut kind = existing.as_ref().map(|provider| provider.kind);
        patch.kind.clone().apply_option(&mut kind);
        let Some(kind) = kind else {
            findings.add(
                format!("settings.socialProviders.{name}.kind"),
                "required",
                "must be google, github or oidc",
            );
            return;
        };
        let mut provider = existing.unwrap_or_else(|| SocialProvider {
            kind,
            enabled: true,
            client_id: String::new(),
            client_secret: None,
            issuer: None,
            scopes: Vec::new(),
            allowed_clients: Vec::new(),
            hosted_domains: Vec::new(),
            link_by_email: true,
        });
        provider.kind = kind;
        match patch.enabled {
            Patch::Keep => {}
            Patch::Clear => provider.enabled = true,
            Patch::Set(enabled) => provider.enabled = enabled,
        }
        patch.client_id.clone().apply_or_default(&mut provider.client_id);
        patch.client_secret.clone().apply_option(&mut provider.client_secret);
        patch.issuer.clone().apply_option(&mut provider.issuer);
        patch.scopes.clone().apply_or_default(&mut provider.scopes);
        patch.allowed_clients.clone().apply_or_default(&mut provider.allowed_clients);
        patch.hosted_domains.clone().apply_or_default(&mut provider.hosted_domains);
        match patch.link_by_email {
            Patch::Keep => {}
            Patch::Clear => provider.link_by_email = true,
            Patch::Set(link) => provider.link_by_email = link,
        }
        target.insert(name.to_owned(), provider);
    }

    pub(super) fn check_all(providers: &Providers, findings: &mut Findings) {
        if providers.len() > limits::LIST {
            findings.add("settings.socialProviders", "too_many", "too many providers");
        }
        for (name, provider) in providers {
            let field = |member: &str| format!("settings.socialProviders.{name}.{member}");
            let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
            if name.is_empty() || name.len() > 32 || !name.bytes().all(plain) {
                findings.add(
                    format!("settings.socialProviders.{name}"),
                    "invalid_name",
                    "must be 1 to 32 of a-z, 0-9 and '-'",
                );
            }
            findings.text(&field("clientId"), &provider.client_id);
            findings.list(&field("scopes"), &provider.scopes);
            for (i, scope) in provider.scopes.iter().enumerate() {
                findings.text(&field(&format!("scopes[{i}]")), scope);
            }
            findings.list(&field("allowedClients"), &provider.allowed_clients);
            findings.list(&field("hostedDomains"), &provider.hosted_domains);
            for (i, domain) in provider.hosted_domains.iter().enumerate() {
                findings.domain(&field(&format!("hostedDomains[{i}]")), domain);
            }
            match (&provider.issuer, provider.kind) {
                (Some(issuer), _) => findings.web_url(&field("issuer"), issuer),
                (None, SocialKind::Oidc) => {
                    findings.add(field("issuer"), "required", "an oidc provider needs its issuer URL");
                }
                (None, SocialKind::Google | SocialKind::Github) => {}
            }
        }
    }
}
