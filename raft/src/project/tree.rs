//! Which files a view has: the layout of spec §2.1 below the root. Names come from typed identifiers only,
//! whose grammar keeps them from being `.`, `..` or hidden.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hellojohn_control::documents::{Client, KeySet, ScopeCatalogue, SigningKey, Tenant};
use hellojohn_control::{KeyRing, Slug, TenantEntry, View};

/// The directory of the tenants.
pub(super) const TENANTS: &str = "tenants";
/// The directory of the signing keys.
pub(super) const KEYS: &str = "keys";
const CLIENTS: &str = "clients";
const TENANT_FILE: &str = "tenant.yaml";
const SCOPES_FILE: &str = "scopes.yaml";

/// A document that has a file.
#[derive(Debug, Clone)]
pub(super) enum Document {
    /// `tenants/{slug}/tenant.yaml`
    Tenant(Arc<Tenant>),
    /// `tenants/{slug}/scopes.yaml`
    Scopes(Slug, Arc<ScopeCatalogue>),
    /// `tenants/{slug}/clients/{client_id}.yaml`
    Client(Slug, Arc<Client>),
    /// `keys/{slug}/{kid}.yaml` or `keys/_global/{kid}.yaml`
    Key(KeySet, Arc<SigningKey>),
}

impl Document {
    /// Its directory, below the root.
    pub(super) fn directory(&self) -> PathBuf {
        match self {
            Document::Tenant(tenant) => tenant_directory(&tenant.slug),
            Document::Scopes(slug, _) => tenant_directory(slug),
            Document::Client(slug, _) => tenant_directory(slug).join(CLIENTS),
            Document::Key(set, _) => Path::new(KEYS).join(set.as_str()),
        }
    }

    /// Its name in the directory.
    pub(super) fn file_name(&self) -> OsString {
        match self {
            Document::Tenant(_) => TENANT_FILE.into(),
            Document::Scopes(..) => SCOPES_FILE.into(),
            Document::Client(_, client) => format!("{}.yaml", client.client_id).into(),
            Document::Key(_, key) => format!("{}.yaml", key.kid).into(),
        }
    }

    /// Its path below the root.
    pub(super) fn path(&self) -> PathBuf {
        self.directory().join(self.file_name())
    }
}

fn tenant_directory(slug: &Slug) -> PathBuf {
    Path::new(TENANTS).join(slug.as_str())
}

/// A directory that a view has.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// `tenants/`
    Tenants,
    /// `tenants/{slug}/`
    Tenant(Arc<TenantEntry>),
    /// `tenants/{slug}/clients/`
    Clients(Arc<TenantEntry>),
    /// `keys/`
    Keys,
    /// `keys/{slug}/` or `keys/_global/`
    KeySet(KeySet, KeyRing),
}

/// What a name in a directory should stand for.
#[derive(Debug, Clone)]
pub(super) enum Node {
    /// The file of a document.
    File(Document),
    /// A directory. There are no empty ones, but for the two at the top.
    Directory(Place),
}

impl Place {
    /// What the directory should hold.
    pub(super) fn children(&self, view: &View) -> BTreeMap<OsString, Node> {
        match self {
            Place::Tenants => view
                .tenants()
                .iter()
                .map(|(slug, entry)| {
                    (slug.as_str().into(), Node::Directory(Place::Tenant(Arc::clone(entry))))
                })
                .collect(),
            Place::Tenant(entry) => {
                let slug = &entry.tenant.slug;
                let scopes = Document::Scopes(slug.clone(), Arc::clone(&entry.scopes));
                let documents = [Document::Tenant(Arc::clone(&entry.tenant)), scopes];
                let clients = (!entry.clients.is_empty())
                    .then(|| (CLIENTS.into(), Node::Directory(Place::Clients(Arc::clone(entry)))));
                documents.into_iter().map(Node::named).chain(clients).collect()
            }
            Place::Clients(entry) => entry
                .clients
                .values()
                .map(|client| Document::Client(entry.tenant.slug.clone(), Arc::clone(client)))
                .map(Node::named)
                .collect(),
            Place::Keys => {
                let tenants =
                    view.tenants().iter().map(|(slug, entry)| (KeySet::Tenant(slug.clone()), &entry.keys));
                std::iter::once((KeySet::Global, view.global_keys()))
                    .chain(tenants)
                    .filter(|(_, keys)| !keys.is_empty())
                    .map(|(set, keys)| {
                        (set.as_str().into(), Node::Directory(Place::KeySet(set, keys.clone())))
                    })
                    .collect()
            }
            Place::KeySet(set, keys) => keys
                .keys()
                .values()
                .map(|key| Node::named(Document::Key(set.clone(), Arc::clone(key))))
                .collect(),
        }
    }

    /// Whether it has directories in it, so that an empty one may be what is left of a document that is gone.
    pub(super) fn has_directories(&self) -> bool {
        match self {
            Place::Tenants | Place::Tenant(_) | Place::Keys => true,
            Place::Clients(_) | Place::KeySet(..) => false,
        }
    }

    /// All documents in and below the directory.
    pub(super) fn documents(&self, view: &View) -> Vec<Document> {
        let mut documents = Vec::new();
        for node in self.children(view).into_values() {
            match node {
                Node::File(document) => documents.push(document),
                Node::Directory(place) => documents.extend(place.documents(view)),
            }
        }
        documents
    }
}

impl Node {
    fn named(document: Document) -> (OsString, Node) {
        (document.file_name(), Node::File(document))
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
