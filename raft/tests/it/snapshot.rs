//! Snapshot files from outside (spec §3.5, F11, F12).

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::fs;
use std::path::{Path, PathBuf};

use hellojohn_raft::snapshot::{SnapshotError, SnapshotLogId, SnapshotMetaFields, SnapshotStore};

const LIMIT: u64 = 1024 * 1024;
const GOLDEN: &[u8] = include_bytes!("testdata/snapshot-v1.snap");

fn meta(term: u64, index: u64) -> SnapshotMetaFields {
    SnapshotMetaFields {
        snapshot_id: format!("s-{term}-{index}"),
        last_log_id: Some(SnapshotLogId { index, term, leader: 1 }),
        membership: serde_json::json!({"configs": [[1, 2, 3]]}),
        cluster_id: Some("5d0a2a0c-5a54-4b0e-9a53-0e2c0a6f7b11".to_owned()),
        created_at_ms: 1_790_000_000_000,
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// DataChange guard: the bytes of version 1, read and written.
#[test]
fn bytes_of_version_1_stay_what_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path(), LIMIT).unwrap();
    store.save(meta(3, 42), b"the payload").unwrap();
    let written = fs::read(&files(dir.path())[0]).unwrap();
    assert_eq!(written, GOLDEN, "a released format must not change; add a version instead");

    let path = dir.path().join("given.snap");
    fs::write(&path, GOLDEN).unwrap();
    let read = store.inspect(&path).unwrap();
    assert_eq!((read.header.meta, read.payload), (meta(3, 42), b"the payload".to_vec()));
}

#[test]
fn the_newest_is_loaded_and_two_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path(), LIMIT).unwrap();
    assert!(store.load_newest_valid().unwrap().snapshot.is_none());
    for (term, index) in [(1, 5), (1, 10), (2, 100), (11, 1000)] {
        store.save(meta(term, index), index.to_string().as_bytes()).unwrap();
    }
    assert_eq!(files(dir.path()).len(), 2);
    let loaded = store.load_newest_valid().unwrap();
    assert!(loaded.damaged.is_empty());
    assert_eq!(loaded.snapshot.unwrap().payload, b"1000");
    assert!(store.disk_bytes().unwrap() > 200);
}

#[test]
fn two_snapshots_of_one_position_do_not_collide_and_the_later_one_wins() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path(), LIMIT).unwrap();
    store.save(meta(1, 5), b"first").unwrap();
    let mut earlier_clock = meta(1, 5);
    earlier_clock.created_at_ms -= 60_000;
    store.save(earlier_clock, b"second").unwrap();
    assert_eq!(files(dir.path()).len(), 2);
    assert_eq!(store.load_newest_valid().unwrap().snapshot.unwrap().payload, b"second");
}

/// F12: every flipped bit and every cut is refused by name, and the older snapshot serves.
#[test]
fn damage_is_reported_and_the_older_snapshot_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path(), LIMIT).unwrap();
    store.save(meta(1, 1), b"old").unwrap();
    store.save(meta(1, 2), b"new").unwrap();
    let newest = files(dir.path()).pop().unwrap();
    let whole = fs::read(&newest).unwrap();
    let check = |bytes: &[u8], what: &str| {
        fs::write(&newest, bytes).unwrap();
        let loaded = store.load_newest_valid().unwrap();
        assert_eq!(loaded.snapshot.unwrap().payload, b"old", "{what}");
        let [error] = loaded.damaged.as_slice() else { panic!("{what}: {:?}", loaded.damaged) };
        assert!(error.to_string().contains(newest.to_str().unwrap()), "{what}: {error}");
    };
    for byte in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[byte] ^= 1 << (byte % 8);
        check(&flipped, &format!("byte {byte} flipped"));
    }
    for length in 0..whole.len() {
        check(&whole[..length], &format!("cut to {length} bytes"));
    }
    let mut longer = whole.clone();
    longer.push(0);
    check(&longer, "one byte more");
}

/// F12: a snapshot that was found damaged is no second one. It goes when the next is written, and whole ones stay.
#[test]
fn a_damaged_snapshot_is_replaced_before_whole_ones() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path(), LIMIT).unwrap();
    store.save(meta(1, 1), b"old").unwrap();
    store.save(meta(1, 2), b"new").unwrap();
    let newest = files(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    bytes[20] ^= 1;
    fs::write(&newest, bytes).unwrap();
    assert_eq!(store.load_newest_valid().unwrap().snapshot.unwrap().payload, b"old");
    assert!(newest.exists(), "nothing is removed before there is something in its place");
    store.save(meta(1, 3), b"newer").unwrap();
    assert!(!newest.exists());
    let kept: Vec<Vec<u8>> =
        files(dir.path()).iter().map(|path| store.inspect(path).unwrap().payload).collect();
    assert_eq!(kept, [b"old".to_vec(), b"newer".to_vec()]);
}

/// What another release wrote is not damaged: it stays until it is older than two that this one can read.
#[test]
fn a_snapshot_of_a_newer_format_is_not_thrown_away_as_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path(), LIMIT).unwrap();
    store.save(meta(1, 1), b"old").unwrap();
    store.save(meta(1, 2), b"new").unwrap();
    let newer = files(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&newer).unwrap();
    bytes[7] = 9;
    fs::write(&newer, bytes).unwrap();
    let loaded = store.load_newest_valid().unwrap();
    assert!(matches!(loaded.damaged.as_slice(), [SnapshotError::UnknownVersion { .. }]));
    let names = || files(dir.path()).len();
    store.save(meta(1, 3), b"a").unwrap();
    assert!(newer.exists());
    assert_eq!(names(), 3, "two that can be read, and that one");
    store.save(meta(1, 4), b"b").unwrap();
    assert!(!newer.exists());
    assert_eq!(names(), 2);
}

#[test]
fn a_newer_format_is_named_with_both_versions() {
    let dir = tempfile::tempdir().unwrap();
    let store = SnapshotStore::open(dir.path(), LIMIT).unwrap();
    let mut bytes = GOLDEN.to_vec();
    bytes[7] = 9;
    let path = dir.path().join("future");
    fs::write(&path, bytes).unwrap();
    let error = store.inspect(&path).unwrap_err();
    assert!(matches!(error, SnapshotError::UnknownVersion { version: 9, known: 1, .. }), "{error}");
    fs::write(&path, b"PK\x03\x04 something else").unwrap();
    assert!(matches!(store.inspect(&path).unwrap_err(), SnapshotError::NotASnapshot { .. }));
}

#[test]
fn too_large_is_refused_when_written_and_when_read() {
    let dir = tempfile::tempdir().unwrap();
    let small = SnapshotStore::open(dir.path(), 1000).unwrap();
    let error = small.save(meta(1, 1), &[0; 1000]).unwrap_err();
    assert!(matches!(error, SnapshotError::TooLarge { limit: 1000, .. }), "{error}");
    assert!(files(dir.path()).is_empty());
    SnapshotStore::open(dir.path(), LIMIT).unwrap().save(meta(1, 1), &[0; 1000]).unwrap();
    let loaded = small.load_newest_valid().unwrap();
    assert!(loaded.snapshot.is_none());
    assert!(matches!(loaded.damaged.as_slice(), [SnapshotError::TooLarge { .. }]));
}

/// F11: what a crash in the middle of `save` leaves behind is swept, other files are left alone.
#[test]
fn unfinished_files_are_swept_at_open_and_strangers_stay() {
    let dir = tempfile::tempdir().unwrap();
    let unfinished = dir.path().join(".00000000000000000001-00000000000000000009-0.snap.77-0.tmp");
    let stranger = dir.path().join("notes.txt");
    fs::write(&unfinished, b"half").unwrap();
    fs::write(&stranger, b"mine").unwrap();
    let store = SnapshotStore::open(dir.path(), LIMIT).unwrap();
    assert!(!unfinished.exists());
    store.save(meta(1, 1), b"x").unwrap();
    store.save(meta(1, 2), b"x").unwrap();
    store.save(meta(1, 3), b"x").unwrap();
    assert!(stranger.exists());
}
