//! The tenant document and the merge patch that changes it (spec §2.1, §13.10).

use serde::{Deserialize, Serialize};

use super::Patch;
use super::settings::{SettingsPatch, TenantSettings};
use crate::validate::{FieldError, Findings};
use crate::{Sealed, Slug, Timestamp};

/// Whether a tenant's people may log in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TenantStatus {
    /// Everything works.
    #[default]
    Active,
    /// Nobody logs in or refreshes; keys and discovery stay published.
    Suspended,
}

/// Which secret of a tenant's settings a value is. It decides for what purpose the value is sealed, so a new
/// secret is a new variant and every place that seals one has to say how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretField<'a> {
    /// `settings.userStore.dsn`.
    UserStoreDsn,
    /// `settings.smtp.password`.
    SmtpPassword,
    /// `settings.socialProviders.{name}.clientSecret`; the value is the provider's name.
    SocialClientSecret(&'a str),
}

/// A tenant, as it stands in `tenants/{slug}/tenant.yaml`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Identifier.
    pub slug: Slug,
    /// Name for people.
    pub name: String,
    /// Whether people may log in.
    pub status: TenantStatus,
    /// Everything that may be set.
    pub settings: TenantSettings,
    /// Counter of changes, from 1, never reused for the slug; the ETag.
    pub revision: u64,
    /// When the tenant was made.
    pub created_at: Timestamp,
    /// When the tenant last changed.
    pub updated_at: Timestamp,
}

/// A merge patch for a tenant. `S` is what a secret is: plaintext at the edge, [`Sealed`] in a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "S: Deserialize<'de>"))]
pub struct TenantPatch<S = Sealed> {
    /// New name; `null` gives the slug.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub name: Patch<String>,
    /// New status; `null` gives active.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub status: Patch<TenantStatus>,
    /// Changed settings; `null` gives the defaults.
    #[serde(default = "Patch::default", skip_serializing_if = "Patch::is_keep")]
    pub settings: Patch<SettingsPatch<S>>,
}

impl<S> Default for TenantPatch<S> {
    fn default() -> Self {
        Self { name: Patch::Keep, status: Patch::Keep, settings: Patch::Keep }
    }
}

impl<S> TenantPatch<S> {
    /// The same patch with each secret mapped, for sealing before a proposal. The function is told which secret
    /// it gets.
    ///
    /// # Errors
    /// The first error of `f`.
    pub fn try_map_secrets<T, E>(
        self,
        f: &mut impl FnMut(SecretField<'_>, S) -> Result<T, E>,
    ) -> Result<TenantPatch<T>, E> {
        Ok(TenantPatch {
            name: self.name,
            status: self.status,
            settings: self.settings.try_map(|settings| settings.try_map_secrets(f))?,
        })
    }
}

impl TenantPatch {
    /// Whether it has a member that releases before [`crate::format::OIDC_FORMAT`] do not know.
    pub(crate) fn is_of_oidc_format(&self) -> bool {
        let providers = self.settings.as_set().and_then(|settings| settings.social_providers.as_set());
        providers.is_some_and(|all| {
            all.values().filter_map(Patch::as_set).any(super::SocialProviderPatch::is_of_oidc_format)
        })
    }
}

impl Tenant {
    /// A tenant that was just named and nothing else. Its revision is set by the machine.
    pub fn new(slug: Slug, at: Timestamp) -> Self {
        Self {
            name: slug.as_str().to_owned(),
            slug,
            status: TenantStatus::Active,
            settings: TenantSettings::default(),
            revision: 0,
            created_at: at,
            updated_at: at,
        }
    }

    /// The tenant with the patch merged in, or everything that is wrong with the result. `format` is what the cluster
    /// writes: releases of one cluster judge alike, so rules that came with a format begin with it.
    pub fn merged(&self, patch: &TenantPatch, format: u16) -> Result<Tenant, Vec<FieldError>> {
        let mut tenant = self.clone();
        match &patch.name {
            Patch::Keep => {}
            Patch::Clear => tenant.name = self.slug.as_str().to_owned(),
            Patch::Set(name) => tenant.name.clone_from(name),
        }
        patch.status.clone().apply_or_default(&mut tenant.status);
        let mut findings = Findings::default();
        match &patch.settings {
            Patch::Keep => {}
            Patch::Clear => tenant.settings = TenantSettings::default(),
            Patch::Set(settings) => tenant.settings.merge(settings, format, &mut findings),
        }
        findings.text("name", &tenant.name);
        tenant.settings.check(&mut findings);
        findings.into_result()?;
        Ok(tenant)
    }
}
