//! The content of a snapshot: the whole state as plain documents. Golden files pin its form.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::audit::{AuditImage, Broken, Outbox};
use crate::documents::{Client, ScopeCatalogue, SigningKey, Tenant};
use crate::format::{FORMAT, is_known};
use crate::graveyard::Graveyard;
use crate::keyring::KeyRing;
use crate::ledger::{self, Ledger};
use crate::state::{Formation, Global, State, TenantEntry};
use crate::view::Issuer;

/// Everything that the state holds, in a canonical order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The format that the cluster writes; see [`crate::format`].
    pub v: u16,
    /// The cluster.
    pub formation: Option<Arc<Formation>>,
    /// Global keys, by kid.
    pub global_keys: Vec<Arc<SigningKey>>,
    /// Tenants, by slug.
    pub tenants: Vec<TenantImage>,
    /// Last revisions of documents that are gone, by name.
    pub tombstones: BTreeMap<String, u64>,
    /// The last revision that any other document which is gone can have had.
    pub revision_floor: u64,
    /// What requests with an idempotency key did, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub idempotency: Vec<Arc<ledger::Entry>>,
    /// The account of what was written.
    #[serde(default, skip_serializing_if = "AuditImage::is_empty")]
    pub audit: AuditImage,
}

/// A tenant with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantImage {
    /// The tenant.
    pub tenant: Arc<Tenant>,
    /// Its clients, by client id.
    pub clients: Vec<Arc<Client>>,
    /// Its scope catalogue.
    pub scopes: Arc<ScopeCatalogue>,
    /// Its keys, by kid.
    pub keys: Vec<Arc<SigningKey>>,
}

/// An image cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It was written by a newer release.
    #[error(
        "snapshot image has format version {found}, this release knows versions up to {FORMAT}; upgrade this node"
    )]
    UnknownVersion {
        /// Version of the image.
        found: u16,
    },
    /// It is not an image.
    #[error("snapshot image cannot be decoded: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The same document stands in it twice.
    #[error("snapshot image holds {0} twice")]
    Duplicate(String),
    /// The records of writes in it are not what was written.
    #[error("snapshot image has a broken chain of audit records: {0}")]
    Audit(#[from] Broken),
}

impl Image {
    /// The image of the state that a view shows.
    pub fn of_view(view: &crate::View) -> Self {
        Self::of(view.state())
    }

    pub(crate) fn of(state: &State) -> Self {
        let State { formation, global, tenants, graveyard, ledger, audit } = state;
        Self {
            v: state.format(),
            formation: formation.clone(),
            global_keys: global.keys().keys().values().cloned().collect(),
            tenants: tenants
                .values()
                .map(|entry| {
                    // What is rendered follows from the rest.
                    let TenantEntry { tenant, clients, scopes, keys, .. } = &**entry;
                    TenantImage {
                        tenant: Arc::clone(tenant),
                        clients: clients.values().cloned().collect(),
                        scopes: Arc::clone(scopes),
                        keys: keys.keys().values().cloned().collect(),
                    }
                })
                .collect(),
            tombstones: graveyard.tombstones().iter().map(|(name, last)| (name.clone(), *last)).collect(),
            revision_floor: graveyard.floor(),
            idempotency: ledger.entries().cloned().collect(),
            audit: audit.image(),
        }
    }

    /// The state, with what readers get rendered for that issuer.
    pub(crate) fn into_state(self, issuer: &Issuer) -> Result<State, ImageError> {
        let Image { v, formation, global_keys, tenants, tombstones, revision_floor, idempotency, audit } =
            self;
        let found = formation.as_deref().map_or(v, |formation| formation.format.max(v));
        if !(is_known(v) && is_known(found)) {
            return Err(ImageError::UnknownVersion { found });
        }
        let mut state = State {
            formation,
            global: Global::new(issuer, ring(global_keys)?),
            tenants: OrdMap::new(),
            graveyard: Graveyard::new(tombstones.into_iter().collect(), revision_floor),
            ledger: Ledger::new(idempotency)
                .ok_or_else(|| ImageError::Duplicate("an idempotency key".to_owned()))?,
            audit: Outbox::new(audit)?,
        };
        for TenantImage { tenant, clients, scopes, keys } in tenants {
            let slug = tenant.slug.clone();
            let mut by_id = OrdMap::new();
            for client in clients {
                let id = client.client_id.clone();
                if by_id.insert(id.clone(), client).is_some() {
                    return Err(ImageError::Duplicate(format!("client {id} of tenant {slug}")));
                }
            }
            let entry = TenantEntry::new(issuer, tenant, by_id, scopes, ring(keys)?);
            if state.tenants.insert(slug.clone(), Arc::new(entry)).is_some() {
                return Err(ImageError::Duplicate(format!("tenant {slug}")));
            }
        }
        Ok(state)
    }

    /// The image as bytes; the same state always gives the same bytes.
    ///
    /// # Errors
    /// Never in practice: the image holds nothing that JSON cannot write.
    pub fn encode(&self) -> Result<Vec<u8>, ImageError> {
        Ok(serde_json::to_vec(self)?)
    }

    /// Reads what [`Image::encode`] wrote.
    ///
    /// # Errors
    /// [`ImageError`] if the bytes are no image of a version that this release knows.
    pub fn decode(bytes: &[u8]) -> Result<Self, ImageError> {
        #[derive(Deserialize)]
        struct Version {
            v: u16,
        }
        let Version { v } = serde_json::from_slice(bytes)?;
        if !is_known(v) {
            return Err(ImageError::UnknownVersion { found: v });
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// SHA-256 of the encoded image, hex: two nodes at the same applied index have the same (ha.md, I4).
    ///
    /// # Errors
    /// See [`Image::encode`].
    pub fn hash(&self) -> Result<String, ImageError> {
        let digest = Sha256::digest(self.encode()?);
        Ok(digest.iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}")))
    }
}

fn ring(keys: Vec<Arc<SigningKey>>) -> Result<KeyRing, ImageError> {
    let mut by_kid = OrdMap::new();
    for key in keys {
        let kid = key.kid.clone();
        if by_kid.insert(kid.clone(), key).is_some() {
            return Err(ImageError::Duplicate(format!("key {kid}")));
        }
    }
    Ok(KeyRing::from_keys(by_kid))
}
