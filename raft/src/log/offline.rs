//! Logs of nodes that do not run: one read whole, and one made for a node that begins with a snapshot.

use std::path::Path;

use openraft::{LogId, Vote};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Durability;
use super::backend::{Backend, COMMITTED, LAST_PURGED, VOTE};
use super::envelope::Name;
use super::error::LogError;
use super::reader::decode;
use super::recover::recover;
use super::store::guarded;
use super::watermark::{Mark, Watermark};
use crate::durable;

/// All that a log holds.
#[derive(Debug)]
pub(crate) struct WholeLog<E> {
    /// The last vote; absent in a log that no member has written.
    pub(crate) vote: Option<Vote<u64>>,
    /// The last entry that this disk knows to be committed. It may be behind what was acknowledged.
    pub(crate) committed: Option<LogId<u64>>,
    /// The last entry that is gone, because a snapshot contains it.
    pub(crate) last_purged: Option<LogId<u64>>,
    /// The entries after that, without a hole.
    pub(crate) entries: Vec<E>,
}

/// Opens the log in `dir` with all the checks of a starting node, and reads everything. It writes there, as a starting
/// node does: give it a copy.
pub(crate) fn read_whole<E: DeserializeOwned + Send + 'static>(dir: &Path) -> Result<WholeLog<E>, LogError> {
    let owned = dir.to_owned();
    guarded(dir, move || {
        let mut backend = Backend::open(&owned, Durability::Synced)?;
        let mut watermark = Watermark::open(&owned)?;
        let found = recover(&mut backend, &mut watermark)?;
        let end = found.first.saturating_add(u64::try_from(found.sizes.len()).unwrap_or(u64::MAX));
        let entries = backend.tables().entries(found.first, end)?;
        Ok(WholeLog {
            vote: found.vote,
            committed: found.committed,
            last_purged: found.last_purged,
            entries: entries
                .iter()
                .map(|(index, body)| decode(*index, body))
                .collect::<Result<Vec<E>, LogError>>()?,
        })
    })
}

/// Makes the log of a member that has voted, and whose snapshot ends with `purged`. Durable when it returns `Ok`.
pub(crate) fn create(dir: &Path, vote: Vote<u64>, purged: LogId<u64>) -> Result<(), LogError> {
    let owned = dir.to_owned();
    guarded(dir, move || {
        let mut backend = Backend::open(&owned, Durability::Synced)?;
        backend.put_meta(VOTE, &encode(&vote, VOTE)?)?;
        backend.put_meta(LAST_PURGED, &encode(&purged, LAST_PURGED)?)?;
        backend.put_meta(COMMITTED, &encode(&purged, COMMITTED)?)?;
        backend.sync()?;
        let mut watermark = Watermark::open(&owned)?;
        watermark.raise(&Mark { last_index: Some(purged.index), vote: Some(vote) })?;
        watermark.sync()?;
        durable::sync_dir(&owned).map_err(|error| LogError::io("fsync", &owned, &error))
    })
}

fn encode<T: Serialize>(value: &T, key: &'static str) -> Result<Vec<u8>, LogError> {
    serde_json::to_vec(value).map_err(|error| LogError::Undecodable {
        record: Name::Meta(key).to_string(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use openraft::LeaderId;
    use openraft::storage::RaftLogStorage as _;

    use super::*;
    use crate::log::LogStore;
    use crate::types::{Entry, TypeConfig};

    #[tokio::test]
    async fn a_log_that_was_made_is_that_of_a_member_behind_its_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let (vote, purged) = (Vote::new(8, 5), LogId::new(LeaderId::new(7, 2), 40));
        create(&log, vote, purged).unwrap();
        let whole = read_whole::<Entry>(&log).unwrap();
        assert_eq!(
            (whole.vote, whole.last_purged, whole.committed),
            (Some(vote), Some(purged), Some(purged))
        );
        assert!(whole.entries.is_empty());
        let mut store = LogStore::<TypeConfig>::open(&log, Durability::Synced).unwrap();
        assert_eq!(store.read_vote().await.unwrap(), Some(vote));
        let state = store.get_log_state().await.unwrap();
        assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(purged), Some(purged)));
    }
}
