//! What the disk holds when the log opens, checked before anything is served.
//!
//! Every entry is read and its checksum verified; indexes must follow each other from the last purged one;
//! and nothing that was acknowledged may be missing (watermark). Only two leftovers of a crash are repaired:
//! the torn tail of an entry that was never acknowledged, and the rest of a purge.

use std::cmp::Ordering;
use std::collections::VecDeque;

use openraft::{LogId, Vote};
use serde::de::DeserializeOwned;

use super::backend::{Backend, COMMITTED, LAST_PURGED, Tables, VOTE};
use super::envelope::{self, Name};
use super::error::LogError;
use super::watermark::{Mark, Watermark};

/// The verified content of the disk.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) vote: Option<Vote<u64>>,
    pub(super) committed: Option<LogId<u64>>,
    pub(super) last_purged: Option<LogId<u64>>,
    /// Index of the first entry; what the next one would be if there is none.
    pub(super) first: u64,
    /// Encoded size of each entry from `first` on.
    pub(super) sizes: VecDeque<u64>,
    /// JSON of the last entry.
    pub(super) last_entry: Option<Vec<u8>>,
}

impl Recovered {
    fn last_index(&self) -> Option<u64> {
        let count = u64::try_from(self.sizes.len()).unwrap_or(u64::MAX);
        match count.checked_sub(1) {
            Some(beyond_first) => Some(self.first + beyond_first),
            None => self.last_purged.map(|id| id.index),
        }
    }

    /// What may be promised about this state.
    pub(super) fn mark(&self) -> Mark {
        Mark { last_index: self.last_index(), vote: self.vote }
    }
}

/// Reads and checks everything, and clears away the leftovers of a crash.
pub(super) fn recover(backend: &mut Backend, watermark: &mut Watermark) -> Result<Recovered, LogError> {
    let tables = backend.tables();
    let mut found = Recovered {
        vote: meta(&tables, VOTE)?,
        committed: meta(&tables, COMMITTED)?,
        last_purged: meta(&tables, LAST_PURGED)?,
        ..Recovered::default()
    };
    found.first = found.last_purged.map_or(0, |id: LogId<u64>| id.index + 1);

    let mut purged = false;
    let mut torn = None;
    let mut next = found.first;
    for record in tables.records() {
        let record = record?;
        if record.index < found.first {
            purged = true;
            continue;
        }
        if record.index != next || torn.is_some() {
            return Err(LogError::Hole { index: next });
        }
        if !record.has_head {
            torn = Some(record.index);
            continue;
        }
        let body = envelope::unseal(Name::Entry(record.index), &record.bytes)?;
        found.sizes.push_back(u64::try_from(record.bytes.len()).unwrap_or(u64::MAX));
        found.last_entry = Some(body.to_vec());
        next += 1;
    }

    compare(&found, watermark.mark())?;
    if let Some(index) = torn {
        tracing::info!(index, "dropping the torn tail of an entry that was never acknowledged");
        backend.delete_from(index, index)?;
    }
    if purged {
        backend.delete_before(found.first)?;
    }
    backend.sync()?;
    watermark.raise(&found.mark())?;
    watermark.sync()?;
    Ok(found)
}

fn meta<T: DeserializeOwned>(tables: &Tables, key: &'static str) -> Result<Option<T>, LogError> {
    let Some(body) = tables.meta(key)? else { return Ok(None) };
    serde_json::from_slice(&body).map_err(|error| LogError::Undecodable {
        record: Name::Meta(key).to_string(),
        reason: error.to_string(),
    })
}

/// Refuses a disk that holds less than was acknowledged.
fn compare(found: &Recovered, mark: &Mark) -> Result<(), LogError> {
    let last = found.last_index();
    let lost = |what, expected: Option<String>, found: Option<String>| LogError::Lost {
        what,
        expected: expected.unwrap_or_default(),
        found: found.unwrap_or_else(|| "nothing".to_owned()),
    };
    if last < mark.last_index {
        return Err(lost("the log", mark.last_index.map(|i| i.to_string()), last.map(|i| i.to_string())));
    }
    let vote_holds = match (&found.vote, &mark.vote) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(found), Some(promised)) => found.partial_cmp(promised).is_some_and(Ordering::is_ge),
    };
    if !vote_holds {
        return Err(lost("the vote", mark.vote.map(|v| v.to_string()), found.vote.map(|v| v.to_string())));
    }
    let committed = found.committed.map(|id| id.index);
    if last < committed {
        return Err(lost(
            "the log (committed)",
            committed.map(|i| i.to_string()),
            last.map(|i| i.to_string()),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_the_watermark_is_refused_and_more_is_fine() {
        let found = Recovered { first: 0, sizes: VecDeque::from([1, 1, 1]), ..Recovered::default() };
        let mark = |last| Mark { last_index: last, vote: None };
        assert!(compare(&found, &mark(None)).is_ok());
        assert!(compare(&found, &mark(Some(2))).is_ok());
        let error = compare(&found, &mark(Some(3))).unwrap_err().to_string();
        assert!(error.contains("up to 3") && error.contains("has 2"), "{error}");
    }

    #[test]
    fn an_older_vote_is_refused() {
        let with = |vote| Recovered { vote, ..Recovered::default() };
        let mark = Mark { last_index: None, vote: Some(Vote::new(5, 1)) };
        assert!(compare(&with(Some(Vote::new(5, 1))), &mark).is_ok());
        assert!(compare(&with(Some(Vote::new_committed(5, 1))), &mark).is_ok());
        assert!(compare(&with(Some(Vote::new(6, 2))), &mark).is_ok());
        assert!(compare(&with(Some(Vote::new(4, 9))), &mark).is_err());
        assert!(compare(&with(None), &mark).is_err());
    }
}
