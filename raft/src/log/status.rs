//! What the rest of the process may know about the log while it runs: faults, sizes, a hung flush.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::error::LogError;

/// Bytes on disk that are normal whatever the payload: sled's segments, its snapshot and the watermark.
const SPACE_ALLOWANCE: u64 = 64 * 1024 * 1024;
/// sled rewrites pages as it goes; about this many times the payload is normal (measured).
const SPACE_FACTOR: u64 = 3;

/// Figures of the log at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStats {
    /// Bytes of all entries, as encoded, without the database's overhead.
    pub payload_bytes: u64,
    /// Bytes of all files of the log on disk, as of the last look (at most about a second old under load).
    pub disk_bytes: u64,
    /// Number of entries.
    pub entries: u64,
    /// Whether the disk use is beyond three times the payload plus 64 MiB.
    pub space_alarm: bool,
    /// How long the write that is running now has been running; absent when the writer is idle. A watchdog
    /// ends the process when this grows beyond its patience.
    pub flush_running_for: Option<Duration>,
}

/// A cheap, clonable view of a running log for watchdogs, `/readyz` and metrics. It keeps no file open.
#[derive(Debug, Clone)]
pub struct LogHandle {
    status: Arc<Status>,
}

impl LogHandle {
    pub(super) fn new(status: Arc<Status>) -> Self {
        Self { status }
    }

    /// The figures of now.
    pub fn stats(&self) -> LogStats {
        self.status.stats()
    }

    /// Becomes `Some` once, when the log met a fault. From then on every call on the store answers with
    /// that fault, and the process must end with a failing exit code (spec §3.4).
    pub fn fatal(&self) -> watch::Receiver<Option<LogError>> {
        self.status.fatal.subscribe()
    }
}

/// Shared between the writer thread, the store and the handles.
#[derive(Debug)]
pub(super) struct Status {
    fatal: watch::Sender<Option<LogError>>,
    started: Instant,
    /// Microseconds after `started`, plus one; zero while no write is running.
    round_started: AtomicU64,
    disk_bytes: AtomicU64,
    payload_bytes: AtomicU64,
    entries: AtomicU64,
}

impl Status {
    pub(super) fn new() -> Self {
        Self {
            fatal: watch::Sender::new(None),
            started: Instant::now(),
            round_started: AtomicU64::new(0),
            disk_bytes: AtomicU64::new(0),
            payload_bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
        }
    }

    /// The fault, if there was one.
    pub(super) fn check(&self) -> Result<(), LogError> {
        self.fatal.borrow().as_ref().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Records a fault; the first one stays.
    pub(super) fn fail(&self, error: &LogError) {
        let first = self.fatal.send_if_modified(|slot| {
            let first = slot.is_none();
            if first {
                *slot = Some(error.clone());
            }
            first
        });
        if first {
            tracing::error!(%error, "the raft log failed; this node must stop");
        }
    }

    pub(super) fn round_begins(&self) {
        let micros = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
        self.round_started.store(micros + 1, Ordering::Relaxed);
    }

    pub(super) fn round_ends(&self) {
        self.round_started.store(0, Ordering::Relaxed);
    }

    pub(super) fn set_contents(&self, entries: u64, payload_bytes: u64) {
        self.entries.store(entries, Ordering::Relaxed);
        self.payload_bytes.store(payload_bytes, Ordering::Relaxed);
        set_gauge("hellojohn_raft_log_bytes", payload_bytes);
    }

    pub(super) fn set_disk_bytes(&self, bytes: u64) {
        self.disk_bytes.store(bytes, Ordering::Relaxed);
        set_gauge("hellojohn_raft_log_disk_bytes", bytes);
        let alarm = space_alarm(bytes, self.payload_bytes.load(Ordering::Relaxed));
        set_gauge("hellojohn_raft_log_space_alarm", u64::from(alarm));
    }

    fn stats(&self) -> LogStats {
        let disk_bytes = self.disk_bytes.load(Ordering::Relaxed);
        let payload_bytes = self.payload_bytes.load(Ordering::Relaxed);
        let running = self.round_started.load(Ordering::Relaxed).checked_sub(1);
        LogStats {
            payload_bytes,
            disk_bytes,
            entries: self.entries.load(Ordering::Relaxed),
            space_alarm: space_alarm(disk_bytes, payload_bytes),
            flush_running_for: running
                .map(|start| self.started.elapsed().saturating_sub(Duration::from_micros(start))),
        }
    }
}

fn space_alarm(disk: u64, payload: u64) -> bool {
    disk > payload.saturating_mul(SPACE_FACTOR).saturating_add(SPACE_ALLOWANCE)
}

fn set_gauge(name: &'static str, value: u64) {
    // Gauges are floating point by nature; above 2^32 bytes the unit is MiB-exact, which is enough.
    let value = u32::try_from(value)
        .map_or_else(|_| f64::from(u32::try_from(value >> 20).unwrap_or(u32::MAX)) * 1_048_576.0, f64::from);
    metrics::gauge!(name).set(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_stays() {
        let status = Status::new();
        assert!(status.check().is_ok());
        status.fail(&LogError::Hole { index: 1 });
        status.fail(&LogError::Hole { index: 2 });
        assert!(matches!(status.check(), Err(LogError::Hole { index: 1 })));
    }

    #[test]
    fn the_alarm_rings_beyond_three_payloads_and_the_allowance() {
        assert!(!space_alarm(64 << 20, 0));
        assert!(space_alarm((64 << 20) + 1, 0));
        assert!(!space_alarm((64 << 20) + 300, 100));
        assert!(space_alarm((64 << 20) + 301, 100));
    }

    #[test]
    fn a_running_write_shows_its_age_and_an_idle_writer_none() {
        let status = Arc::new(Status::new());
        let handle = LogHandle::new(Arc::clone(&status));
        assert_eq!(handle.stats().flush_running_for, None);
        status.round_begins();
        assert!(handle.stats().flush_running_for.is_some());
        status.round_ends();
        assert_eq!(handle.stats().flush_running_for, None);
    }
}
