//! When a snapshot is taken, after which the log is purged: every so many entries, or when the log has grown by bytes
//! (`RAFT_SNAPSHOT_EVERY`, `RAFT_MAX_LOG_MB`; spec §3.5).
//!
//! The members take turns: with three of them and 9000 entries, one takes a snapshot after the entries 9000, 18000 and so
//! on, another after 6000, 15000, the last after 3000, 12000. To write a large file keeps a disk busy, and what the log of
//! one node waits for is no matter while a quorum of others has free disks.

use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::log::LogHandle;
use crate::types::{Metrics, Raft};

/// How often a node looks whether a snapshot is due.
const LOOK: Duration = Duration::from_millis(200);
/// Entries that must have been applied since the last snapshot when the log is too large. Some entries stay behind every
/// snapshot for slow followers; if those alone exceed the limit, another snapshot would free nothing.
const AT_LEAST: u64 = 100;

/// When a snapshot is due.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Entries from one snapshot to the next, at most.
    pub(crate) every: u64,
    /// Bytes that the log may hold.
    pub(crate) log_bytes: u64,
}

/// Takes snapshots when they are due, until `stop`.
pub(crate) async fn keep_log_short(raft: Raft, log: LogHandle, limits: Limits, stop: CancellationToken) {
    while stop.run_until_cancelled(sleep(LOOK)).await.is_some() {
        let log_bytes = log.stats().payload_bytes;
        let metrics = raft.metrics();
        let Some(reason) = due(limits, log_bytes, Position::of(&metrics.borrow())) else { continue };
        // Raft passes it over while one is being made.
        tracing::debug!(reason, log_bytes, "a snapshot is due");
        if let Err(error) = raft.trigger().snapshot().await {
            tracing::warn!(%error, "snapshot could not be asked for");
            return;
        }
    }
}

/// Where a node stands.
#[derive(Debug, Clone, Copy)]
struct Position {
    applied: u64,
    snapshot: u64,
    /// Its place among the members, from 0.
    rank: u64,
    members: u64,
}

impl Position {
    fn of(metrics: &Metrics) -> Self {
        let ids = || metrics.membership_config.membership().nodes().map(|(id, _)| *id);
        let count = |ids: usize| u64::try_from(ids).unwrap_or(u64::MAX);
        Self {
            applied: metrics.last_applied.map_or(0, |id| id.index),
            snapshot: metrics.snapshot.map_or(0, |id| id.index),
            rank: count(ids().filter(|id| *id < metrics.id).count()),
            members: count(ids().count()).max(1),
        }
    }
}

/// Why a snapshot is due, if it is.
fn due(limits: Limits, log_bytes: u64, at: Position) -> Option<&'static str> {
    let every = limits.every.max(1);
    // Shifted by its share, so that the turns of the members lie evenly between each other.
    let shift = u128::from(every) * u128::from(at.rank % at.members) / u128::from(at.members);
    let turn = |index: u64| (u128::from(index) + shift) / u128::from(every);
    if turn(at.applied) > turn(at.snapshot) {
        return Some("entries");
    }
    (log_bytes > limits.log_bytes && at.applied >= at.snapshot.saturating_add(AT_LEAST)).then_some("bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { every: 9000, log_bytes: 1000 };

    fn at(rank: u64, snapshot: u64, applied: u64) -> Position {
        Position { applied, snapshot, rank, members: 3 }
    }

    #[test]
    fn members_take_turns() {
        for (rank, turn) in [(0, 9000), (1, 6000), (2, 3000)] {
            assert_eq!(due(LIMITS, 0, at(rank, 0, turn - 1)), None);
            assert_eq!(due(LIMITS, 0, at(rank, 0, turn)), Some("entries"));
            // One that was taken late does not put off the next.
            assert_eq!(due(LIMITS, 0, at(rank, turn + 4000, turn + 8999)), None);
            assert_eq!(due(LIMITS, 0, at(rank, turn + 4000, turn + 9000)), Some("entries"));
        }
    }

    #[test]
    fn a_log_that_is_too_large_is_due_once_something_can_be_purged() {
        assert_eq!(due(LIMITS, 1000, at(0, 100, 500)), None);
        assert_eq!(due(LIMITS, 1001, at(0, 100, 199)), None);
        assert_eq!(due(LIMITS, 1001, at(0, 100, 200)), Some("bytes"));
    }

    proptest! {
        #[test]
        fn never_more_entries_than_allowed_are_without_a_snapshot(
            every in 0_u64..100_000, members in 1_u64..9, rank in 0_u64..9, snapshot in 0_u64..u64::MAX / 2,
            ahead in 0_u64..200_000,
        ) {
            let limits = Limits { every, log_bytes: u64::MAX };
            let at = Position { applied: snapshot + ahead, snapshot, rank, members };
            let due = due(limits, 0, at).is_some();
            prop_assert!(due || ahead < every.max(1));
            prop_assert!(ahead > 0 || !due);
        }
    }
}
