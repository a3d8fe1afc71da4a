//! Up to which entry a snapshot on this disk makes up for the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared by the snapshots, which raise it when one is on the disk, and the log, which gives up no entry beyond it.
#[derive(Debug, Clone, Default)]
pub struct Covered(Arc<AtomicU64>);

impl Covered {
    /// For a log without snapshots beside it: whoever purges knows what it does.
    pub fn everything() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }

    /// A snapshot that ends with this entry is on the disk.
    pub fn raise(&self, index: u64) {
        self.0.fetch_max(index.saturating_add(1), Ordering::Release);
    }

    /// Whether the entry at `index` is in a snapshot on the disk.
    pub fn has(&self, index: u64) -> bool {
        self.0.load(Ordering::Acquire) > index
    }
}
