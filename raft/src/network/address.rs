//! Where the peers are: node names to `host:port`.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

/// Addresses of the nodes by name (`CLUSTER_NODES`). Addresses come from configuration, not from the
/// replicated membership, so that a node may move without a vote. Clones share one book.
#[derive(Debug, Clone, Default)]
pub struct AddressBook(Arc<ArcSwap<BTreeMap<String, String>>>);

impl AddressBook {
    /// A book with these entries.
    pub fn new(entries: BTreeMap<String, String>) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(entries)))
    }

    /// Replaces all entries. A connection to an address that changed is replaced before its next request.
    pub fn replace(&self, entries: BTreeMap<String, String>) {
        self.0.store(Arc::new(entries));
    }

    /// `host:port` of the node.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.load().get(name).cloned()
    }

    /// All entries as they are now.
    pub fn entries(&self) -> Arc<BTreeMap<String, String>> {
        self.0.load_full()
    }
}
