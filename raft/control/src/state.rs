//! The state: persistent maps, so that a view or a snapshot of it is a cheap copy and readers need no lock.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::documents::{Client, ScopeCatalogue, Tenant};
use crate::graveyard::Graveyard;
use crate::keyring::KeyRing;
use crate::{ClientId, Slug};

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
}

/// Under which Raft id a node is a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberIdentity {
    /// Raft id.
    pub raft_id: u64,
    /// Counts up each time the node comes back with an empty disk.
    pub incarnation: u64,
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
}

/// Everything the control plane knows.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub(crate) formation: Option<Arc<Formation>>,
    pub(crate) global_keys: KeyRing,
    pub(crate) tenants: OrdMap<Slug, Arc<TenantEntry>>,
    /// What documents that are gone leave behind.
    pub(crate) graveyard: Graveyard,
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
