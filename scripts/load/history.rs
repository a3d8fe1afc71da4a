//! The books of a drill: what each client was told, and what that means for what must be there later.

use std::time::{Duration, Instant};

use crate::target::{Acknowledged, Document};

/// What all clients together were told.
#[derive(Debug, Default)]
pub(crate) struct History {
    /// When writes were acknowledged.
    acknowledged: Vec<Instant>,
    pub(crate) unknown: u64,
    pub(crate) refused: u64,
    /// An answer that no client should ever get.
    pub(crate) fault: Option<String>,
    /// Highest index of an acknowledged write.
    pub(crate) index: u64,
}

impl History {
    pub(crate) fn acknowledge(&mut self, at: Instant, acknowledged: Acknowledged) {
        self.acknowledged.push(at);
        self.index = self.index.max(acknowledged.index);
    }

    pub(crate) fn count(&self) -> usize {
        self.acknowledged.len()
    }

    /// Longest time without an acknowledgement between `from` and the last one.
    pub(crate) fn longest_gap(&self, from: Instant) -> Duration {
        let mut times: Vec<Instant> = self.acknowledged.iter().copied().filter(|at| *at > from).collect();
        times.sort_unstable();
        let mut before = from;
        let mut longest = Duration::ZERO;
        for at in times {
            longest = longest.max(at.duration_since(before));
            before = at;
        }
        longest
    }
}

/// What one client knows about the one document that only it writes to.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(crate) key: String,
    last: Option<(u64, String)>,
    /// Acknowledged writes that a later acknowledgement shows to be gone.
    pub(crate) vanished: u64,
}

impl Ledger {
    pub(crate) fn new(key: String) -> Self {
        Self { key, last: None, vanished: 0 }
    }

    /// Each acknowledged write changed the document, so its revision is above all earlier ones. One that is
    /// not was given twice: the first write with it is gone.
    pub(crate) fn acknowledge(&mut self, revision: u64, value: &str) {
        if self.last.as_ref().is_some_and(|(last, _)| revision <= *last) {
            self.vanished += 1;
        }
        self.last = Some((revision, value.to_owned()));
    }

    /// Why what a node shows cannot be, if it cannot. Writes of unknown outcome may have come on top.
    pub(crate) fn contradicts(&self, found: Option<&Document>) -> Option<String> {
        let (revision, value) = self.last.as_ref()?;
        match found {
            None => Some(format!("{} is gone; revision {revision} was acknowledged", self.key)),
            Some(found) if found.revision < *revision => {
                Some(format!("{} is at revision {}; {revision} was acknowledged", self.key, found.revision))
            }
            Some(found) if found.revision == *revision && found.value != *value => Some(format!(
                "{} at revision {revision} is {}; {value} was acknowledged",
                self.key, found.value
            )),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(revision: u64, value: &str) -> Document {
        Document { revision, value: value.to_owned() }
    }

    #[test]
    fn a_document_behind_an_acknowledgement_is_a_loss_and_one_ahead_is_not() {
        let mut ledger = Ledger::new("k".to_owned());
        assert_eq!(ledger.contradicts(None), None);
        ledger.acknowledge(3, "c");
        assert!(ledger.contradicts(None).is_some());
        assert!(ledger.contradicts(Some(&document(2, "b"))).is_some());
        assert!(ledger.contradicts(Some(&document(3, "other"))).is_some());
        assert_eq!(ledger.contradicts(Some(&document(3, "c"))), None);
        assert_eq!(ledger.contradicts(Some(&document(4, "d"))), None);
    }

    #[test]
    fn a_revision_given_twice_shows_a_vanished_write() {
        let mut ledger = Ledger::new("k".to_owned());
        ledger.acknowledge(1, "a");
        ledger.acknowledge(2, "b");
        assert_eq!(ledger.vanished, 0);
        ledger.acknowledge(2, "c");
        assert_eq!(ledger.vanished, 1);
    }

    #[test]
    fn the_gap_begins_at_the_mark() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut history = History::default();
        for ms in [0, 500, 510, 900, 905] {
            history.acknowledge(at(ms), Acknowledged { revision: 1, index: ms });
        }
        assert_eq!(history.longest_gap(at(505)), Duration::from_millis(390));
        assert_eq!(history.longest_gap(at(910)), Duration::ZERO);
        assert_eq!(history.index, 905);
    }
}
