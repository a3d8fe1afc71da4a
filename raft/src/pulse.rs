//! When Raft's core was last seen at work.
//!
//! openraft publishes its metrics at every turn of its core, on a leader at least once a heartbeat. A core that
//! waits for a hung disk publishes nothing, and neither did a process that was stopped: the figures then stay as fresh as
//! they were. Whoever reads an age out of them must add the age of the figures themselves. Must never be
//! written to from anything but the core's own signs of life.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::types::Metrics;

/// How often to look. The core turns several times for each write; waking with each turn would cost more than
/// the figure is worth.
const LOOK: Duration = Duration::from_millis(10);

/// A look that comes this late says nothing about when the core turned.
const LATE: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub(crate) struct Pulse {
    started: Instant,
    /// Milliseconds after `started`.
    last: AtomicU64,
}

impl Pulse {
    /// A pulse that beats now.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), last: AtomicU64::new(0) }
    }

    fn beat(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// How long ago the last beat was.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Relaxed)))
    }
}

/// Lets the pulse beat with the metrics until `stop` or until the core is gone.
pub(crate) async fn follow(
    mut metrics: watch::Receiver<Metrics>,
    pulse: Arc<Pulse>,
    stop: CancellationToken,
) {
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            due = looks.tick() => match metrics.has_changed() {
                Ok(true) => {
                    metrics.mark_unchanged();
                    // After a stop of the process the change may be from before it.
                    if due.elapsed() < LATE {
                        pulse.beat();
                    }
                }
                Ok(false) => {}
                Err(_) => return,
            },
        }
    }
}
