//! The place that knows sled (with its helper `scan`): records in two trees, and the sync that makes them last.
//!
//! Entries live in the tree `log`. The key is the index as eight big-endian bytes; what does not fit into
//! [`CHUNK`] bytes continues under the same eight bytes followed by a four-byte chunk number, from 1.
//! Small values matter for safety, not only for speed: sled moves any page above a quarter of its segment
//! into a file of its own under `blobs/`, which it never syncs. With these sizes no page grows that large,
//! and [`Backend::sync`] syncs such files all the same, should one appear.
//!
//! sled recovers a prefix of what was written, so each operation writes in an order whose every prefix is
//! sound: the continuation before the head of an entry, `last_purged` before the purged entries go, the
//! last entry first when the tail is cut.

use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::envelope::{self, Name};
use super::error::LogError;
use super::{Durability, scan};
use crate::durable;

/// Largest value handed to sled. A leaf holds at most 16 values between splits, 20 after a merge:
/// 20 × 16 KiB stays below a quarter of [`SEGMENT`].
const CHUNK: usize = 16 * 1024;
/// sled's unit of allocation and reuse.
const SEGMENT: usize = 2 * 1024 * 1024;
/// Payload written between two syncs at most. sled reuses a segment once what replaces it is two segments
/// old, by its own weak notion of stable; it writes about five bytes for one of ours, so at this bound
/// nothing is reused before its replacement has been synced by us.
const MAX_UNSYNCED: usize = 256 * 1024;
/// Bytes of purged entries deleted in one step: one sync at most holds up whoever waits.
const DELETE_BYTES: usize = 128 * 1024;
/// Pages that sled keeps in memory. Recent entries are in our own cache already.
const CACHE_BYTES: u64 = 32 * 1024 * 1024;
/// sled lets go of its lock a moment after the last handle is dropped; longer than this means somebody else.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// Keys of the meta tree.
pub(super) const VOTE: &str = "vote";
pub(super) const LAST_PURGED: &str = "last_purged";
pub(super) const COMMITTED: &str = "committed";

/// The open database. All methods that write belong to the writer thread.
#[derive(Debug)]
pub(super) struct Backend {
    dir: PathBuf,
    db: sled::Db,
    tables: Tables,
    /// Our own handle on sled's file, for the sync that sled does not do.
    file: File,
    durability: Durability,
    /// Payload bytes written since the last sync.
    unsynced: usize,
    synced_blobs: HashSet<OsString>,
}

/// The trees, for reading from any thread.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    dir: PathBuf,
    pub(super) log: sled::Tree,
    pub(super) meta: sled::Tree,
}

impl Backend {
    /// Opens or creates the database in `dir` and makes its files durable.
    pub(super) fn open(dir: &Path, durability: Durability) -> Result<Self, LogError> {
        durable::create_dir_all_durably(dir).map_err(|error| LogError::io("create", dir, &error))?;
        let db = open_database(dir)?;
        let failed = |doing| move |error: sled::Error| database(doing, dir, &error);
        let log = db.open_tree("log").map_err(failed("open tree log"))?;
        let meta = db.open_tree("meta").map_err(failed("open tree meta"))?;
        let path = dir.join("db");
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| LogError::io("open", &path, &error))?;
        let mut backend = Self {
            dir: dir.to_owned(),
            db,
            tables: Tables { dir: dir.to_owned(), log, meta },
            file,
            durability,
            unsynced: 0,
            synced_blobs: HashSet::new(),
        };
        backend.sync()?;
        if durability == Durability::Synced {
            sync_files(dir).map_err(|error| LogError::io("fsync", dir, &error))?;
        }
        Ok(backend)
    }

    /// Handles for reading.
    pub(super) fn tables(&self) -> Tables {
        self.tables.clone()
    }

    /// Writes the sealed entry at `index`. It lasts after the next [`Self::sync`].
    pub(super) fn put_entry(&mut self, index: u64, sealed: &[u8]) -> Result<(), LogError> {
        let mut chunks = sealed.chunks(CHUNK).zip(0_u32..);
        let head = chunks.next();
        for (chunk, number) in chunks.chain(head) {
            self.room_for(chunk.len())?;
            self.tables
                .log
                .insert(scan::key(index, number), chunk)
                .map_err(|error| database("write an entry", &self.dir, &error))?;
        }
        Ok(())
    }

    /// Deletes the entries `from..=last`, the last one first, so that no crash leaves a hole.
    pub(super) fn delete_from(&mut self, from: u64, last: u64) -> Result<(), LogError> {
        for index in (from..=last).rev() {
            self.delete_entry(index)?;
        }
        Ok(())
    }

    /// Deletes of these entries, oldest first, as many as come to [`DELETE_BYTES`], and gives the first that is left. Call
    /// after `last_purged` was written.
    pub(super) fn delete(&mut self, purged: Range<u64>) -> Result<u64, LogError> {
        let mut bytes = 0;
        for index in purged.clone() {
            if bytes >= DELETE_BYTES {
                return Ok(index);
            }
            bytes += self.delete_entry(index)?;
        }
        Ok(purged.end)
    }

    /// Deletes whatever is before the entry at `first`.
    pub(super) fn delete_before(&mut self, first: u64) -> Result<(), LogError> {
        let failed = |dir: &Path, error: &sled::Error| database("delete an entry", dir, error);
        while let Some(found) = self.tables.log.range(..scan::key(first, 0)).next() {
            let (key, value) = found.map_err(|error| failed(&self.dir, &error))?;
            self.tables.log.remove(key).map_err(|error| failed(&self.dir, &error))?;
            self.room_for(value.len())?;
        }
        Ok(())
    }

    /// Deletes one entry and gives its size. Head before continuation: a continuation without head is a torn tail, a head
    /// without continuation would be damage. Whatever a crash left of it goes too.
    fn delete_entry(&mut self, index: u64) -> Result<usize, LogError> {
        let failed = |dir: &Path, error: &sled::Error| database("delete an entry", dir, error);
        let chunks = self.tables.log.range(scan::key(index, 0)..scan::key(index.saturating_add(1), 0));
        let chunks: Vec<_> = chunks.collect::<Result<_, _>>().map_err(|error| failed(&self.dir, &error))?;
        let mut bytes = 0;
        for (key, value) in chunks {
            self.tables.log.remove(key).map_err(|error| failed(&self.dir, &error))?;
            self.room_for(value.len())?;
            bytes += value.len();
        }
        Ok(bytes)
    }

    /// Writes a record of the meta tree.
    pub(super) fn put_meta(&mut self, key: &'static str, body: &[u8]) -> Result<(), LogError> {
        self.tables
            .meta
            .insert(key, envelope::seal(Name::Meta(key), body))
            .map_err(|error| database("write a record", &self.dir, &error))?;
        Ok(())
    }

    /// Forces everything written so far to the disk. Nothing may be acknowledged before this returned `Ok`.
    /// After an error the state of the disk is unknown and the store must not be written again.
    pub(super) fn sync(&mut self) -> Result<(), LogError> {
        self.db.flush().map_err(|error| database("flush", &self.dir, &error))?;
        if self.durability == Durability::Synced {
            self.sync_blobs()?;
            self.file.sync_data().map_err(|error| LogError::io("fdatasync", &self.dir.join("db"), &error))?;
        }
        self.unsynced = 0;
        Ok(())
    }

    /// Hands what was written to sled's file without waiting for the disk: for records whose loss in a
    /// power cut is harmless.
    pub(super) fn flush_lazily(&self) -> Result<(), LogError> {
        self.db.flush().map(drop).map_err(|error| database("flush", &self.dir, &error))
    }

    /// Bytes of all files on disk.
    pub(super) fn disk_bytes(&self) -> Result<u64, LogError> {
        files_of(&self.dir)
            .and_then(|paths| {
                paths.iter().try_fold(0_u64, |sum, path| match fs::metadata(path) {
                    Ok(found) => Ok(sum.saturating_add(found.len())),
                    // sled removes files in the background.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(sum),
                    Err(error) => Err(error),
                })
            })
            .map_err(|error| LogError::io("measure", &self.dir, &error))
    }

    fn room_for(&mut self, bytes: usize) -> Result<(), LogError> {
        if self.unsynced > 0 && self.unsynced + bytes > MAX_UNSYNCED {
            self.sync()?;
        }
        self.unsynced += bytes;
        Ok(())
    }

    fn sync_blobs(&mut self) -> Result<(), LogError> {
        let dir = self.dir.join("blobs");
        let failed = |error: io::Error| LogError::io("fsync", &dir, &error);
        let mut present = HashSet::new();
        let mut fresh = false;
        for entry in fs::read_dir(&dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            if !self.synced_blobs.contains(&name) {
                fresh = true;
                match File::open(dir.join(&name)).and_then(|file| file.sync_all()) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    other => other.map_err(failed)?,
                }
            }
            present.insert(name);
        }
        if fresh {
            durable::sync_dir(&dir).map_err(failed)?;
        }
        self.synced_blobs = present;
        Ok(())
    }
}

impl Tables {
    /// The body of a record of the meta tree.
    pub(super) fn meta(&self, key: &'static str) -> Result<Option<Vec<u8>>, LogError> {
        let found = self.meta.get(key).map_err(|error| database("read a record", &self.dir, &error))?;
        found.map(|bytes| envelope::unseal(Name::Meta(key), &bytes).map(<[u8]>::to_vec)).transpose()
    }

    /// The bodies of the entries `from..to`, each checked. Stops before the first index that is missing.
    pub(super) fn entries(&self, from: u64, to: u64) -> Result<Vec<(u64, Vec<u8>)>, LogError> {
        let mut found = Vec::new();
        for record in scan::records(&self.log, from..to) {
            let record = record.map_err(|error| database("read entries", &self.dir, &error))?;
            if record.index != from.saturating_add(u64::try_from(found.len()).unwrap_or(u64::MAX)) {
                break;
            }
            if !record.has_head {
                break;
            }
            let body = envelope::unseal(Name::Entry(record.index), &record.bytes)?.to_vec();
            found.push((record.index, body));
        }
        Ok(found)
    }

    /// The error for a panic inside sled.
    pub(super) fn panicked(&self, reason: &str) -> LogError {
        LogError::Panicked { path: self.dir.clone(), reason: reason.to_owned() }
    }

    /// All records of the log tree in order of their index, unchecked.
    pub(super) fn records(&self) -> impl Iterator<Item = Result<scan::Record, LogError>> + '_ {
        scan::records(&self.log, 0..u64::MAX)
            .map(|record| record.map_err(|error| database("read entries", &self.dir, &error)))
    }
}

fn open_database(dir: &Path) -> Result<sled::Db, LogError> {
    remove_unfinished(dir).map_err(|error| LogError::io("sweep", dir, &error))?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        let opened = sled::Config::new()
            .path(dir)
            .mode(sled::Mode::HighThroughput)
            .cache_capacity(CACHE_BYTES)
            .segment_size(SEGMENT)
            .flush_every_ms(None)
            .use_compression(false)
            .open();
        match opened {
            Ok(db) => return Ok(db),
            Err(sled::Error::Io(error)) if error.to_string().contains("could not acquire lock") => {
                if Instant::now() >= deadline {
                    return Err(LogError::InUse { path: dir.to_owned() });
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
            Err(error) => return Err(database("open", dir, &error)),
        }
    }
}

/// sled writes where its pages are to `snap.N.generating`, syncs it and renames it to `snap.N`. One that a crash or a full
/// disk leaves behind it takes for the newest when it opens, and calls the log corrupted; what it was to replace is
/// still there (0.34.7, `read_snapshot` and `write_snapshot`).
fn remove_unfinished(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            tracing::info!(path = %path.display(), "removed an unfinished file of the log's database");
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Syncs every file below `dir` and the directories that hold their names.
fn sync_files(dir: &Path) -> io::Result<()> {
    for path in files_of(dir)? {
        match File::open(&path).and_then(|file| file.sync_all()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    durable::sync_dir(&dir.join("blobs"))?;
    durable::sync_dir(dir)
}

/// The files in `dir` and in `dir/blobs`.
fn files_of(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for place in [dir.to_owned(), dir.join("blobs")] {
        for entry in fs::read_dir(place)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

pub(super) fn database(doing: &'static str, dir: &Path, error: &sled::Error) -> LogError {
    LogError::Database { doing, path: dir.to_owned(), reason: error.to_string() }
}
