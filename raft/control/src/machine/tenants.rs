//! Tenants and their scope catalogues.

use std::sync::Arc;

use imbl::OrdMap;

use super::keys::checked;
use super::{Machine, check, invalid, limit};
use crate::command::ScopesMode;
use crate::documents::{Alg, IssuerMode, NewKey, Scope, ScopeCatalogue, Tenant, TenantPatch};
use crate::envelope::Precondition;
use crate::keyring::KeyRing;
use crate::outcome::{Outcome, Reject};
use crate::state::{TenantEntry, client_name, scopes_name, tenant_name};
use crate::validate::Findings;
use crate::{Slug, Timestamp, limits};

impl Machine {
    pub(super) fn put_tenant(
        &mut self,
        slug: &Slug,
        patch: &TenantPatch,
        new_keys: &[NewKey],
        precondition: Option<&Precondition>,
        at: Timestamp,
    ) -> Result<Outcome, Reject> {
        let existing = self.state.tenants.get(slug).cloned();
        let current = existing.as_ref().map(|entry| entry.tenant.revision);
        check(precondition, current)?;
        if existing.is_none() && self.state.tenants.len() >= limits::TENANTS {
            return Err(limit("tenants", limits::TENANTS));
        }
        let base = match &existing {
            Some(entry) => Tenant::clone(&entry.tenant),
            None => Tenant::new(slug.clone(), at),
        };
        let mut tenant = base.merged(patch, self.state.format()).map_err(invalid)?;
        if tenant.settings.issuer_override != base.settings.issuer_override {
            self.check_issuer_is_free(&tenant)?;
        }
        let old_keys = existing.as_ref().map_or_else(KeyRing::default, |entry| entry.keys.clone());
        let (keys, keys_changed) = completed(&old_keys, &tenant, new_keys, at)?;
        if existing.is_some() && tenant == base && !keys_changed {
            return Ok(Outcome::Tenant { created: false, tenant: Arc::new(tenant) });
        }
        tenant.revision = self.next_revision(current, &tenant_name(slug));
        tenant.updated_at = at;
        let tenant = Arc::new(tenant);
        let (clients, scopes) = match &existing {
            Some(entry) => (entry.clients.clone(), Arc::clone(&entry.scopes)),
            None => {
                let revision = self.next_revision(None, &scopes_name(slug));
                (OrdMap::new(), Arc::new(ScopeCatalogue { revision, ..ScopeCatalogue::standard() }))
            }
        };
        let entry = TenantEntry::new(&self.issuer, Arc::clone(&tenant), clients, scopes, keys);
        self.state.graveyard.raise(&tenant_name(slug));
        self.state.graveyard.raise(&scopes_name(slug));
        self.store(slug, entry);
        Ok(Outcome::Tenant { created: existing.is_none(), tenant })
    }

    /// Two tenants under one issuer could sign for each other's people (S37).
    fn check_issuer_is_free(&self, tenant: &Tenant) -> Result<(), Reject> {
        let Some(issuer) = &tenant.settings.issuer_override else { return Ok(()) };
        let mut others = self.state.tenants.values().filter(|entry| entry.tenant.slug != tenant.slug);
        let mut findings = Findings::default();
        if let Some(other) = others.find(|o| o.tenant.settings.issuer_override.as_ref() == Some(issuer)) {
            let message = format!("is the issuer of tenant {} already", other.tenant.slug);
            findings.add("settings.issuerOverride", "issuer_in_use", message);
        }
        findings.into_result().map_err(invalid)
    }

    pub(super) fn delete_tenant(
        &mut self,
        slug: &Slug,
        precondition: Option<&Precondition>,
    ) -> Result<Outcome, Reject> {
        let entry = Arc::clone(self.entry(slug)?);
        check(precondition, Some(entry.tenant.revision))?;
        self.state.graveyard.bury(tenant_name(slug), entry.tenant.revision);
        self.state.graveyard.bury(scopes_name(slug), entry.scopes.revision);
        for (client_id, client) in &entry.clients {
            self.state.graveyard.bury(client_name(slug, client_id), client.revision);
        }
        self.state.tenants.remove(slug);
        Ok(Outcome::TenantDeleted)
    }

    pub(super) fn put_scopes(
        &mut self,
        slug: &Slug,
        scopes: &[Scope],
        mode: ScopesMode,
        precondition: Option<&Precondition>,
    ) -> Result<Outcome, Reject> {
        let entry = Arc::clone(self.entry(slug)?);
        let old = &entry.scopes;
        check(precondition, Some(old.revision))?;
        let mut new = match mode {
            ScopesMode::Replace => old.replaced(scopes),
            ScopesMode::Merge => old.merged(scopes),
        }
        .map_err(invalid)?;
        for client in entry.clients.values() {
            if let Some(scope) = client.scopes.iter().find(|scope| !new.contains(scope)) {
                return Err(Reject::ScopeInUse { scope: scope.clone(), client_id: client.client_id.clone() });
            }
        }
        if new == **old {
            return Ok(Outcome::Scopes { scopes: Arc::clone(old) });
        }
        new.revision = old.revision + 1;
        let scopes = Arc::new(new);
        self.store(slug, entry.with_scopes(&self.issuer, Arc::clone(&scopes)));
        Ok(Outcome::Scopes { scopes })
    }
}

/// The tenant's keys with those added that a path issuer needs and does not have yet, and whether any was.
fn completed(
    keys: &KeyRing,
    tenant: &Tenant,
    new_keys: &[NewKey],
    at: Timestamp,
) -> Result<(KeyRing, bool), Reject> {
    let needed: &[Alg] = match tenant.settings.issuer_mode {
        IssuerMode::Global => &[],
        IssuerMode::Path => &tenant.settings.signing_algs,
    };
    let mut keys = keys.clone();
    let mut changed = false;
    for alg in needed {
        if keys.active(*alg).is_none() {
            let new = new_keys.iter().find(|key| key.alg == *alg).ok_or(Reject::KeyNeeded { alg: *alg })?;
            checked(&keys, new, "new_keys")?;
            keys = keys.with_active(new.clone(), at, 0);
            changed = true;
        }
    }
    Ok((keys, changed))
}
