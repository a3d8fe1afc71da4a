//! Members whose log lacks what they acknowledged: somebody put an older copy of their disk in its place.
//!
//! Such a member breaks its word, and openraft's core takes it for impossible: it panics when one that it counts as
//! having an entry says that it has not. So the core is told that the member cannot be reached, and the member, when
//! it calls, why.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a member is turned down. It is looked at again then: its own disk may be back.
const MEMORY: Duration = Duration::from_secs(5);

/// Which members were seen like this a moment ago, by Raft id, with the last entry that they had acknowledged.
#[derive(Debug, Default)]
pub struct Reverted(Mutex<HashMap<u64, (Instant, u64)>>);

impl Reverted {
    /// Notes that the member has acknowledged all up to `acknowledged` and says now that it has not.
    pub fn seen(&self, raft_id: u64, acknowledged: u64) {
        self.seen_at(Instant::now(), raft_id, acknowledged);
    }

    fn seen_at(&self, at: Instant, raft_id: u64, acknowledged: u64) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, (at, _)| at.elapsed() < MEMORY);
        seen.insert(raft_id, (at, acknowledged));
    }

    /// The last entry that the member had acknowledged, if it was seen without it a moment ago.
    pub fn recently(&self, raft_id: u64) -> Option<u64> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.get(&raft_id).filter(|(at, _)| at.elapsed() < MEMORY).map(|(_, acknowledged)| *acknowledged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_turned_down_for_a_while() {
        let reverted = Reverted::default();
        assert_eq!(reverted.recently(3), None);
        reverted.seen(3, 17);
        assert_eq!((reverted.recently(3), reverted.recently(2)), (Some(17), None));
        reverted.seen_at(Instant::now().checked_sub(MEMORY).unwrap(), 3, 17);
        assert_eq!(reverted.recently(3), None);
    }
}
