//! What may be set on a tenant. Members keep their camelCase names everywhere (spec §5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::mail::{Smtp, SmtpPatch};
use super::social::{SocialProvider, SocialProviderPatch};
use super::{Alg, Patch, SecretField};
use crate::validate::Findings;
use crate::{Sealed, limits};

/// Who a tenant's tokens are issued by (spec §2.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerMode {
    /// `{JWT_ISSUER}`, signed with the global keys.
    #[default]
    Global,
    /// `{JWT_ISSUER}/t/{slug}`, signed with keys of the tenant's own.
    Path,
}

/// Which endpoints a path tenant's discovery document names (spec §13.7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscoveryEndpoints {
    /// The global ones.
    #[default]
    Global,
    /// Those below `/t/{slug}`.
    Tenant,
}

/// A tenant's own user database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserStore {
    /// PostgreSQL connection string, sealed with `SECRETBOX_MASTER_KEY`.
    pub dsn: Sealed,
}

/// A merge patch for [`UserStore`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "S: Deserialize<'de>"))]
pub struct UserStorePatch<S = Sealed> {
    /// See [`UserStore::dsn`]; without it there is no user store.
    #[serde(default = "Patch::default", skip_serializing_if = "Patch::is_keep")]
    pub dsn: Patch<S>,
}

/// Life of tokens where it differs from the node's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TokenTtls {
    /// Seconds an access token lives.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "access_ttl_seconds")]
    pub access_ttl_seconds: Option<u32>,
    /// Seconds a refresh token family lives.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "refresh_ttl_seconds")]
    pub refresh_ttl_seconds: Option<u32>,
}

/// Password rules where they differ from the node's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordRules {
    /// Fewest characters.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "min_length")]
    pub min_length: Option<u16>,
    /// Most characters.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "max_length")]
    pub max_length: Option<u16>,
    /// An upper-case letter is needed.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "require_upper")]
    pub require_upper: Option<bool>,
    /// A lower-case letter is needed.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "require_lower")]
    pub require_lower: Option<bool>,
    /// A digit is needed.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "require_digit")]
    pub require_digit: Option<bool>,
    /// A symbol is needed.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "require_symbol")]
    pub require_symbol: Option<bool>,
}

/// How hosted pages and mails of a tenant look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Branding {
    /// Name shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "display_name")]
    pub display_name: Option<String>,
    /// Address of the logo.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "logo_url")]
    pub logo_url: Option<String>,
    /// Main colour, `#rrggbb`.
    #[serde(default, skip_serializing_if = "Option::is_none", alias = "primary_color")]
    pub primary_color: Option<String>,
}

/// Everything that may be set on a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TenantSettings {
    /// Who the tenant's tokens are issued by.
    pub issuer_mode: IssuerMode,
    /// Replaces the path form of the issuer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer_override: Option<String>,
    /// Which endpoints discovery names.
    pub discovery_endpoints: DiscoveryEndpoints,
    /// The tenant's own user database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_store: Option<UserStore>,
    /// Algorithms the tenant's keys are made for; the first is the default.
    pub signing_algs: Vec<Alg>,
    /// Life of tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<TokenTtls>,
    /// Password rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_policy: Option<PasswordRules>,
    /// Look of pages and mails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branding: Option<Branding>,
    /// Mail server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smtp: Option<Smtp>,
    /// Upstream identity providers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub social_providers: BTreeMap<String, SocialProvider>,
}

impl TenantSettings {
    /// Everything in it that is sealed with `SECRETBOX_MASTER_KEY`.
    pub fn secrets(&self) -> impl Iterator<Item = &Sealed> {
        let dsn = self.user_store.as_ref().map(|store| &store.dsn);
        let password = self.smtp.as_ref().and_then(|smtp| smtp.password.as_ref());
        let social = self.social_providers.values().filter_map(|provider| provider.client_secret.as_ref());
        dsn.into_iter().chain(password).chain(social)
    }
}

impl Default for TenantSettings {
    fn default() -> Self {
        Self {
            issuer_mode: IssuerMode::Global,
            issuer_override: None,
            discovery_endpoints: DiscoveryEndpoints::Global,
            user_store: None,
            signing_algs: vec![Alg::EdDsa],
            tokens: None,
            password_policy: None,
            branding: None,
            smtp: None,
            social_providers: BTreeMap::new(),
        }
    }
}

/// A merge patch for [`TenantSettings`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, bound(deserialize = "S: Deserialize<'de>"))]
pub struct SettingsPatch<S = Sealed> {
    /// See [`TenantSettings::issuer_mode`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "issuer_mode")]
    pub issuer_mode: Patch<IssuerMode>,
    /// See [`TenantSettings::issuer_override`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "issuer_override")]
    pub issuer_override: Patch<String>,
    /// See [`TenantSettings::discovery_endpoints`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "discovery_endpoints")]
    pub discovery_endpoints: Patch<DiscoveryEndpoints>,
    /// See [`TenantSettings::user_store`].
    #[serde(default = "Patch::default", skip_serializing_if = "Patch::is_keep", alias = "user_store")]
    pub user_store: Patch<UserStorePatch<S>>,
    /// See [`TenantSettings::signing_algs`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "signing_algs")]
    pub signing_algs: Patch<Vec<Alg>>,
    /// See [`TenantSettings::tokens`].
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub tokens: Patch<TokenTtlsPatch>,
    /// See [`TenantSettings::password_policy`].
    #[serde(default, skip_serializing_if = "Patch::is_keep", alias = "password_policy")]
    pub password_policy: Patch<PasswordRulesPatch>,
    /// See [`TenantSettings::branding`].
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub branding: Patch<BrandingPatch>,
    /// See [`TenantSettings::smtp`].
    #[serde(default = "Patch::default", skip_serializing_if = "Patch::is_keep")]
    pub smtp: Patch<SmtpPatch<S>>,
    /// See [`TenantSettings::social_providers`].
    #[serde(default = "Patch::default", skip_serializing_if = "Patch::is_keep", alias = "social_providers")]
    pub social_providers: Patch<BTreeMap<String, Patch<SocialProviderPatch<S>>>>,
}

/// Declares the merge patch of an object whose members are all optional values.
macro_rules! optional_members {
    ($(#[$doc:meta])* $patch:ident of $target:ident { $($field:ident / $alias:literal : $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $patch {
            $(
                #[doc = concat!("See [`", stringify!($target), "::", stringify!($field), "`].")]
                #[serde(default, skip_serializing_if = "Patch::is_keep", alias = $alias)]
                pub $field: Patch<$type>,
            )*
        }

        impl $target {
            fn merge(&mut self, patch: &$patch) {
                $( patch.$field.clone().apply_option(&mut self.$field); )*
            }
        }
    };
}

optional_members! {
    /// A merge patch for [`TokenTtls`].
    TokenTtlsPatch of TokenTtls {
        access_ttl_seconds / "access_ttl_seconds": u32,
        refresh_ttl_seconds / "refresh_ttl_seconds": u32,
    }
}
optional_members! {
    /// A merge patch for [`PasswordRules`].
    PasswordRulesPatch of PasswordRules {
        min_length / "min_length": u16,
        max_length / "max_length": u16,
        require_upper / "require_upper": bool,
        require_lower / "require_lower": bool,
        require_digit / "require_digit": bool,
        require_symbol / "require_symbol": bool,
    }
}
optional_members! {
    /// A merge patch for [`Branding`].
    BrandingPatch of Branding {
        display_name / "display_name": String,
        logo_url / "logo_url": String,
        primary_color / "primary_color": String,
    }
}

impl<S> SettingsPatch<S> {
    /// See [`super::TenantPatch::try_map_secrets`].
    pub fn try_map_secrets<T, E>(
        self,
        f: &mut impl FnMut(SecretField<'_>, S) -> Result<T, E>,
    ) -> Result<SettingsPatch<T>, E> {
        let user_store = self.user_store.try_map(|store| {
            let dsn = store.dsn.try_map(|secret| f(SecretField::UserStoreDsn, secret))?;
            Ok(UserStorePatch { dsn })
        })?;
        let smtp = self.smtp.try_map(|smtp| smtp.try_map_secrets(f))?;
        let social_providers = self.social_providers.try_map(|providers| {
            providers
                .into_iter()
                .map(|(name, patch)| {
                    let patch = patch.try_map(|provider| provider.try_map_secrets(&name, f))?;
                    Ok((name, patch))
                })
                .collect()
        })?;
        Ok(SettingsPatch {
            issuer_mode: self.issuer_mode,
            issuer_override: self.issuer_override,
            discovery_endpoints: self.discovery_endpoints,
            user_store,
            signing_algs: self.signing_algs,
            tokens: self.tokens,
            password_policy: self.password_policy,
            branding: self.branding,
            smtp,
            social_providers,
        })
    }
}

/// Merges a patch into an optional object, making the object where it was missing.
fn merge_object<T: Default, P>(target: &mut Option<T>, patch: &Patch<P>, merge: impl FnOnce(&mut T, &P)) {
    match patch {
        Patch::Keep => {}
        Patch::Clear => *target = None,
        Patch::Set(patch) => merge(target.get_or_insert_default(), patch),
    }
}

impl TenantSettings {
    pub(super) fn merge(&mut self, patch: &SettingsPatch, format: u16, findings: &mut Findings) {
        patch.issuer_mode.clone().apply_or_default(&mut self.issuer_mode);
        patch.issuer_override.clone().apply_option(&mut self.issuer_override);
        patch.discovery_endpoints.clone().apply_or_default(&mut self.discovery_endpoints);
        match &patch.user_store {
            Patch::Keep => {}
            Patch::Clear => self.user_store = None,
            Patch::Set(UserStorePatch { dsn }) => {
                dsn.clone().map(|dsn| UserStore { dsn }).apply_option(&mut self.user_store);
            }
        }
        match &patch.signing_algs {
            Patch::Keep => {}
            Patch::Clear => self.signing_algs = vec![Alg::EdDsa],
            Patch::Set(algs) => self.signing_algs.clone_from(algs),
        }
        merge_object(&mut self.tokens, &patch.tokens, TokenTtls::merge);
        merge_object(&mut self.password_policy, &patch.password_policy, PasswordRules::merge);
        merge_object(&mut self.branding, &patch.branding, Branding::merge);
        Smtp::merge(&mut self.smtp, &patch.smtp, findings);
        SocialProvider::merge_all(&mut self.social_providers, &patch.social_providers, format, findings);
    }

    pub(super) fn check(&self, findings: &mut Findings) {
        if let Some(url) = &self.issuer_override {
            findings.web_url("settings.issuerOverride", url);
            if url.ends_with('/') || url.contains('?') {
                findings.add("settings.issuerOverride", "invalid_url", "must not end in '/' or have a query");
            }
        }
        if self.signing_algs.is_empty() {
            findings.add("settings.signingAlgs", "required", "must name at least one algorithm");
        }
        findings.list("settings.signingAlgs", &self.signing_algs);
        if let Some(ttls) = &self.tokens {
            if let Some(ttl) = ttls.access_ttl_seconds {
                findings.seconds("settings.tokens.accessTtlSeconds", ttl, limits::ACCESS_TTL_SECONDS);
            }
            if let Some(ttl) = ttls.refresh_ttl_seconds {
                findings.seconds("settings.tokens.refreshTtlSeconds", ttl, limits::REFRESH_TTL_SECONDS);
            }
        }
        if let Some(rules) = &self.password_policy {
            rules.check(findings);
        }
        if let Some(branding) = &self.branding {
            branding.check(findings);
        }
        if let Some(smtp) = &self.smtp {
            smtp.check(findings);
        }
        SocialProvider::check_all(&self.social_providers, findings);
    }
}

impl PasswordRules {
    fn check(&self, findings: &mut Findings) {
        if self.min_length.is_some_and(|n| !(8..=128).contains(&n)) {
            findings.add("settings.passwordPolicy.minLength", "out_of_range", "must be between 8 and 128");
        }
        if self.max_length.is_some_and(|n| !(64..=256).contains(&n)) {
            findings.add("settings.passwordPolicy.maxLength", "out_of_range", "must be between 64 and 256");
        }
        if self.min_length.zip(self.max_length).is_some_and(|(min, max)| min > max) {
            findings.add("settings.passwordPolicy.minLength", "out_of_range", "must not exceed maxLength");
        }
    }
}

impl Branding {
    fn check(&self, findings: &mut Findings) {
        if let Some(name) = &self.display_name {
            findings.text("settings.branding.displayName", name);
        }
        if let Some(url) = &self.logo_url {
            findings.web_url("settings.branding.logoUrl", url);
        }
        let is_color =
            |c: &str| c.len() == 7 && c.starts_with('#') && c.bytes().skip(1).all(|b| b.is_ascii_hexdigit());
        if self.primary_color.as_deref().is_some_and(|c| !is_color(c)) {
            findings.add("settings.branding.primaryColor", "invalid_color", "must look like #1a2b3c");
        }
    }
}
