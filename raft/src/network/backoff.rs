//! How long to leave a dead peer alone.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

/// Waits that double from `first` to `max`. They are kept short: while a leader leaves a peer alone it
/// sends it no heartbeats, and a peer that came back meanwhile would start an election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// The wait after the first failure.
    pub first: Duration,
    /// No wait is longer.
    pub max: Duration,
}

impl Default for BackoffPolicy {
    fn default() -> Self {
        Self { first: Duration::from_millis(20), max: Duration::from_millis(200) }
    }
}

impl BackoffPolicy {
    /// The wait after `failures` failures in a row (1 or more), between half and all of the doubled value.
    /// `seed` takes the place of randomness: nodes seeded with different names do not knock in step.
    pub fn delay(&self, failures: u32, seed: &str) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.max);
        let mut hasher = DefaultHasher::new();
        (seed, failures).hash(&mut hasher);
        let share = u32::try_from(hasher.finish() % 512).unwrap_or(0);
        doubled.saturating_mul(512 + share) / 1024
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_bound_and_stay_there() {
        let policy = BackoffPolicy { first: Duration::from_millis(20), max: Duration::from_millis(200) };
        for failures in 1..100 {
            let nominal = policy.first.saturating_mul(1 << (failures - 1).min(10)).min(policy.max);
            let delay = policy.delay(failures, "n1>n2");
            assert!(delay >= nominal / 2 && delay <= nominal, "{failures}: {delay:?} of {nominal:?}");
        }
    }

    #[test]
    fn nodes_do_not_knock_in_step() {
        let policy = BackoffPolicy::default();
        let delays: std::collections::BTreeSet<_> =
            ["n1>n3", "n2>n3", "n4>n3"].map(|seed| policy.delay(6, seed)).into_iter().collect();
        assert!(delays.len() > 1, "{delays:?}");
    }
}
