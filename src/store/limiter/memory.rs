//! Counters in this process: a table of fixed size, so that no number of addresses takes more memory.
//!
//! A counter has eight places to be, by its name, which a stranger cannot choose because it is a keyed hash. A place is
//! free when its window is over or nothing is counted there. Where all eight are in use the counter that was taken least
//! gives way: an attacker who comes from ever new addresses drives out such counters, all of them at one, and never the
//! ones that are near their limit, for which it would take as many requests from every one of these addresses.

use std::fmt;
use std::future::ready;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hellojohn_control::Timestamp;

use super::{Counter, Counters, Take, Unavailable, Verdict};

/// Places among which a counter has to find one.
const WAYS: usize = 8;

/// A place for one counter: 32 bytes.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    key: [u8; 16],
    /// End of the window in milliseconds since 1970.
    end: i64,
    count: u32,
}

impl Slot {
    fn is(&self, counter: &Counter) -> bool {
        self.key == counter.key && self.end == counter.window.end().millis()
    }

    /// How little is lost when the place is given to another: places that are free first.
    fn worth(&self, now: Timestamp) -> (u32, i64) {
        if self.end <= now.millis() { (0, 0) } else { (self.count, self.end) }
    }
}

type Set = Mutex<[Slot; WAYS]>;

/// Counters in memory. One lock for each eight places, held for some nanoseconds.
pub struct MemoryCounters(Box<[Set]>);

impl MemoryCounters {
    /// A table for about `counters` counters at a time; 33 bytes for each.
    pub fn new(counters: usize) -> Self {
        let sets = counters.div_ceil(WAYS).max(1);
        Self((0..sets).map(|_| Set::default()).collect())
    }

    /// As [`Counters::take`], which here waits for nobody.
    pub fn take_now(&self, take: &Take, now: Timestamp) -> Verdict {
        let (took_address, address) = self.take_one(&take.address, now);
        let Some(counter) = &take.account else { return Verdict::of(take, address, None) };
        if !took_address {
            return Verdict::of(take, address, Some(self.count(counter)));
        }
        let (took_account, account) = self.take_one(counter, now);
        if !took_account {
            self.give_one_back(&take.address);
        }
        Verdict::of(take, address, Some(account))
    }

    /// As [`Counters::give_back`], which here waits for nobody.
    pub fn give_back_now(&self, take: &Take) {
        for counter in take.each() {
            self.give_one_back(counter);
        }
    }

    /// Whether it was taken, and how often it had been before.
    fn take_one(&self, counter: &Counter, now: Timestamp) -> (bool, u32) {
        let mut set = self.set(counter);
        if let Some(slot) = set.iter_mut().find(|slot| slot.is(counter)) {
            let before = slot.count;
            let free = before < counter.limit;
            slot.count += u32::from(free);
            return (free, before);
        }
        let place = set.iter_mut().min_by_key(|slot| slot.worth(now));
        if let Some(slot) = place {
            *slot = Slot { key: counter.key, end: counter.window.end().millis(), count: 1 };
        }
        (true, 0)
    }

    fn give_one_back(&self, counter: &Counter) {
        if let Some(slot) = self.set(counter).iter_mut().find(|slot| slot.is(counter)) {
            slot.count = slot.count.saturating_sub(1);
        }
    }

    fn count(&self, counter: &Counter) -> u32 {
        self.set(counter).iter().find(|slot| slot.is(counter)).map_or(0, |slot| slot.count)
    }

    fn set(&self, counter: &Counter) -> MutexGuard<'_, [Slot; WAYS]> {
        let [a, b, c, d, ..] = counter.key;
        let at = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(0) % self.0.len();
        // The table has at least one set, and `at` is below their number.
        self.0[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters for MemoryCounters {
    fn take(&self, take: &Take, now: Timestamp) -> impl Future<Output = Result<Verdict, Unavailable>> + Send {
        ready(Ok(self.take_now(take, now)))
    }

    fn give_back(&self, take: &Take) -> impl Future<Output = Result<(), Unavailable>> + Send {
        self.give_back_now(take);
        ready(Ok(()))
    }
}

impl fmt::Debug for MemoryCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCounters").field("places", &(self.0.len() * WAYS)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::domain::fixed_window::FixedWindow;

    const NOW: i64 = 1_800_000_000;

    fn counter(name: u64, limit: u32, now: Timestamp) -> Counter {
        let hash: [u8; 32] = Sha256::digest(name.to_le_bytes()).into();
        let mut key = [0; 16];
        key.copy_from_slice(&hash[..16]);
        Counter { key, limit, window: FixedWindow::at(now, Duration::from_secs(60)) }
    }

    fn one(name: u64, limit: u32, now: Timestamp) -> Take {
        Take { address: counter(name, limit, now), account: None }
    }

    impl MemoryCounters {
        fn held(&self, now: Timestamp) -> usize {
            let live = |slot: &&Slot| slot.count > 0 && slot.end > now.millis();
            self.0.iter().map(|set| set.lock().unwrap().iter().filter(live).count()).sum()
        }
    }

    /// S61, S114: whoever comes from a million addresses takes no more memory, and frees no counter that is full.
    #[test]
    fn a_million_names_take_no_more_memory_and_free_nobody() {
        let (table, now) = (MemoryCounters::new(1024), Timestamp::from_secs(NOW));
        let size = std::mem::size_of_val(&*table.0);
        assert!(size <= 1024 * 40, "{size}");
        let full: Vec<Take> = (0..100).map(|name| one(u64::MAX - name, 5, now)).collect();
        for take in &full {
            for _ in 0..5 {
                assert!(table.take_now(take, now).admitted);
            }
        }
        for name in 0..1_000_000 {
            assert!(table.take_now(&one(name, 5, now), now).admitted);
        }
        assert!(table.held(now) <= 1024);
        let forgotten = full.iter().filter(|take| table.take_now(take, now).admitted).count();
        assert_eq!(forgotten, 0, "of 100 full counters");
    }

    #[test]
    fn places_of_windows_that_are_over_are_used_again() {
        let (table, now) = (MemoryCounters::new(8), Timestamp::from_secs(NOW));
        for name in 0..8 {
            for _ in 0..5 {
                assert!(table.take_now(&one(name, 5, now), now).admitted);
            }
        }
        assert_eq!(table.held(now), 8);
        let later = now.plus(Duration::from_secs(60));
        assert_eq!(table.held(later), 0);
        for name in 100..108 {
            assert!(table.take_now(&one(name, 5, later), later).admitted);
        }
        assert_eq!(table.held(later), 8);
        // What was given back is free, too, before anybody has to give way.
        table.give_back_now(&one(107, 5, later));
        assert!(table.take_now(&one(200, 5, later), later).admitted);
        for name in 100..107 {
            assert_eq!(table.take_now(&one(name, 5, later), later).standing.remaining, 3, "{name}");
        }
    }
}
