//! A short memory of failure: a dead database is asked by one caller at a time, not by every request.
//!
//! Owns when a database may be dialled. Takes the time as an argument and waits for nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a failure is remembered.
const OPEN_FOR: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Set by a failure, cleared by a success.
    failed_until: Option<Instant>,
    /// One caller is finding out whether the database is back.
    probing: bool,
}

/// What a caller may do.
#[derive(Debug)]
pub(super) enum Admission<'a> {
    /// The database worked the last time.
    Go,
    /// It failed; this caller finds out for all whether it is back.
    Probe(Probe<'a>),
    /// It failed a moment ago, or another caller is finding out.
    Refused,
}

/// The right to probe; ends when it is dropped, also when the caller is cancelled.
#[derive(Debug)]
pub(super) struct Probe<'a>(&'a Breaker);

impl Breaker {
    pub(super) fn admit(&self, now: Instant) -> Admission<'_> {
        let mut state = self.lock();
        match state.failed_until {
            None => Admission::Go,
            Some(until) if now < until || state.probing => Admission::Refused,
            Some(_) => {
                state.probing = true;
                Admission::Probe(Probe(self))
            }
        }
    }

    pub(super) fn succeeded(&self) {
        self.lock().failed_until = None;
    }

    pub(super) fn failed(&self, now: Instant) {
        self.lock().failed_until = Some(now + OPEN_FOR);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        self.0.lock().probing = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_one_caller_a_second_may_try() {
        let breaker = Breaker::default();
        let start = Instant::now();
        assert!(matches!(breaker.admit(start), Admission::Go));
        breaker.failed(start);
        assert!(matches!(breaker.admit(start + Duration::from_millis(999)), Admission::Refused));

        let later = start + Duration::from_secs(1);
        let probe = breaker.admit(later);
        assert!(matches!(probe, Admission::Probe(_)));
        assert!(matches!(breaker.admit(later), Admission::Refused), "only one probe at a time");
        breaker.failed(later);
        drop(probe);
        assert!(matches!(breaker.admit(later), Admission::Refused), "a failed probe is a new failure");
    }

    #[test]
    fn a_success_ends_it_and_a_cancelled_probe_does_not_block_the_next() {
        let breaker = Breaker::default();
        let start = Instant::now();
        breaker.failed(start);
        let later = start + Duration::from_secs(2);
        drop(breaker.admit(later));
        assert!(matches!(breaker.admit(later), Admission::Probe(_)));
        breaker.succeeded();
        assert!(matches!(breaker.admit(later), Admission::Go));
    }
}
