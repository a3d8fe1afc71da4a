//! What a tenant may not be told, beyond its document's own rules: what only this layer can know, because it
//! hangs on this node's settings or on what this release can do.
//!
//! Pure: input and settings in, a refusal naming the field out. Must never change what it looks at.

use hellojohn_control::Slug;
use hellojohn_control::documents::{IssuerMode, SettingsPatch, TenantStatus};
use percent_encoding::percent_decode_str;

use super::tenants::TenantInput;
use crate::crypto::secret::SecretString;
use crate::service::{Error, Result};
use crate::store::dsn::Dsn;

/// What the rules need to know of this installation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Installation<'a> {
    pub(super) admin_tenants: &'a [Slug],
    pub(super) global_issuer: &'a str,
}

impl Installation<'_> {
    /// # Errors
    /// `validation_failed`, with the field.
    pub(super) fn check(&self, slug: &Slug, input: &TenantInput) -> Result<()> {
        let settings = input.settings.as_set();
        if let Some(settings) = settings {
            check_algs(settings)?;
            check_dsn(settings)?;
            self.check_issuer(settings)?;
        }
        if !self.admin_tenants.contains(slug) {
            return Ok(());
        }
        // Administrators live here: what shuts them out would shut out whoever could undo it.
        if input.status.as_set() == Some(&TenantStatus::Suspended) {
            return Err(refused("status", "a tenant of ADMIN_TENANTS cannot be suspended"));
        }
        if settings.and_then(|s| s.issuer_mode.as_set()) == Some(&IssuerMode::Path) {
            let why =
                "a tenant of ADMIN_TENANTS uses the global issuer: administrators' tokens must carry it";
            return Err(refused("settings.issuerMode", why));
        }
        // Whoever runs a tenant's database could make anybody an administrator in it.
        if settings.and_then(|s| s.user_store.as_set()).is_some_and(|store| store.dsn.as_set().is_some()) {
            let why = "a tenant of ADMIN_TENANTS uses the global database and may not have one of its own";
            return Err(refused("settings.userStore.dsn", why));
        }
        Ok(())
    }

    /// Whether the tenant may be deleted.
    ///
    /// # Errors
    /// `validation_failed` for a tenant of administrators.
    pub(super) fn check_deletion(&self, slug: &Slug) -> Result<()> {
        if self.admin_tenants.contains(slug) {
            let why = "administrators live in this tenant; take it out of ADMIN_TENANTS first";
            return Err(refused("slug", why));
        }
        Ok(())
    }

    /// An issuer of ours, or below it, would make one tenant speak for the whole installation or for another tenant
    /// wherever tokens are checked by discovery (S37). The replicated machine cannot see it: it does not know
    /// `JWT_ISSUER`.
    fn check_issuer(&self, settings: &SettingsPatch<SecretString>) -> Result<()> {
        let Some(wanted) = settings.issuer_override.as_set() else { return Ok(()) };
        let (ours, wanted) = (comparable(self.global_issuer), comparable(wanted));
        if wanted.strip_prefix(&ours).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')) {
            let why =
                format!("must be neither {} nor below it: those issuers are given out", self.global_issuer);
            return Err(Error::invalid_field("settings.issuerOverride", "reserved_issuer", why));
        }
        Ok(())
    }
}

fn refused(field: &'static str, why: &'static str) -> Error {
    Error::invalid_field(field, "admin_tenant", why)
}

fn check_algs(settings: &SettingsPatch<SecretString>) -> Result<()> {
    const FIELD: &str = "settings.signingAlgs";
    let Some(algs) = settings.signing_algs.as_set() else { return Ok(()) };
    // Each one costs a key before the document itself is looked at.
    if algs.iter().enumerate().any(|(i, alg)| algs.iter().take(i).any(|earlier| earlier == alg)) {
        return Err(Error::invalid_field(FIELD, "duplicate", "names an algorithm twice"));
    }
    Ok(())
}

fn check_dsn(settings: &SettingsPatch<SecretString>) -> Result<()> {
    let Some(dsn) = settings.user_store.as_set().and_then(|store| store.dsn.as_set()) else { return Ok(()) };
    Dsn::parse(dsn.expose())
        .map(|_| ())
        .map_err(|error| Error::invalid_field("settings.userStore.dsn", "invalid_dsn", error.to_string()))
}

/// A URL in a form in which two spellings of one address are equal: without case, escapes or the default port.
/// Paths do have case; refusing a twin that differs by it alone costs nobody anything.
fn comparable(url: &str) -> String {
    let text = percent_decode_str(url).decode_utf8_lossy().to_lowercase();
    let Some((scheme, rest)) = text.split_once("://") else { return text };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let default_port = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(default_port).unwrap_or(authority);
    format!("{scheme}://{authority}{}", path.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::service::Payload;

    /// The field and the code of the refusal of `patch`, if it is refused.
    fn refusal(slug: &str, patch: Value) -> Option<(String, String)> {
        let admins = [Slug::parse("local").unwrap()];
        let ours = Installation { admin_tenants: &admins, global_issuer: "https://id.example/auth" };
        let patch: TenantInput = serde_json::from_value(patch).unwrap();
        let error = ours.check(&Slug::parse(slug).unwrap(), &patch).err()?;
        let Payload::Fields(fields) = error.payload() else { panic!("{error:?}") };
        Some((fields[0].field.to_string(), fields[0].code.to_string()))
    }

    /// S37, spec §2.2
    #[test]
    fn no_tenant_takes_the_global_issuer_or_one_below_it() {
        let check = |url: &str| refusal("acme", json!({"settings": {"issuerOverride": url}}));
        for url in [
            "https://id.example/auth",
            "https://ID.example/auth",
            "https://id.example:443/auth",
            "https://id.example/%61uth",
            "https://id.example/auth/t/other",
            "https://id.example:443/Auth/t/other",
        ] {
            let (field, code) = check(url).unwrap_or_else(|| panic!("{url} was taken"));
            assert_eq!(
                (field.as_str(), code.as_str()),
                ("settings.issuerOverride", "reserved_issuer"),
                "{url}"
            );
        }
        for url in ["https://id.example", "https://id.example/authority", "https://id.example:8443/auth"] {
            assert_eq!(check(url), None, "{url}");
        }
    }

    /// spec §6 "Admin authorisation"
    #[test]
    fn what_would_shut_administrators_out_is_refused_for_their_tenants_only() {
        for (patch, field) in [
            (json!({"status": "suspended"}), "status"),
            (json!({"settings": {"issuerMode": "path"}}), "settings.issuerMode"),
            (json!({"settings": {"userStore": {"dsn": "postgres://a:b@h/d"}}}), "settings.userStore.dsn"),
        ] {
            assert_eq!(refusal("local", patch.clone()), Some((field.to_owned(), "admin_tenant".to_owned())));
            assert_eq!(refusal("acme", patch), None);
        }
        let harmless = json!({"status": "active", "settings": {"issuerMode": "global", "userStore": null}});
        assert_eq!(refusal("local", harmless), None);
    }

    /// A list that repeats itself would have a key made for every item of it.
    #[test]
    fn an_algorithm_is_named_once() {
        let twice = json!({"settings": {"signingAlgs": ["EdDSA", "EdDSA"]}});
        assert_eq!(refusal("acme", twice), Some(("settings.signingAlgs".to_owned(), "duplicate".to_owned())));
    }
}
