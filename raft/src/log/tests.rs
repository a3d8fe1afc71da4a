//! Damage that only somebody with sled in hand can do, and faults while the log runs (F10, F12).

use std::io::Cursor;
use std::path::Path;
use std::sync::{Arc, Mutex};

use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::{CommittedLeaderId, Entry, EntryPayload, LogId, RaftLogReader, Vote};

use super::envelope::{self, Name};
use super::{Appended, Durability, Listener, LogError, LogStore, scan};
use crate::covered::Covered;

openraft::declare_raft_types!(
    Texts:
        D = String,
        R = (),
        NodeId = u64,
        Node = openraft::BasicNode,
        Entry = openraft::Entry<Texts>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = openraft::TokioRuntime,
);

fn open(dir: &Path) -> Result<LogStore<Texts>, LogError> {
    LogStore::open(dir, Durability::Synced)
}

fn text(index: u64, text: &str) -> Entry<Texts> {
    let log_id = LogId::new(CommittedLeaderId::new(1, 1), index);
    Entry { log_id, payload: EntryPayload::Normal(text.to_owned()) }
}

async fn filled(dir: &Path, entries: u64) {
    let mut store = open(dir).unwrap();
    store.blocking_append((0..entries).map(|index| text(index, &format!("entry {index}")))).await.unwrap();
    store.save_vote(&Vote::new(4, 2)).await.unwrap();
}

/// Changes the database behind the log's back; sled's own checksums are right afterwards.
fn tamper(dir: &Path, change: impl FnOnce(&sled::Tree, &sled::Tree)) {
    let backend = super::backend::Backend::open(dir, Durability::Synced).unwrap();
    let tables = backend.tables();
    change(&tables.log, &tables.meta);
}

/// ha.md, F10 and F11: what sled leaves behind when it is killed, or the disk is full, while it opens or closes.
#[tokio::test]
async fn an_unfinished_file_of_sled_does_not_keep_the_log_from_opening() {
    for left in [&b""[..], b"a part of what was to come", &[0; 4096]] {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 5).await;
        drop(open(dir.path()).unwrap());
        let newest = dir.path().join("snap.00FFFFFFFFFFFFFF.generating");
        std::fs::write(&newest, left).unwrap();
        let mut store = open(dir.path()).unwrap();
        let entries = store.try_get_log_entries(..).await.unwrap();
        assert_eq!(entries.len(), 5);
        assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new(4, 2)));
        assert!(!newest.exists());
    }
}

/// Purged entries are deleted little by little: what waits for that, or comes between, is as if they were gone.
#[tokio::test]
async fn a_purge_is_in_nobodys_way_and_is_finished_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2000).await;
    let purged = LogId::new(CommittedLeaderId::new(1, 1), 1899);
    let mut store = open(dir.path()).unwrap();
    store.purge(purged).await.unwrap();
    store.blocking_append((2000..2010).map(|index| text(index, "behind the purge"))).await.unwrap();
    store.truncate(LogId::new(CommittedLeaderId::new(1, 1), 2005)).await.unwrap();
    assert_eq!(store.try_get_log_entries(..).await.unwrap().len(), 105);
    drop(store);
    let count = |log: &sled::Tree| log.iter().filter(Result::is_ok).count();
    tamper(dir.path(), |log, _| assert!((105..2005).contains(&count(log)), "{} are left", count(log)));
    let mut store = open(dir.path()).unwrap();
    assert_eq!(store.last_purged(), Some(purged));
    let entries = store.try_get_log_entries(..).await.unwrap();
    assert_eq!((entries[0].log_id.index, entries.len()), (1900, 105));
    drop(store);
    tamper(dir.path(), |log, _| assert_eq!(count(log), 105));
}

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Appended>>);

impl Listener for Heard {
    fn appended(self: Arc<Self>, entries: Vec<Appended>) {
        self.0.lock().unwrap().extend(entries);
    }
}

/// Decision 0021.
#[tokio::test]
async fn who_listens_hears_of_each_entry_as_it_is_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, heard) = (open(dir.path()).unwrap(), Arc::new(Heard::default()));
    store.tell(Arc::<Heard>::clone(&heard));
    let entries: Vec<_> = (0..3).map(|index| text(index, "heard")).collect();
    store.blocking_append(entries.clone()).await.unwrap();
    let heard = heard.0.lock().unwrap();
    let decoded: Vec<Entry<Texts>> =
        heard.iter().map(|entry| serde_json::from_slice(&entry.json).unwrap()).collect();
    assert_eq!(decoded, entries);
    assert!(heard.iter().zip(&entries).all(|(heard, entry)| heard.log_id == entry.log_id));
}

/// Decision 0021.
#[tokio::test]
async fn a_vote_that_made_this_member_the_leader_is_open_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    store.save_vote(&Vote::new_committed(4, 2)).await.unwrap();
    drop(store);
    for (raft_id, vote) in [(3, Vote::new_committed(4, 2)), (2, Vote::new(4, 2))] {
        let mut store = open(dir.path()).unwrap();
        store.belongs_to(raft_id);
        assert_eq!(store.read_vote().await.unwrap(), Some(vote), "as member {raft_id}");
    }
    let mut store = open(dir.path()).unwrap();
    store.belongs_to(2);
    store.save_vote(&Vote::new_committed(5, 2)).await.unwrap();
    assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new_committed(5, 2)));
    drop(store);
    let mut store = open(dir.path()).unwrap();
    assert_eq!(store.read_vote().await.unwrap(), Some(Vote::new(5, 2)), "whatever reads it");
}

/// ha.md, F11: Raft purges what a snapshot replaces before the snapshot is on the disk.
#[tokio::test]
async fn a_purge_waits_for_its_snapshot_and_a_crash_before_leaves_the_log_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 20).await;
    let id = |index| LogId::new(CommittedLeaderId::new(1, 1), index);
    for (covered_to, purged, entries) in
        [(None, None, 20), (Some(99), None, 20), (Some(100), Some(id(100)), 0)]
    {
        let covered = Covered::default();
        let mut store =
            LogStore::<Texts>::open_behind(dir.path(), Durability::Synced, covered.clone()).unwrap();
        store.purge(id(100)).await.unwrap();
        assert_eq!(store.get_log_state().await.unwrap().last_log_id, Some(id(100)), "for Raft it is done");
        store.save_committed(Some(id(100))).await.unwrap();
        store.save_vote(&Vote::new(4, 2)).await.unwrap();
        covered_to.into_iter().for_each(|index| covered.raise(index));
        drop(store);
        let mut store = open(dir.path()).unwrap();
        assert_eq!(store.last_purged(), purged, "{covered_to:?}");
        assert_eq!(store.try_get_log_entries(..).await.unwrap().len(), entries, "{covered_to:?}");
    }
}

/// ha.md, F12: a purge is on the disk soon after its snapshot, with the promise that goes with it, though nothing follows.
#[tokio::test]
async fn a_purge_is_written_down_once_its_snapshot_is_there_without_another_write() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 20).await;
    let covered = Covered::default();
    let mut store = LogStore::<Texts>::open_behind(dir.path(), Durability::Synced, covered.clone()).unwrap();
    store.purge(LogId::new(CommittedLeaderId::new(1, 1), 100)).await.unwrap();
    let promised =
        || String::from_utf8_lossy(&std::fs::read(dir.path().join("watermark")).unwrap()).into_owned();
    assert!(!promised().contains(r#""last_index":100"#), "{}", promised());
    covered.raise(100);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !promised().contains(r#""last_index":100"#) {
        assert!(std::time::Instant::now() < deadline, "{}", promised());
        tokio::task::yield_now().await;
    }
}

/// What a crash in the middle of a deletion leaves of a large entry is no part of the one that takes its place.
#[tokio::test]
async fn the_rest_of_a_large_entry_goes_whichever_parts_of_it_are_left() {
    let large = "x".repeat(300_000);
    for kept in [1_usize, 5, 8] {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 3).await;
        let mut store = open(dir.path()).unwrap();
        store.blocking_append([text(3, &large)]).await.unwrap();
        drop(store);
        tamper(dir.path(), |log, _| {
            let parts: Vec<_> =
                log.range(scan::key(3, 0)..scan::key(4, 0)).keys().map(Result::unwrap).collect();
            assert!(parts.len() > 9, "{} parts", parts.len());
            for part in parts.iter().take(kept) {
                log.remove(part).unwrap();
            }
        });
        // The watermark belongs to the entry that was there.
        std::fs::remove_file(dir.path().join("watermark")).unwrap();
        let mut store = open(dir.path()).unwrap();
        store.blocking_append([text(3, "small")]).await.unwrap();
        drop(store);
        let mut store = open(dir.path()).unwrap();
        assert_eq!(store.try_get_log_entries(3..).await.unwrap(), [text(3, "small")], "{kept}");
        store.purge(LogId::new(CommittedLeaderId::new(1, 1), 3)).await.unwrap();
        drop(store);
        drop(open(dir.path()).unwrap());
        tamper(dir.path(), |log, _| assert!(log.is_empty()));
    }
}

#[tokio::test]
async fn a_flipped_bit_in_an_entry_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5).await;
    tamper(dir.path(), |log, _| {
        let mut value = log.get(scan::key(3, 0)).unwrap().unwrap().to_vec();
        let last = value.len() - 1;
        value[last] ^= 0x10;
        log.insert(scan::key(3, 0), value).unwrap();
    });
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(&error, LogError::Damaged { record } if record == "entry 3"), "{error}");
    assert!(error.to_string().contains("Keep the node stopped"), "{error}");
}

#[tokio::test]
async fn an_entry_damaged_while_the_log_is_open_is_never_served_and_ends_the_node() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 5).await;
    let mut store = open(dir.path()).unwrap();
    store.reader.shared.tables().log.insert(scan::key(2, 0), b"nonsense").unwrap();
    assert_eq!(store.try_get_log_entries(0..2).await.unwrap().len(), 2);
    let error = store.try_get_log_entries(0..5).await.unwrap_err();
    assert!(error.to_string().contains("entry 2"), "{error}");
    assert!(store.handle().fatal().borrow().is_some());
    assert!(
        store.save_vote(&Vote::new(9, 1)).await.is_err(),
        "a node that cannot read its log must not vote"
    );
}

#[tokio::test]
async fn an_entry_of_a_later_format_says_so() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2).await;
    tamper(dir.path(), |log, _| {
        log.insert(scan::key(1, 0), b"\x07later".as_slice()).unwrap();
    });
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, LogError::UnknownVersion { version: 7, .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_vote_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 2).await;
    tamper(dir.path(), |_, meta| {
        let forged = envelope::seal(Name::Meta("last_purged"), br#"{"leader_id":{"term":1,"node_id":1}}"#);
        meta.insert("vote", forged).unwrap();
    });
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(&error, LogError::Damaged { record } if record.contains("vote")), "{error}");
}

#[tokio::test]
async fn a_missing_entry_vote_or_tail_is_refused() {
    type Change = fn(&sled::Tree, &sled::Tree);
    let cases: [(&str, Change); 4] = [
        ("entry 2 is missing", |log, _| drop(log.remove(scan::key(2, 0)).unwrap())),
        ("entry 0 is missing", |log, _| drop(log.remove(scan::key(0, 0)).unwrap())),
        ("the log was acknowledged up to 4", |log, _| drop(log.remove(scan::key(4, 0)).unwrap())),
        ("the vote was acknowledged", |_, meta| drop(meta.remove("vote").unwrap())),
    ];
    for (expected, change) in cases {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path(), 5).await;
        tamper(dir.path(), change);
        let error = open(dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

/// F12: a tail that was never acknowledged is dropped, without a word to the caller.
#[tokio::test]
async fn the_torn_tail_of_an_entry_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 3).await;
    tamper(dir.path(), |log, _| {
        for number in 1..4 {
            log.insert(scan::key(3, number), b"continuation without head".as_slice()).unwrap();
        }
    });
    let mut store = open(dir.path()).unwrap();
    let big = "z".repeat(100_000);
    store.blocking_append([text(3, &big)]).await.unwrap();
    drop(store);
    let mut store = open(dir.path()).unwrap();
    assert_eq!(store.try_get_log_entries(3..).await.unwrap(), vec![text(3, &big)]);
}

#[tokio::test]
async fn the_rest_of_an_interrupted_purge_is_cleared_away() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path(), 6).await;
    tamper(dir.path(), |_, meta| {
        let upto = serde_json::to_vec(&text(2, "").log_id).unwrap();
        meta.insert("last_purged", envelope::seal(Name::Meta("last_purged"), &upto)).unwrap();
    });
    {
        let mut store = open(dir.path()).unwrap();
        assert_eq!(store.last_purged().map(|id| id.index), Some(2));
        assert_eq!(store.try_get_log_entries(..).await.unwrap().len(), 3);
    }
    tamper(dir.path(), |log, _| assert_eq!(log.len(), 3));
}

/// F10: an I/O error while running is fatal, is told to everyone, and nothing is acknowledged after it.
#[tokio::test]
async fn a_failed_sync_ends_the_log_loudly() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    let mut fatal = store.handle().fatal();
    store.blocking_append([text(0, "fine")]).await.unwrap();
    std::fs::remove_dir(dir.path().join("blobs")).unwrap();
    let error = store.blocking_append([text(1, "lost")]).await.unwrap_err();
    assert!(error.to_string().contains("cannot fsync"), "{error}");
    let told = fatal.wait_for(Option::is_some).await.unwrap().clone();
    assert!(matches!(told, Some(LogError::Io { doing: "fsync", .. })), "{told:?}");
    std::fs::create_dir(dir.path().join("blobs")).unwrap();
    assert!(store.save_vote(&Vote::new(5, 1)).await.is_err(), "no vote after a failed sync");
    assert!(store.blocking_append([text(2, "no")]).await.is_err());
    assert!(store.get_log_state().await.is_err());
}

/// More than the memory cache holds, read back across the border between disk and memory.
#[tokio::test]
async fn reads_cross_from_disk_into_memory() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path()).unwrap();
    let big = "m".repeat(500_000);
    for index in 0..50 {
        store.blocking_append([text(index, &format!("{index}{big}"))]).await.unwrap();
    }
    assert!(store.reader.shared.memory().recent_id(0).is_none(), "the oldest entries left the cache");
    assert!(store.reader.shared.memory().recent_id(49).is_some());
    let all = store.try_get_log_entries(..).await.unwrap();
    assert_eq!(all.len(), 50);
    assert!(all.iter().zip(0..).all(|(entry, index)| *entry == text(index, &format!("{index}{big}"))));
}
