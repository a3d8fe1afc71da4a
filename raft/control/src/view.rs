//! The read model: an immutable view of the state at one index, shared by all readers without a lock.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;

use crate::audit::Outbox;
use crate::command::{Command, KeyRef};
use crate::discovery;
use crate::documents::{Activation, Alg, Client, IssuerMode, KeySet, KeyState};
use crate::envelope::Idempotency;
use crate::keyring::KeyRing;
use crate::outcome::Reject;
use crate::state::{Formation, State, TenantEntry};
use crate::{ClientId, Slug, Timestamp};

/// Where the product says it lives: the base of issuers and endpoint addresses (`JWT_ISSUER`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    base: String,
}

impl Issuer {
    /// From the configured issuer URL; a trailing slash is dropped.
    pub fn new(base: &str) -> Self {
        Self { base: base.trim_end_matches('/').to_owned() }
    }

    /// The global issuer.
    pub fn as_str(&self) -> &str {
        &self.base
    }
}

/// The state after the entry at [`View::applied_index`].
#[derive(Debug, Clone)]
pub struct View {
    state: State,
    applied_index: u64,
    issuer: Arc<Issuer>,
}

impl View {
    pub(crate) fn new(state: State, applied_index: u64, issuer: Arc<Issuer>) -> Self {
        Self { state, applied_index, issuer }
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Index of the last entry that this view contains.
    pub fn applied_index(&self) -> u64 {
        self.applied_index
    }

    /// The cluster, once it is formed.
    pub fn formation(&self) -> Option<&Arc<Formation>> {
        self.state.formation.as_ref()
    }

    /// The format that the cluster writes; see [`crate::format`].
    pub fn format(&self) -> u16 {
        self.state.format()
    }

    /// Whether this command may be written: every member can read it.
    ///
    /// # Errors
    /// [`Reject::UpgradePending`].
    pub fn may_write(&self, command: &Command) -> Result<(), Reject> {
        command.check_format(self.state.format())
    }

    /// Whether the request was done before, as far as this view goes: then it changes nothing, whatever else holds now.
    pub fn was_done(&self, actor: &str, asked: &Idempotency, at: Timestamp) -> bool {
        matches!(self.state.ledger.find(actor, asked, at), Ok(Some(_)))
    }

    /// The account of what was written (S113).
    pub fn audit(&self) -> &Outbox {
        &self.state.audit
    }

    /// The tenant of that slug with all that belongs to it.
    pub fn tenant(&self, slug: &Slug) -> Option<&Arc<TenantEntry>> {
        self.state.tenants.get(slug)
    }

    /// All tenants, by slug.
    pub fn tenants(&self) -> &OrdMap<Slug, Arc<TenantEntry>> {
        &self.state.tenants
    }

    /// Tenants that come after `cursor`, by slug.
    pub fn tenants_after(&self, cursor: Option<&Slug>) -> impl Iterator<Item = &Arc<TenantEntry>> {
        let start = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        self.state.tenants.range::<_, Slug>((start, Bound::Unbounded)).map(|(_, entry)| entry)
    }

    /// The client of that id.
    pub fn client(&self, slug: &Slug, client_id: &ClientId) -> Option<&Arc<Client>> {
        self.tenant(slug)?.clients.get(client_id)
    }

    /// The global keys.
    pub fn global_keys(&self) -> &KeyRing {
        self.state.global.keys()
    }

    /// The keys of a set.
    pub fn keys(&self, set: &KeySet) -> Option<&KeyRing> {
        match set {
            KeySet::Global => Some(self.global_keys()),
            KeySet::Tenant(slug) => self.tenant(slug).map(|entry| &entry.keys),
        }
    }

    /// The set whose keys sign the tenant's tokens now.
    pub fn signing_set(&self, entry: &TenantEntry) -> KeySet {
        match entry.tenant.settings.issuer_mode {
            IssuerMode::Global => KeySet::Global,
            IssuerMode::Path => KeySet::Tenant(entry.tenant.slug.clone()),
        }
    }

    /// The `iss` of the tenant's tokens (spec §2.2).
    pub fn issuer_of(&self, entry: &TenantEntry) -> String {
        discovery::issuer_of(&self.issuer, &entry.tenant)
    }

    /// The global issuer.
    pub fn global_issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// The JWKS that verifies the tenant's tokens: its own, or the global one (spec §13.7).
    pub fn jwks_of(&self, entry: &TenantEntry) -> Bytes {
        match entry.tenant.settings.issuer_mode {
            IssuerMode::Global => self.global_keys().jwks().clone(),
            IssuerMode::Path => entry.keys.jwks().clone(),
        }
    }

    /// Discovery of the global issuer (OIDC Discovery §3, RFC 8414 §2).
    pub fn global_discovery(&self) -> Bytes {
        self.state.global.discovery().clone()
    }

    /// Discovery of a path tenant; `None` while the tenant uses the global issuer (spec §13.7).
    pub fn discovery_of(&self, entry: &TenantEntry) -> Option<Bytes> {
        entry.discovery().cloned()
    }

    /// Keys that wait to become active, with their intents. A scan over all sets, for the leader's job.
    pub fn pending_activations(&self) -> Vec<(KeyRef, Activation)> {
        self.scan_keys(|key| match key.state {
            KeyState::Next => key.activation,
            KeyState::Active | KeyState::Retiring | KeyState::Retired => None,
        })
    }

    /// Retiring keys whose grace is over at `now`. A scan over all sets, for the leader's job.
    pub fn due_retirements(&self, now: Timestamp) -> Vec<KeyRef> {
        let due = self.scan_keys(|key| match key.state {
            KeyState::Retiring => key.retire_at.filter(|at| *at <= now),
            KeyState::Next | KeyState::Active | KeyState::Retired => None,
        });
        due.into_iter().map(|(key, _)| key).collect()
    }

    /// Keys that somebody has chosen an algorithm for and that do not exist yet, at most `most`: those of the global set, and
    /// those that a tenant with an issuer of its own, or one of its clients, asks for (spec §2.2). A scan over all tenants, for
    /// the leader's job.
    pub fn missing_keys(&self, most: usize) -> Vec<(KeySet, Alg)> {
        let lacks = |ring: &KeyRing, alg: Alg| ring.active(alg).is_none() && ring.next(alg).is_none();
        let global = Alg::ALL.into_iter().filter(|alg| lacks(self.global_keys(), *alg));
        let of_tenants = self.state.tenants.iter().flat_map(|(slug, entry)| {
            let chosen = chosen_algs(entry);
            let missing = chosen.into_iter().filter(|alg| lacks(&entry.keys, *alg));
            missing.map(|alg| (KeySet::Tenant(slug.clone()), alg))
        });
        global.map(|alg| (KeySet::Global, alg)).chain(of_tenants).take(most).collect()
    }

    fn scan_keys<T>(&self, pick: impl Fn(&crate::documents::SigningKey) -> Option<T>) -> Vec<(KeyRef, T)> {
        let tenants =
            self.state.tenants.iter().map(|(slug, entry)| (KeySet::Tenant(slug.clone()), &entry.keys));
        std::iter::once((KeySet::Global, self.global_keys()))
            .chain(tenants)
            .flat_map(|(set, ring)| ring.keys().values().map(move |key| (set.clone(), key)))
            .filter_map(|(set, key)| pick(key).map(|t| (KeyRef { set, kid: key.kid.clone() }, t)))
            .collect()
    }
}

/// The algorithms that a tenant with an issuer of its own signs with; none for one that uses the global keys.
fn chosen_algs(entry: &TenantEntry) -> BTreeSet<Alg> {
    match entry.tenant.settings.issuer_mode {
        IssuerMode::Global => BTreeSet::new(),
        IssuerMode::Path => {
            let of_clients = entry.clients.values().flat_map(|client| {
                [client.id_token_signed_response_alg, client.access_token_signed_response_alg]
            });
            entry.tenant.settings.signing_algs.iter().copied().chain(of_clients.flatten()).collect()
        }
    }
}
