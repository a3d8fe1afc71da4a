//! The last revisions of documents that are gone, so that no name ever sees a revision twice (spec §3.3).
//! Bounded: whoever creates and deletes names without end must not fill every node's memory and snapshots.

use imbl::OrdMap;

use crate::limits;

/// Revisions of the dead: one by one up to [`limits::TOMBSTONES`] names, older ones as a common floor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Graveyard {
    /// Last revision by name, each above the floor.
    tombstones: OrdMap<String, u64>,
    /// No name without a tombstone ever had a higher revision before it died.
    floor: u64,
}

impl Graveyard {
    /// As an image holds it.
    pub(crate) fn new(tombstones: OrdMap<String, u64>, floor: u64) -> Self {
        Self { tombstones, floor }
    }

    /// Last revisions by name.
    pub(crate) fn tombstones(&self) -> &OrdMap<String, u64> {
        &self.tombstones
    }

    /// The revision above which every name without a tombstone begins: 0 until the tombstones overflow.
    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// The first revision of a document that comes, or comes back, under `name`.
    pub(crate) fn first_revision(&self, name: &str) -> u64 {
        self.tombstones.get(name).copied().unwrap_or(0).max(self.floor) + 1
    }

    /// The name lives again; its document carries the count on.
    pub(crate) fn raise(&mut self, name: &str) {
        self.tombstones.remove(name);
    }

    /// The document of that name is gone after `revision`.
    pub(crate) fn bury(&mut self, name: String, revision: u64) {
        self.bury_within(name, revision, limits::TOMBSTONES);
    }

    fn bury_within(&mut self, name: String, revision: u64, limit: usize) {
        if revision > self.floor {
            self.tombstones.insert(name, revision);
        }
        if self.tombstones.len() > limit {
            self.lift_floor();
        }
    }

    /// Trades the lower half of the tombstones for a floor at their median. That is at least half of them, so
    /// that the work is done once in many deletions, and in practice a low number: few documents change often.
    fn lift_floor(&mut self) {
        let mut revisions: Vec<u64> = self.tombstones.values().copied().collect();
        let middle = revisions.len() / 2;
        let (_, median, _) = revisions.select_nth_unstable(middle);
        let floor = *median;
        self.floor = floor;
        let kept = self.tombstones.iter().filter(|(_, revision)| **revision > floor);
        self.tombstones = kept.map(|(name, revision)| (name.clone(), *revision)).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 10;

    #[test]
    fn a_name_goes_on_where_it_ended() {
        let mut graveyard = Graveyard::default();
        assert_eq!(graveyard.first_revision("a"), 1);
        graveyard.bury("a".to_owned(), 7);
        assert_eq!(graveyard.first_revision("a"), 8);
        assert_eq!(graveyard.first_revision("b"), 1, "other names are not concerned");
    }

    #[test]
    fn the_number_of_tombstones_is_bounded_and_no_revision_comes_twice() {
        let mut graveyard = Graveyard::default();
        let mut last = std::collections::BTreeMap::new();
        for round in 0..200_u64 {
            let name = format!("n{}", round % 37);
            let revision = graveyard.first_revision(&name) + round % 5;
            let before = last.insert(name.clone(), revision);
            assert!(before.is_none_or(|before| before < revision), "{name}");
            graveyard.raise(&name);
            graveyard.bury_within(name, revision, LIMIT);
            assert!(graveyard.tombstones.len() <= LIMIT);
        }
        for (name, revision) in &last {
            assert!(graveyard.first_revision(name) > *revision, "{name}");
        }
        assert!(graveyard.floor > 0);
    }

    #[test]
    fn many_names_that_died_young_lift_the_floor_by_one_only() {
        let mut graveyard = Graveyard::default();
        graveyard.bury_within("busy".to_owned(), 1_000, LIMIT);
        for i in 0..100 {
            let name = format!("n{i}");
            graveyard.bury_within(name.clone(), 1, LIMIT);
            assert!(graveyard.first_revision(&name) > 1, "{name}");
        }
        assert_eq!(graveyard.floor(), 1);
        assert_eq!(graveyard.first_revision("busy"), 1_001);
    }

    #[test]
    fn a_document_older_than_the_floor_needs_no_tombstone() {
        let mut graveyard = Graveyard::new(OrdMap::new(), 5);
        graveyard.bury("old".to_owned(), 2);
        assert!(graveyard.tombstones().is_empty());
        assert_eq!(graveyard.first_revision("old"), 6);
    }
}
