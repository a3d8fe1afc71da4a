//! What requests with an idempotency key did, so that repeating one has no second effect (spec §13.5).
//! Bounded in number and time: whoever sends keys without end must not fill every node's memory and snapshots.

use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::envelope::Idempotency;
use crate::limits;
use crate::outcome::{Outcome, Reject};
use crate::sealed::Sealed;
use crate::timestamp::Timestamp;

/// How long an answer is kept, by the time that leaders stamp.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// What a request did. Only those that had an effect are kept: a refusal may be tried again under the same key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// SHA-256 over actor, method, path and key, hex.
    pub id: String,
    /// SHA-256 of the body, hex.
    pub body_hash: String,
    /// When it was done.
    pub at: Timestamp,
    /// What it did.
    pub outcome: Outcome,
    /// The secret that its answer showed, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Sealed>,
}

/// The requests that are remembered, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// By the order in which they were done.
    entries: OrdMap<u64, Arc<Entry>>,
    /// Place in that order by id.
    places: OrdMap<String, u64>,
    /// Bytes of all outcomes, as an image holds them.
    bytes: usize,
}

impl Ledger {
    /// As an image holds it; `None` when it holds an id twice.
    pub(crate) fn new(entries: Vec<Arc<Entry>>) -> Option<Self> {
        let mut ledger = Self::default();
        for (place, entry) in (0..).zip(entries) {
            if ledger.places.insert(entry.id.clone(), place).is_some() {
                return None;
            }
            ledger.bytes = ledger.bytes.saturating_add(size(&entry));
            ledger.entries.insert(place, entry);
        }
        Some(ledger)
    }

    /// Oldest first.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }

    /// What the request did when it came before.
    ///
    /// # Errors
    /// [`Reject::IdempotencyKeyReused`] where the key came with another body.
    pub(crate) fn find(
        &self,
        actor: &str,
        asked: &Idempotency,
        at: Timestamp,
    ) -> Result<Option<Outcome>, Reject> {
        let place = self.places.get(&id(actor, asked));
        let Some(entry) = place.and_then(|place| self.entries.get(place)) else { return Ok(None) };
        if at.since(entry.at) >= KEPT {
            return Ok(None);
        }
        if entry.body_hash != asked.body_hash {
            return Err(Reject::IdempotencyKeyReused);
        }
        let (outcome, secret) = (Box::new(entry.outcome.clone()), entry.secret.clone());
        Ok(Some(Outcome::Replayed { outcome, secret }))
    }

    /// Remembers what a request did, and forgets what is too old or too much.
    pub(crate) fn note(&mut self, actor: &str, asked: &Idempotency, at: Timestamp, outcome: &Outcome) {
        let id = id(actor, asked);
        let next = self.entries.get_max().map_or(0, |(place, _)| place + 1);
        if let Some(expired) = self.places.insert(id.clone(), next) {
            self.forget(expired);
        }
        let (body_hash, secret) = (asked.body_hash.clone(), asked.secret.clone());
        let entry = Entry { id, body_hash, at, outcome: outcome.clone(), secret };
        self.bytes = self.bytes.saturating_add(size(&entry));
        self.entries.insert(next, Arc::new(entry));
        while let Some((place, oldest)) = self.entries.get_min() {
            let fits =
                self.entries.len() <= limits::IDEMPOTENCY_KEYS && self.bytes <= limits::IDEMPOTENCY_BYTES;
            if fits && at.since(oldest.at) < KEPT {
                break;
            }
            let (place, id) = (*place, oldest.id.clone());
            self.places.remove(&id);
            self.forget(place);
        }
    }

    fn forget(&mut self, place: u64) {
        if let Some(entry) = self.entries.remove(&place) {
            self.bytes = self.bytes.saturating_sub(size(&entry));
        }
    }
}

/// Bytes of an outcome. Documents are JSON that was read or written before, so it can always be told.
fn size(entry: &Entry) -> usize {
    serde_json::to_vec(&entry.outcome).map_or(0, |json| json.len())
}

/// One id for what tells requests apart. Each part goes in with its length, so that no two mean the same text.
fn id(actor: &str, asked: &Idempotency) -> String {
    let mut hash = Sha256::new();
    for part in [actor, &asked.method, &asked.path, &asked.key] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(key: &str, body: &str) -> Idempotency {
        Idempotency {
            key: key.to_owned(),
            method: "POST".to_owned(),
            path: "/v1/admin/keys/rotate".to_owned(),
            body_hash: body.to_owned(),
            secret: None,
        }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    const DONE: Outcome = Outcome::TenantDeleted;

    #[test]
    fn a_request_is_known_by_who_what_and_key_and_another_body_is_refused() {
        let mut ledger = Ledger::default();
        ledger.note("a", &asked("k", "1"), at(0), &DONE);
        let again = Outcome::Replayed { outcome: Box::new(DONE), secret: None };
        assert_eq!(ledger.find("a", &asked("k", "1"), at(1)), Ok(Some(again)));
        assert_eq!(ledger.find("a", &asked("k", "2"), at(1)), Err(Reject::IdempotencyKeyReused));
        for (actor, other) in [("b", asked("k", "1")), ("a", asked("K", "1"))] {
            assert_eq!(ledger.find(actor, &other, at(1)), Ok(None));
        }
        // The parts are not simply joined.
        let shifted = Idempotency {
            method: "POS".to_owned(),
            path: "T/v1/admin/keys/rotate".to_owned(),
            ..asked("k", "1")
        };
        assert_eq!(ledger.find("a", &shifted, at(1)), Ok(None));
    }

    #[test]
    fn a_key_is_free_again_after_a_day() {
        let mut ledger = Ledger::default();
        ledger.note("a", &asked("k", "1"), at(0), &DONE);
        assert_eq!(ledger.find("a", &asked("k", "2"), at(86_400)), Ok(None));
        ledger.note("a", &asked("k", "2"), at(86_400), &DONE);
        assert_eq!(ledger.entries().count(), 1);
        assert!(ledger.find("a", &asked("k", "2"), at(86_401)).is_ok_and(|found| found.is_some()));
    }

    #[test]
    fn large_answers_are_bounded_by_their_bytes() {
        let wordy = Outcome::NodeAdmitted { raft_id: u64::MAX, incarnation: u64::MAX };
        let mut ledger = Ledger::default();
        ledger.note("a", &asked("0", "1"), at(0), &wordy);
        let each = ledger.bytes;
        ledger.bytes = limits::IDEMPOTENCY_BYTES - each;
        ledger.note("a", &asked("1", "1"), at(0), &wordy);
        assert_eq!(ledger.entries().count(), 2, "they just fit");
        ledger.note("a", &asked("2", "1"), at(0), &wordy);
        assert_eq!(ledger.find("a", &asked("0", "1"), at(1)), Ok(None), "the oldest made room");
        assert_eq!(ledger.entries().count(), 2);
    }

    #[test]
    fn the_oldest_goes_first() {
        let mut ledger = Ledger::default();
        for number in 0..=limits::IDEMPOTENCY_KEYS {
            ledger.note("a", &asked(&number.to_string(), "1"), at(0), &DONE);
        }
        assert_eq!(ledger.entries().count(), limits::IDEMPOTENCY_KEYS);
        assert_eq!(ledger.find("a", &asked("0", "1"), at(1)), Ok(None));
        assert!(ledger.find("a", &asked("1", "1"), at(1)).is_ok_and(|found| found.is_some()));
        let again = Ledger::new(ledger.entries().cloned().collect()).unwrap();
        assert_eq!(again.entries().collect::<Vec<_>>(), ledger.entries().collect::<Vec<_>>());
    }
}
