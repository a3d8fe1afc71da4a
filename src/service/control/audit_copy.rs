//! Copies the records of control-plane writes from the replicated outbox to the global database (spec §10, S113).
//!
//! Records go only once their rows are committed, and a row that is there already is left as it is: so a job that is
//! interrupted, or runs at two nodes at once, copies each record once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hellojohn_control::audit::Record;
use hellojohn_control::limits;
use tokio::time::Instant;

use super::errors;
use crate::cluster::ControlPlane;
use crate::service::Result;
use crate::service::user_store::{UserStores, refused};

/// Records that one statement copies.
const PORTION: usize = 500;
/// Records that wait until they are let go although that was done a moment ago.
const HALF_FULL: usize = limits::AUDIT_RECORDS / 2;
/// Shortest time between two commands that let records go: each is an entry of the log.
const TRIM_EVERY: Duration = Duration::from_secs(4);

/// The copying, and how far it is. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AuditCopy {
    plane: ControlPlane,
    stores: UserStores,
    progress: Arc<Progress>,
}

#[derive(Debug, Default)]
struct Progress {
    /// Number of the last record that this process saw in the database.
    copied: AtomicU64,
    trimmed_at: Mutex<Option<Instant>>,
}

impl AuditCopy {
    /// The copying from `plane` to the global database of `stores`.
    pub fn new(plane: ControlPlane, stores: UserStores) -> Self {
        Self { plane, stores, progress: Arc::default() }
    }

    /// Copies what waits, and lets go what was copied. The leader's duty; does nothing elsewhere, and nothing without a
    /// global database. Idempotent.
    ///
    /// # Errors
    /// `storage_unavailable`, and the cluster's refusals; the next run goes on.
    pub async fn run(&self) -> Result<()> {
        let Some(global) = self.stores.pools().global() else { return Ok(()) };
        if self.plane.may_write().is_err() {
            return Ok(());
        }
        loop {
            let portion = self.portion();
            let Some(last) = portion.last() else { break };
            global.insert_control_audit(&portion).await.map_err(|error| refused(&error))?;
            self.progress.copied.fetch_max(last.seq, Ordering::Relaxed);
        }
        self.trim().await
    }

    fn portion(&self) -> Vec<Arc<Record>> {
        let copied = self.progress.copied.load(Ordering::Relaxed);
        self.plane.view().audit().after(copied).take(PORTION).cloned().collect()
    }

    async fn trim(&self) -> Result<()> {
        let copied = self.progress.copied.load(Ordering::Relaxed);
        let view = self.plane.view();
        let outbox = view.audit();
        if outbox.first().is_none_or(|first| first > copied) {
            return Ok(());
        }
        let now = Instant::now();
        let early = |last: Instant| now.duration_since(last) < TRIM_EVERY && outbox.len() < HALF_FULL;
        if self.lock().is_some_and(early) {
            return Ok(());
        }
        self.plane.trim_audit(copied).await.map_err(|error| errors::refused(error, TRIM_EVERY))?;
        *self.lock() = Some(now);
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.progress.trimmed_at.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
