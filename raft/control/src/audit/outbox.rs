//! The records that nobody has copied yet: a bounded queue, so that a database which is away, or was never there, does not
//! fill every node's memory and snapshots.

use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use super::record::{Broken, Head, Record, Written, verify};
use crate::limits;

/// The end of the chain and its newest records. Persistent: a copy of it is cheap.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    head: Head,
    dropped: u64,
    records: OrdMap<u64, Arc<Record>>,
}

/// An outbox as an image holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditImage {
    /// The end of the chain.
    pub head: Head,
    /// How many records went before they were copied.
    pub dropped: u64,
    /// The records that were not copied yet, oldest first.
    pub records: Vec<Arc<Record>>,
}

impl AuditImage {
    /// Whether there was never a record.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Outbox {
    /// As an image holds it.
    ///
    /// # Errors
    /// [`Broken`] where the records are no run that ends at the head.
    pub(crate) fn new(image: AuditImage) -> Result<Self, Broken> {
        let AuditImage { head, dropped, records } = image;
        if let Some((oldest, rest)) = records.split_first() {
            let end = verify(oldest.head(), rest.iter().map(|record| &**record))?;
            if end.seq != head.seq {
                return Err(Broken::Gap { expected: head.seq, found: end.seq });
            }
            if end.hash != head.hash {
                return Err(Broken::Changed { seq: end.seq });
            }
        }
        let records = records.into_iter().map(|record| (record.seq, record)).collect();
        Ok(Self { head, dropped, records })
    }

    pub(crate) fn image(&self) -> AuditImage {
        let records = self.records.values().cloned().collect();
        AuditImage { head: self.head, dropped: self.dropped, records }
    }

    /// The end of the chain.
    pub fn head(&self) -> Head {
        self.head
    }

    /// How many records went before they were copied, because too many waited.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// How many records wait.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether no record waits.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Number of the oldest record that waits.
    pub fn first(&self) -> Option<u64> {
        self.records.get_min().map(|(seq, _)| *seq)
    }

    /// The records that wait and come after `seq`, oldest first.
    pub fn after(&self, seq: u64) -> impl Iterator<Item = &Arc<Record>> {
        self.records.range((Bound::Excluded(seq), Bound::Unbounded)).map(|(_, record)| record)
    }

    pub(crate) fn append(&mut self, written: Written<'_>) {
        let record = Record::after(self.head, written);
        self.head = record.head();
        self.records.insert(record.seq, Arc::new(record));
        while self.records.len() > limits::AUDIT_RECORDS
            && let Some(oldest) = self.first()
        {
            self.records.remove(&oldest);
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    /// Lets the records up to `through` go, which were copied.
    pub(crate) fn trim(&mut self, through: u64) {
        while let Some(oldest) = self.first().filter(|oldest| *oldest <= through) {
            self.records.remove(&oldest);
        }
    }
}
