//! The newest committed id on its way to the writer thread. It is never synced for its own sake: it rides along with the
//! next write, so that a steady stream of writes wakes the thread once each and not twice.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// See the module. Holds only the newest record, as JSON.
#[derive(Debug, Default)]
pub(super) struct Latest(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    record: Option<Vec<u8>>,
    asleep: bool,
}

impl Latest {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the record. Whether the thread must be woken to see it; that is said once.
    pub(super) fn put(&self, record: Vec<u8>) -> bool {
        let mut inner = self.inner();
        inner.record = Some(record);
        std::mem::take(&mut inner.asleep)
    }

    /// Takes the record, if there is one.
    pub(super) fn take(&self) -> Option<Vec<u8>> {
        self.inner().record.take()
    }

    /// Takes the record; without one, whoever puts the next must wake the thread.
    pub(super) fn take_or_sleep(&self) -> Option<Vec<u8>> {
        let mut inner = self.inner();
        let record = inner.record.take();
        inner.asleep = record.is_none();
        record
    }

    /// The thread looks by itself again.
    pub(super) fn awake(&self) {
        self.inner().asleep = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sleeper_is_woken_and_only_once() {
        let latest = Latest::default();
        assert!(!latest.put(vec![1]));
        assert_eq!(latest.take_or_sleep(), Some(vec![1]));
        assert!(!latest.put(vec![2]), "it had something to do and looks again");
        assert!(!latest.put(vec![3]));
        assert_eq!(latest.take(), Some(vec![3]));
        assert_eq!(latest.take_or_sleep(), None);
        assert!(latest.put(vec![4]));
        assert!(!latest.put(vec![5]));
        assert_eq!(latest.take(), Some(vec![5]));
        assert_eq!(latest.take_or_sleep(), None);
        latest.awake();
        assert!(!latest.put(vec![6]));
    }
}
