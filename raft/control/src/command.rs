//! Commands: what may be asked of the control plane. Everything random or secret in them was made, hashed or
//! sealed by the leader before it proposed them (spec §2.1). Golden files pin their form.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::documents::{ClientPatch, KeySet, NewClientSecret, NewKey, Scope, TenantPatch};
use crate::state::Formation;
use crate::{ClientId, Kid, Slug};

/// An intent to change the control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// The first entry of a cluster: its id and the Raft ids of its founders.
    FormCluster {
        /// The cluster's id, promised by every founder.
        cluster_id: Uuid,
        /// Raft id of each founder by node name.
        members: BTreeMap<String, u64>,
    },
    /// Gives a member with an empty disk a new Raft id (spec §13.4).
    AdmitNode {
        /// Its node name.
        name: String,
        /// What the process that asks has drawn; the same again is given the same id again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        admission: Option<Uuid>,
        /// The newest format that it knows.
        #[serde(default = "Formation::first_format", skip_serializing_if = "Formation::is_first_format")]
        format: u16,
    },
    /// Lets a node of this name become a learner when it comes (spec §3.2).
    AddMember {
        /// Its node name.
        name: String,
    },
    /// Makes a learner a voter.
    PromoteMember {
        /// Its node name.
        name: String,
    },
    /// Takes a member out of the cluster. Its Raft id stays used up for ever.
    RemoveMember {
        /// Its node name.
        name: String,
    },
    /// Lets the cluster write what only releases that know this format can read; there is no way back.
    RaiseFormat {
        /// The format.
        to: u16,
        /// Raft ids of those who were seen to know it: all members.
        seen: BTreeSet<u64>,
    },
    /// Lets records of writes go that were copied; not itself recorded.
    TrimAudit {
        /// Number of the last record that was.
        through: u64,
    },
    /// What releases with format 2 do not know.
    #[cfg(feature = "next-format")]
    RenameTenant {
        /// Which tenant.
        slug: Slug,
        /// Its new name.
        name: String,
    },
    /// Creates or changes a tenant.
    PutTenant {
        /// Which tenant.
        slug: Slug,
        /// The changes.
        patch: TenantPatch,
        /// Keys to use if the tenant becomes a path issuer and lacks them (spec §13.3).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        new_keys: Vec<NewKey>,
    },
    /// Removes a tenant with its clients, scopes and keys.
    DeleteTenant {
        /// Which tenant.
        slug: Slug,
    },
    /// Creates or changes a client.
    PutClient {
        /// Whose client.
        slug: Slug,
        /// Which client.
        client_id: ClientId,
        /// The changes.
        patch: ClientPatch,
        /// The client's id if it is created.
        new_id: Uuid,
        /// Its secret if it becomes confidential.
        new_secret: NewClientSecret,
    },
    /// Removes a client.
    DeleteClient {
        /// Whose client.
        slug: Slug,
        /// Which client.
        client_id: ClientId,
    },
    /// Gives a confidential client a new secret; the old ones work on for a while.
    RotateClientSecret {
        /// Whose client.
        slug: Slug,
        /// Which client.
        client_id: ClientId,
        /// The new secret.
        secret: NewClientSecret,
        /// Seconds that the old secrets go on working.
        overlap_seconds: u32,
    },
    /// Changes a tenant's scope catalogue.
    PutScopes {
        /// Whose catalogue.
        slug: Slug,
        /// The scopes.
        scopes: Vec<Scope>,
        /// Whether they replace the catalogue or are merged into it.
        mode: ScopesMode,
    },
    /// Adds the global keys that are missing; the first thing a new cluster's leader proposes.
    EnsureGlobalKeys {
        /// One key for each algorithm.
        keys: Vec<NewKey>,
    },
    /// Adds a key to a set: as `next`, or at once as `active`.
    RotateKeys {
        /// Which set.
        set: KeySet,
        /// The new key.
        key: NewKey,
        /// Seconds that the replaced key stays published; 0 removes it at once.
        grace_seconds: u32,
        /// Seconds that the new key is published before it signs.
        prepublish_seconds: u32,
        /// Skips `next`, after a compromise.
        activate_now: bool,
    },
    /// Makes a `next` key sign; the one before it retires.
    ActivateKey {
        /// Which set.
        set: KeySet,
        /// Which key.
        kid: Kid,
    },
    /// Takes keys whose grace is over out of the JWKS.
    RetireKeys {
        /// The keys.
        keys: Vec<KeyRef>,
    },
}

/// A key in a set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRef {
    /// Which set.
    pub set: KeySet,
    /// Which key.
    pub kid: Kid,
}

/// How scopes enter a catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopesMode {
    /// The given scopes are the whole catalogue.
    #[default]
    Replace,
    /// The given scopes are added or changed, the others stay.
    Merge,
}

impl Command {
    /// The action, as audit and log lines name it.
    pub fn action(&self) -> &'static str {
        match self {
            Command::FormCluster { .. } => "cluster.form",
            Command::AdmitNode { .. } => "cluster.admit_node",
            Command::AddMember { .. } => "cluster.member.add",
            Command::PromoteMember { .. } => "cluster.member.promote",
            Command::RemoveMember { .. } => "cluster.member.remove",
            Command::RaiseFormat { .. } => "cluster.format.raise",
            Command::TrimAudit { .. } => "audit.trim",
            #[cfg(feature = "next-format")]
            Command::RenameTenant { .. } => "tenant.rename",
            Command::PutTenant { .. } => "tenant.put",
            Command::DeleteTenant { .. } => "tenant.delete",
            Command::PutClient { .. } => "client.put",
            Command::DeleteClient { .. } => "client.delete",
            Command::RotateClientSecret { .. } => "client.secret.rotate",
            Command::PutScopes { .. } => "scopes.put",
            Command::EnsureGlobalKeys { .. } => "keys.ensure_global",
            Command::RotateKeys { .. } => "keys.rotate",
            Command::ActivateKey { .. } => "keys.activate",
            Command::RetireKeys { .. } => "keys.retire",
        }
    }

    /// The tenant that it is about; none for what is everybody's.
    pub fn tenant(&self) -> Option<&Slug> {
        match self {
            Command::PutTenant { slug, .. }
            | Command::DeleteTenant { slug }
            | Command::PutClient { slug, .. }
            | Command::DeleteClient { slug, .. }
            | Command::RotateClientSecret { slug, .. }
            | Command::PutScopes { slug, .. } => Some(slug),
            #[cfg(feature = "next-format")]
            Command::RenameTenant { slug, .. } => Some(slug),
            Command::RotateKeys { set, .. } | Command::ActivateKey { set, .. } => match set {
                KeySet::Tenant(slug) => Some(slug),
                KeySet::Global => None,
            },
            Command::FormCluster { .. }
            | Command::AdmitNode { .. }
            | Command::AddMember { .. }
            | Command::PromoteMember { .. }
            | Command::RemoveMember { .. }
            | Command::RaiseFormat { .. }
            | Command::TrimAudit { .. }
            | Command::EnsureGlobalKeys { .. }
            | Command::RetireKeys { .. } => None,
        }
    }

    /// The client, key or node that it is about, by its name.
    pub fn object(&self) -> Option<&str> {
        match self {
            Command::PutClient { client_id, .. }
            | Command::DeleteClient { client_id, .. }
            | Command::RotateClientSecret { client_id, .. } => Some(client_id.as_str()),
            Command::AdmitNode { name, .. }
            | Command::AddMember { name }
            | Command::PromoteMember { name }
            | Command::RemoveMember { name } => Some(name),
            Command::RotateKeys { key, .. } => Some(key.kid.as_str()),
            Command::ActivateKey { kid, .. } => Some(kid.as_str()),
            #[cfg(feature = "next-format")]
            Command::RenameTenant { .. } => None,
            Command::FormCluster { .. }
            | Command::RaiseFormat { .. }
            | Command::TrimAudit { .. }
            | Command::PutTenant { .. }
            | Command::DeleteTenant { .. }
            | Command::PutScopes { .. }
            | Command::EnsureGlobalKeys { .. }
            | Command::RetireKeys { .. } => None,
        }
    }
}
