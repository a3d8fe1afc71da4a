//! What differs between two views. Documents are shared between views, so equal ones are found by comparing
//! pointers, and nothing is rendered that did not change.

use std::path::PathBuf;
use std::sync::Arc;

use hellojohn_control::documents::KeySet;
use hellojohn_control::{KeyRing, TenantEntry, View, differences};

use super::tree::Document;

/// What must happen to the files of the old view so that they become those of the new one.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Files to write.
    pub(super) write: Vec<Document>,
    /// Files to remove.
    pub(super) remove: Vec<PathBuf>,
}

impl Changes {
    /// The way from `old` to `new`.
    pub(super) fn between(old: &View, new: &View) -> Self {
        let mut changes = Changes::default();
        changes.keys(&KeySet::Global, Some(old.global_keys()), Some(new.global_keys()));
        differences(old.tenants(), new.tenants(), |old, new| changes.tenant(old, new));
        changes
    }

    fn tenant(&mut self, old: Option<&Arc<TenantEntry>>, new: Option<&Arc<TenantEntry>>) {
        let Some(slug) = new.or(old).map(|entry| entry.tenant.slug.clone()) else { return };
        self.document(old.map(|entry| &entry.tenant), new.map(|entry| &entry.tenant), |tenant| {
            Document::Tenant(Arc::clone(tenant))
        });
        self.document(old.map(|entry| &entry.scopes), new.map(|entry| &entry.scopes), |scopes| {
            Document::Scopes(slug.clone(), Arc::clone(scopes))
        });
        let clients =
            |entry: Option<&Arc<TenantEntry>>| entry.map(|entry| entry.clients.clone()).unwrap_or_default();
        differences(&clients(old), &clients(new), |old, new| {
            self.document(old, new, |client| Document::Client(slug.clone(), Arc::clone(client)));
        });
        self.keys(&KeySet::Tenant(slug), old.map(|entry| &entry.keys), new.map(|entry| &entry.keys));
    }

    fn keys(&mut self, set: &KeySet, old: Option<&KeyRing>, new: Option<&KeyRing>) {
        let keys = |ring: Option<&KeyRing>| ring.map(|ring| ring.keys().clone()).unwrap_or_default();
        differences(&keys(old), &keys(new), |old, new| {
            self.document(old, new, |key| Document::Key(set.clone(), Arc::clone(key)));
        });
    }

    fn document<T>(
        &mut self,
        old: Option<&Arc<T>>,
        new: Option<&Arc<T>>,
        make: impl Fn(&Arc<T>) -> Document,
    ) {
        match (old, new) {
            (Some(old), Some(new)) if Arc::ptr_eq(old, new) => {}
            (_, Some(new)) => self.write.push(make(new)),
            (Some(old), None) => self.remove.push(make(old).path()),
            (None, None) => {}
        }
    }
}
