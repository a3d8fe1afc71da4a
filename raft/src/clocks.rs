//! How far the peers' clocks are from this node's, as a leader finds out with each sign of life.
//!
//! The time of an entry is that of the leader that proposed it. So where clocks differ, a change of the leader makes that
//! time jump, and whatever was to last until a moment (the grace of a key that retires, an overlap of secrets) lasts so
//! much longer or shorter. Raft itself goes by monotonic clocks and is unmoved. Nothing here corrects a clock: that is
//! the business of whoever runs the hosts, who must be told. See decision 0018.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hellojohn_control::Timestamp;
use tokio::time::Instant;

/// Clocks that are kept in step by the network differ by much less.
const TOLERANCE: Duration = Duration::from_secs(1);

/// After this long without an answer nothing is said about a peer's clock.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// How often the log tells of a clock that stays wrong.
const REMIND: Duration = Duration::from_secs(600);

/// A clock that was read over the network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    /// This node's time when it asked.
    pub(crate) asked: Timestamp,
    /// What the peer's clock showed.
    pub(crate) shown: Timestamp,
    /// How long the answer took. The clock was read at some moment of it.
    pub(crate) took: Duration,
}

impl Reading {
    /// By how many milliseconds the peer's clock is ahead, give or take half of the time that the answer took.
    fn ahead_ms(&self) -> i64 {
        self.shown.millis() - self.asked.plus(self.took / 2).millis()
    }

    /// Whether the clocks differ by more than they may, however the answer's time was spent.
    fn is_off(&self) -> bool {
        let bound = i64::try_from((TOLERANCE + self.took / 2).as_millis()).unwrap_or(i64::MAX);
        self.ahead_ms().abs() > bound
    }
}

#[derive(Debug, Clone, Copy)]
struct Known {
    ahead_ms: i64,
    at: Instant,
    /// When the log last told that the clock is off; none while it is not.
    told: Option<Instant>,
}

/// The peers' clocks.
#[derive(Debug, Default)]
pub(crate) struct Clocks(Mutex<HashMap<String, Known>>);

impl Clocks {
    /// Notes what a peer's clock showed, and says so in the log when it is off or right again.
    pub(crate) fn note(&self, peer: &str, reading: &Reading) {
        let now = Instant::now();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = tell(peer, reading, known.get(peer).and_then(|known| known.told), now);
        known.insert(peer.to_owned(), Known { ahead_ms: reading.ahead_ms(), at: now, told });
    }

    /// By how many milliseconds the peer's clock was ahead a moment ago; none where that is not known.
    pub(crate) fn ahead_ms(&self, peer: &str) -> Option<i64> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(peer).filter(|known| known.at.elapsed() < FORGOTTEN).map(|known| known.ahead_ms)
    }
}

/// Tells the log where there is something to tell; gives when it was last told that the clock is off.
fn tell(peer: &str, reading: &Reading, before: Option<Instant>, now: Instant) -> Option<Instant> {
    let ahead_ms = reading.ahead_ms();
    match (reading.is_off(), before) {
        (true, Some(told)) if now - told < REMIND => Some(told),
        (true, _) => {
            tracing::warn!(
                peer,
                ahead_ms,
                "the clocks of this node and of a peer differ; times of keys and secrets jump when the leader changes"
            );
            Some(now)
        }
        (false, Some(_)) => {
            tracing::info!(peer, ahead_ms, "the clocks of this node and of a peer agree again");
            None
        }
        (false, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn reading(ahead_ms: i64, took: Duration) -> Reading {
        let asked = Timestamp::from_secs(1_790_000_000);
        Reading { asked, shown: Timestamp::from_millis(asked.millis() + ahead_ms), took }
    }

    #[test]
    fn clocks_two_hours_apart_are_off_either_way_and_those_that_nearly_agree_are_not() {
        for hours in [2, -2] {
            let ahead = hours * 3_600_000;
            assert!(reading(ahead, MS).is_off());
            let clocks = Clocks::default();
            clocks.note("n2", &reading(ahead, Duration::ZERO));
            assert_eq!(clocks.ahead_ms("n2"), Some(ahead));
        }
        assert!(!reading(300, MS).is_off());
        assert!(!reading(-300, MS).is_off());
        assert_eq!(Clocks::default().ahead_ms("n2"), None);
    }

    /// A busy machine answers late; that must not look like a wrong clock.
    #[test]
    fn the_time_that_an_answer_took_is_never_taken_for_a_difference() {
        for took in [0, 10, 500, 5_000] {
            for read_after in [0, took / 2, took] {
                let reading = reading(read_after, MS * u32::try_from(took).unwrap());
                assert!(!reading.is_off(), "{reading:?}");
            }
        }
    }

    #[test]
    fn a_clock_that_stays_wrong_is_told_of_now_and_then_and_one_that_was_put_right_at_once() {
        let (began, wrong) = (Instant::now(), reading(7_200_000, MS));
        let told = tell("n2", &wrong, None, began);
        assert_eq!(told, Some(began));
        assert_eq!(tell("n2", &wrong, told, began + REMIND / 2), told);
        assert_eq!(tell("n2", &wrong, told, began + REMIND), Some(began + REMIND));
        assert_eq!(tell("n2", &reading(0, MS), told, began + MS), None);
    }
}
