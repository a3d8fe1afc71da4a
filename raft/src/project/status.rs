//! What others may know of the projection: for `/readyz` and metrics. Read without a lock.

use std::sync::Arc;

use arc_swap::ArcSwap;

use super::engine::Summary;

/// How the projection is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProjectionStatus {
    /// The index whose state the files show; `None` until files were first written on this disk. Before the
    /// projector is enabled: what the last process left.
    pub projected_index: Option<u64>,
    /// Why the files cannot follow the state (`fs_degraded` of spec §2.1); `None` while all is well. Names
    /// paths and system errors, never content.
    pub fs_degraded: Option<String>,
    /// Files and directories put right since the start, because someone else changed, damaged or removed them.
    pub repairs: u64,
    /// Things moved or copied to `quarantine/` since the start.
    pub quarantined: u64,
    /// Files written since the start.
    pub written: u64,
    /// Files removed since the start, because their documents are gone.
    pub removed: u64,
    /// Comparisons of all files that came to their end since the start.
    pub scans: u64,
}

const DEGRADED: &str = "hellojohn_fs_degraded";
const PROJECTED_INDEX: &str = "hellojohn_fs_projected_index";
const REPAIRS: &str = "hellojohn_fs_repairs_total";

/// Where the status stands. One task writes it, anyone reads it.
#[derive(Debug)]
pub(super) struct Board {
    status: ArcSwap<ProjectionStatus>,
}

impl Board {
    /// Before anything was done; all metrics exist from now on.
    pub(super) fn new(projected_index: Option<u64>) -> Self {
        metrics::counter!(REPAIRS).increment(0);
        let board = Self { status: ArcSwap::default() };
        board.set(ProjectionStatus { projected_index, ..ProjectionStatus::default() });
        board
    }

    pub(super) fn read(&self) -> Arc<ProjectionStatus> {
        self.status.load_full()
    }

    /// Adds what a run did; tells whether the files follow the state now.
    pub(super) fn note(&self, summary: &Summary) -> bool {
        let report = &summary.report;
        let mut status = ProjectionStatus::clone(&self.status.load());
        status.repairs += report.repairs;
        status.quarantined += report.quarantined;
        status.written += report.written;
        status.removed += report.removed;
        status.scans += u64::from(summary.scanned);
        if let Some(index) = summary.projected_index {
            status.projected_index = Some(index);
        }
        status.fs_degraded = report.trouble().or_else(|| summary.blocked.clone());
        metrics::counter!(REPAIRS).increment(report.repairs);
        self.set(status);
        report.errors == 0
    }

    /// Says why the files cannot follow, from outside a run.
    pub(super) fn degrade(&self, why: &str) {
        let status = ProjectionStatus::clone(&self.status.load());
        self.set(ProjectionStatus { fs_degraded: Some(why.to_owned()), ..status });
    }

    fn set(&self, status: ProjectionStatus) {
        let before = self.status.load_full();
        match (&before.fs_degraded, &status.fs_degraded) {
            (old, Some(why)) if old.as_ref() != Some(why) => {
                tracing::error!(
                    why,
                    "files cannot follow the state (fs_degraded); the node goes on and retries"
                );
            }
            (Some(_), None) => tracing::info!("files follow the state again"),
            (Some(_) | None, _) => {}
        }
        metrics::gauge!(DEGRADED).set(if status.fs_degraded.is_some() { 1.0 } else { 0.0 });
        if let Some(index) = status.projected_index {
            metrics::gauge!(PROJECTED_INDEX).set(index as f64);
        }
        self.status.store(Arc::new(status));
    }
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
