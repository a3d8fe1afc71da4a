//! The log store as openraft and a crash see it (ha.md, promises of the replication layer; F12).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::Path;
use std::sync::{Arc, Mutex};

use hellojohn_raft::log::{Durability, LogError, LogStore, MAX_READ_BYTES};
use openraft::storage::{RaftLogStorage, RaftLogStorageExt, RaftStateMachine};
use openraft::testing::{StoreBuilder, Suite};
use openraft::{
    Entry, EntryPayload, LogId, RaftLogReader, RaftSnapshotBuilder, Snapshot, SnapshotMeta, StorageError,
    StorageIOError, StoredMembership, Vote,
};

use crate::log_types::{Notes, log_id, note, open};

/// A state machine in memory that remembers what openraft's suite asks about.
#[derive(Debug, Clone, Default)]
struct Scratch(Arc<Mutex<ScratchState>>);

#[derive(Debug, Default)]
struct ScratchState {
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, openraft::BasicNode>,
    snapshot: Option<Snapshot<Notes>>,
}

impl RaftSnapshotBuilder<Notes> for Scratch {
    async fn build_snapshot(&mut self) -> Result<Snapshot<Notes>, StorageError<u64>> {
        let mut state = self.0.lock().unwrap();
        let meta = SnapshotMeta {
            last_log_id: state.applied,
            last_membership: state.membership.clone(),
            snapshot_id: format!("{:?}", state.applied),
        };
        let snapshot = Snapshot { meta, snapshot: Box::new(Cursor::new(b"state".to_vec())) };
        state.snapshot = Some(snapshot.clone());
        Ok(snapshot)
    }
}

impl RaftStateMachine<Notes> for Scratch {
    type SnapshotBuilder = Self;

    async fn applied_state(
        &mut self,
    ) -> Result<(Option<LogId<u64>>, StoredMembership<u64, openraft::BasicNode>), StorageError<u64>> {
        let state = self.0.lock().unwrap();
        Ok((state.applied, state.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<()>, StorageError<u64>>
    where
        I: IntoIterator<Item = Entry<Notes>> + Send,
        I::IntoIter: Send,
    {
        let mut state = self.0.lock().unwrap();
        let mut answers = Vec::new();
        for entry in entries {
            state.applied = Some(entry.log_id);
            if let EntryPayload::Membership(membership) = entry.payload {
                state.membership = StoredMembership::new(Some(entry.log_id), membership);
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Self {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError<u64>> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, openraft::BasicNode>,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError<u64>> {
        let mut state = self.0.lock().unwrap();
        state.applied = meta.last_log_id;
        state.membership = meta.last_membership.clone();
        state.snapshot = Some(Snapshot { meta: meta.clone(), snapshot });
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot<Notes>>, StorageError<u64>> {
        Ok(self.0.lock().unwrap().snapshot.clone())
    }
}

/// A fresh log in real files for each test of the suite.
struct RealFiles;

impl StoreBuilder<Notes, LogStore<Notes>, Scratch, tempfile::TempDir> for RealFiles {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore<Notes>, Scratch), StorageError<u64>> {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path(), Durability::Synced)
            .map_err(|error| StorageIOError::read(openraft::AnyError::new(&error)))?;
        Ok((dir, store, Scratch::default()))
    }
}

/// ha.md: openraft's own suite passes on the store that ships.
#[test]
fn openraft_suite_passes_on_real_files() {
    Suite::test_all(RealFiles).unwrap();
}

fn synced(dir: &Path) -> LogStore<Notes> {
    open(dir, Durability::Synced).unwrap()
}

async fn append(store: &mut LogStore<Notes>, term: u64, indexes: std::ops::Range<u64>) {
    let entries: Vec<_> = indexes.map(|index| note(term, index, format!("entry {index}"))).collect();
    store.blocking_append(entries).await.unwrap();
}

async fn indexes(store: &mut LogStore<Notes>) -> Vec<u64> {
    let entries = store.try_get_log_entries(..).await.unwrap();
    entries.iter().map(|entry| entry.log_id.index).collect()
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    {
        let mut store = synced(dir.path());
        append(&mut store, 1, 0..50).await;
        store.save_vote(&Vote::new(3, 2)).await.unwrap();
        store.save_committed(Some(log_id(1, 40))).await.unwrap();
        store.purge(log_id(1, 9)).await.unwrap();
    }
    let mut store = synced(dir.path());
    assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new(3, 2)));
    assert_eq!(store.read_committed().await.unwrap(), Some(log_id(1, 40)));
    let state = store.get_log_state().await.unwrap();
    assert_eq!(state.last_purged_log_id, Some(log_id(1, 9)));
    assert_eq!(state.last_log_id, Some(log_id(1, 49)));
    assert_eq!(indexes(&mut store).await, (10..50).collect::<Vec<_>>());
    let read = store.try_get_log_entries(20..22).await.unwrap();
    assert_eq!(read, vec![note(1, 20, "entry 20"), note(1, 21, "entry 21")]);
}

/// ha.md: `get_log_state` is right in its three cases, also after a restart.
#[tokio::test]
async fn log_state_of_an_unused_a_filled_and_a_purged_log() {
    let dir = tempfile::tempdir().unwrap();
    for reopened in [false, true] {
        let state = synced(dir.path()).get_log_state().await.unwrap();
        assert_eq!((state.last_purged_log_id, state.last_log_id), (None, None), "reopened: {reopened}");
    }
    append(&mut synced(dir.path()), 2, 0..5).await;
    let state = synced(dir.path()).get_log_state().await.unwrap();
    assert_eq!((state.last_purged_log_id, state.last_log_id), (None, Some(log_id(2, 4))));

    // A snapshot from the leader may purge beyond the last entry.
    synced(dir.path()).purge(log_id(7, 100)).await.unwrap();
    let mut store = synced(dir.path());
    let state = store.get_log_state().await.unwrap();
    assert_eq!((state.last_purged_log_id, state.last_log_id), (Some(log_id(7, 100)), Some(log_id(7, 100))));
    append(&mut store, 8, 101..103).await;
    drop(store);
    assert_eq!(indexes(&mut synced(dir.path())).await, vec![101, 102]);
}

#[tokio::test]
async fn truncated_entries_stay_away_and_their_successors_stay() {
    let dir = tempfile::tempdir().unwrap();
    {
        let mut store = synced(dir.path());
        append(&mut store, 1, 0..30).await;
        store.truncate(log_id(1, 10)).await.unwrap();
        assert_eq!(store.get_log_state().await.unwrap().last_log_id, Some(log_id(1, 9)));
        append(&mut store, 2, 10..12).await;
    }
    let mut store = synced(dir.path());
    assert_eq!(indexes(&mut store).await, (0..12).collect::<Vec<_>>());
    assert_eq!(store.get_log_state().await.unwrap().last_log_id, Some(log_id(2, 11)));
    // The id before the cut comes from disk now.
    store.truncate(log_id(2, 5)).await.unwrap();
    assert_eq!(store.get_log_state().await.unwrap().last_log_id, Some(log_id(1, 4)));
}

#[tokio::test]
async fn a_gap_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = synced(dir.path());
    append(&mut store, 1, 0..3).await;
    let error = store.blocking_append([note(1, 4, "gap")]).await.unwrap_err();
    assert!(error.to_string().contains("entry 4 offered after 2"), "{error}");
}

/// ha.md: reads for a slow follower are capped by bytes, and always make progress.
#[tokio::test]
async fn limited_reads_are_capped_by_bytes_and_return_at_least_one_entry() {
    let dir = tempfile::tempdir().unwrap();
    let big = "x".repeat(usize::try_from(MAX_READ_BYTES).unwrap() / 3);
    let huge = "y".repeat(usize::try_from(MAX_READ_BYTES).unwrap() * 2);
    {
        let mut store = synced(dir.path());
        let entries: Vec<_> = (0..10).map(|index| note(1, index, big.as_str())).collect();
        store.blocking_append(entries).await.unwrap();
        store.blocking_append([note(1, 10, huge.as_str()), note(1, 11, "small")]).await.unwrap();
        assert_eq!(store.limited_get_log_entries(0, 12).await.unwrap().len(), 2, "from memory");
    }
    let mut store = synced(dir.path());
    assert_eq!(store.limited_get_log_entries(0, 12).await.unwrap().len(), 2, "from disk");
    assert_eq!(store.limited_get_log_entries(10, 12).await.unwrap().len(), 1, "one larger than the cap");
    assert_eq!(store.limited_get_log_entries(11, 12).await.unwrap(), vec![note(1, 11, "small")]);
    assert_eq!(
        store.try_get_log_entries(..).await.unwrap().len(),
        12,
        "the apply path reads all it asks for"
    );
    store.purge(log_id(1, 3)).await.unwrap();
    assert!(store.limited_get_log_entries(2, 8).await.unwrap().is_empty(), "never entries behind a gap");
}

#[tokio::test]
async fn a_second_store_on_the_same_directory_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let _first = synced(dir.path());
    let path = dir.path().to_owned();
    let error =
        tokio::task::spawn_blocking(move || open(&path, Durability::Synced).unwrap_err()).await.unwrap();
    assert!(matches!(error, LogError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("another process"), "{error}");
}

#[tokio::test]
async fn the_log_shrinks_in_its_figures_when_it_is_purged() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = synced(dir.path());
    let handle = store.handle();
    append(&mut store, 1, 0..100).await;
    let before = handle.stats();
    assert_eq!(before.entries, 100);
    assert!(before.payload_bytes > 100 * 20 && before.disk_bytes > 0 && !before.space_alarm, "{before:?}");
    store.purge(log_id(1, 89)).await.unwrap();
    let after = handle.stats();
    assert_eq!(after.entries, 10);
    assert!(after.payload_bytes < before.payload_bytes / 5, "{after:?}");
    assert!(handle.fatal().borrow().is_none());
}

/// One bit of sled's own file flipped, at many places: either the log opens with everything that was
/// acknowledged, or it refuses with a named error. It never serves less or something else.
#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_anywhere_is_refused_or_harmless() {
    let origin = tempfile::tempdir().unwrap();
    {
        let mut store = synced(origin.path());
        for start in (0..60).step_by(3) {
            append(&mut store, 1, start..start + 3).await;
        }
        store.save_vote(&Vote::new_committed(9, 1)).await.unwrap();
    }
    let db = std::fs::read(origin.path().join("db")).unwrap();
    let used = db.iter().rposition(|byte| *byte != 0).unwrap();
    let mut refused = BTreeSet::new();
    for round in 0..40 {
        let place = used * round / 40;
        let copy = tempfile::tempdir().unwrap();
        copy_tree(origin.path(), copy.path());
        let mut flipped = db.clone();
        flipped[place] ^= 1 << (round % 8);
        std::fs::write(copy.path().join("db"), flipped).unwrap();
        let path = copy.path().to_owned();
        match tokio::task::spawn_blocking(move || open(&path, Durability::Synced)).await.unwrap() {
            Err(error) => {
                refused.insert(error.to_string());
            }
            Ok(mut store) => {
                let all = store.try_get_log_entries(..).await;
                let Ok(all) = all else { continue };
                let expected: Vec<_> =
                    (0..60).map(|index| note(1, index, format!("entry {index}"))).collect();
                assert_eq!(all, expected, "flipped a bit of byte {place}");
                assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new_committed(9, 1)));
            }
        }
    }
    assert!(!refused.is_empty(), "no flip was noticed at all: the test looks at the wrong bytes");
    assert!(refused.iter().all(|text| text.starts_with("raft log: ")), "{refused:?}");
}

/// The tail of sled's file cut off: acknowledged entries are gone, and that is said.
#[tokio::test]
async fn a_file_cut_behind_our_back_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    {
        let mut store = synced(dir.path());
        for index in 0..200 {
            append(&mut store, 1, index..index + 1).await;
        }
    }
    let path = dir.path().join("db");
    let bytes = std::fs::read(&path).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    std::fs::write(&path, &bytes[..used * 9 / 10]).unwrap();
    let dir_path = dir.path().to_owned();
    let error =
        tokio::task::spawn_blocking(move || open(&dir_path, Durability::Synced).unwrap_err()).await.unwrap();
    assert!(error.to_string().starts_with("raft log: "), "{error}");
}

/// Entries that were acknowledged together with a truncation in another order never come back.
#[tokio::test]
async fn writes_in_flight_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    {
        let mut store = synced(dir.path());
        for round in 0..20_u64 {
            append(&mut store, round, 0..5).await;
            store.save_vote(&Vote::new(round + 1, 1)).await.unwrap();
            store.truncate(log_id(round, 0)).await.unwrap();
        }
        append(&mut store, 30, 0..2).await;
    }
    let mut store = synced(dir.path());
    let entries = store.try_get_log_entries(..).await.unwrap();
    assert_eq!(entries.iter().map(|e| e.log_id).collect::<Vec<_>>(), vec![log_id(30, 0), log_id(30, 1)]);
    assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new(20, 1)));
}

fn copy_tree(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_tree(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
