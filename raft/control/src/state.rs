//! The state: persistent maps, so that a view or a snapshot of it is a cheap copy and readers need no lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::audit::Outbox;
use crate::documents::{Client, ScopeCatalogue, Tenant};
use crate::graveyard::Graveyard;
use crate::keyring::KeyRing;
use crate::ledger::Ledger;
use crate::view::Issuer;
use crate::{ClientId, Slug, discovery};

/// What the cluster is and who founded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Formation {
    /// The cluster's id.
    pub cluster_id: Uuid,
    /// The next Raft id to give away; ids are never used twice.
    pub next_raft_id: u64,
    /// Raft id and incarnation of each member by node name.
    pub members: BTreeMap<String, MemberIdentity>,
    /// The format that the cluster writes; see [`crate::format`].
    #[serde(default = "Formation::first_format", skip_serializing_if = "Formation::is_first_format")]
    pub format: u16,
}

/// Under which Raft id a node is a member, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberIdentity {
    /// Raft id; none while a node that was added has not come yet.
    pub raft_id: Option<u64>,
    /// Counts up each time the node comes with an empty disk.
    pub incarnation: u64,
    /// What it is to be.
    #[serde(default, skip_serializing_if = "MemberRole::is_voter")]
    pub role: MemberRole,
    /// What the process that was given the Raft id had drawn, so that asking again does not cost another id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admission: Option<Uuid>,
}

impl MemberIdentity {
    /// Of those who formed the cluster, or the only one of it.
    pub fn founder(raft_id: u64) -> Self {
        Self { raft_id: Some(raft_id), incarnation: 1, role: MemberRole::Voter, admission: None }
    }

    /// Of a node that was added and has not come yet.
    pub(crate) fn expected() -> Self {
        Self { raft_id: None, incarnation: 0, role: MemberRole::Learner, admission: None }
    }
}

/// What a member is to be. What it is now stands in the Raft membership, which follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberRole {
    /// It has a vote.
    #[default]
    Voter,
    /// It receives the log and has no vote.
    Learner,
}

impl MemberRole {
    /// Whether this is [`Self::Voter`].
    pub fn is_voter(&self) -> bool {
        matches!(self, Self::Voter)
    }
}

/// A tenant with all that belongs to it.
#[derive(Debug, Clone)]
pub struct TenantEntry {
    /// The tenant document.
    pub tenant: Arc<Tenant>,
    /// Its clients.
    pub clients: OrdMap<ClientId, Arc<Client>>,
    /// Its scope catalogue.
    pub scopes: Arc<ScopeCatalogue>,
    /// Its own keys; empty while it never had an issuer of its own.
    pub keys: KeyRing,
    // Private, so that an entry is made by the functions below only and this is never that of another state.
    discovery: Option<Bytes>,
}

impl TenantEntry {
    /// The entry of these documents, with its discovery document rendered.
    pub(crate) fn new(
        issuer: &Issuer,
        tenant: Arc<Tenant>,
        clients: OrdMap<ClientId, Arc<Client>>,
        scopes: Arc<ScopeCatalogue>,
        keys: KeyRing,
    ) -> Self {
        let discovery = discovery::tenant(issuer, &tenant, &scopes, &keys);
        Self { tenant, clients, scopes, keys, discovery }
    }

    /// The same with other clients, which discovery does not tell of.
    pub(crate) fn with_clients(&self, clients: OrdMap<ClientId, Arc<Client>>) -> Self {
        Self { clients, ..self.clone() }
    }

    /// The same with other scopes.
    pub(crate) fn with_scopes(&self, issuer: &Issuer, scopes: Arc<ScopeCatalogue>) -> Self {
        Self::new(issuer, Arc::clone(&self.tenant), self.clients.clone(), scopes, self.keys.clone())
    }

    /// The same with other keys.
    pub(crate) fn with_keys(&self, issuer: &Issuer, keys: KeyRing) -> Self {
        Self::new(issuer, Arc::clone(&self.tenant), self.clients.clone(), Arc::clone(&self.scopes), keys)
    }

    /// The discovery document, rendered when the tenant, its scopes or its keys last changed; `None` while the
    /// tenant uses the global issuer.
    pub fn discovery(&self) -> Option<&Bytes> {
        self.discovery.as_ref()
    }
}

/// The global signing keys and the discovery document that follows from them.
#[derive(Debug, Clone)]
pub(crate) struct Global {
    keys: KeyRing,
    discovery: Bytes,
}

impl Global {
    /// These keys, with the discovery document rendered.
    pub(crate) fn new(issuer: &Issuer, keys: KeyRing) -> Self {
        let discovery = discovery::global(issuer, &keys);
        Self { keys, discovery }
    }

    pub(crate) fn keys(&self) -> &KeyRing {
        &self.keys
    }

    pub(crate) fn discovery(&self) -> &Bytes {
        &self.discovery
    }
}

/// Everything the control plane knows.
#[derive(Debug, Clone)]
pub struct State {
    pub(crate) formation: Option<Arc<Formation>>,
    pub(crate) global: Global,
    pub(crate) tenants: OrdMap<Slug, Arc<TenantEntry>>,
    /// What documents that are gone leave behind.
    pub(crate) graveyard: Graveyard,
    /// What requests with an idempotency key did.
    pub(crate) ledger: Ledger,
    /// The account of what was written.
    pub(crate) audit: Outbox,
}

impl State {
    /// Nothing yet.
    pub(crate) fn new(issuer: &Issuer) -> Self {
        Self {
            formation: None,
            global: Global::new(issuer, KeyRing::default()),
            tenants: OrdMap::new(),
            graveyard: Graveyard::default(),
            ledger: Ledger::default(),
            audit: Outbox::default(),
        }
    }

    /// Whether the cluster, the global keys and the tenants are those of `before`. One that was written anew with the same
    /// content may count as another.
    pub(crate) fn is_still(&self, before: &State) -> bool {
        let same_cluster = match (&self.formation, &before.formation) {
            (Some(now), Some(then)) => Arc::ptr_eq(now, then),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        same_cluster
            && self.tenants.ptr_eq(&before.tenants)
            && self.global.keys().keys().ptr_eq(before.global.keys().keys())
    }
}

/// Name of a tenant in the graveyard.
pub(crate) fn tenant_name(slug: &Slug) -> String {
    format!("tenants/{slug}")
}

/// Name of a scope catalogue in the graveyard.
pub(crate) fn scopes_name(slug: &Slug) -> String {
    format!("scopes/{slug}")
}

/// Name of a client in the graveyard.
pub(crate) fn client_name(slug: &Slug, client_id: &ClientId) -> String {
    format!("clients/{slug}/{client_id}")
}
