//! What the worker thread and the task that feeds it share: the wish to stop, and a sign of life.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shared by the two ends.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stop: AtomicBool,
    steps: AtomicU64,
}

impl Progress {
    /// Notes one step; tells whether to go on.
    pub(super) fn step(&self) -> bool {
        self.steps.fetch_add(1, Ordering::Relaxed);
        !self.stop.load(Ordering::Relaxed)
    }

    /// Steps so far.
    pub(super) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Asks the pass to end after the file that it is at.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
