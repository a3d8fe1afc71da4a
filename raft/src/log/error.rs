//! What can go wrong with the log, in words that name the file or index and the remedy.

use std::io;
use std::path::{Path, PathBuf};

use openraft::{AnyError, ErrorSubject, ErrorVerb, StorageError, StorageIOError};

/// A fault of the log on disk. Every one of them is fatal to the node: the store answers all later calls
/// with the first fault it met, and the process must end (spec §3.4).
#[derive(Debug, Clone, thiserror::Error)]
pub enum LogError {
    /// An operation on a file or directory failed.
    #[error("raft log: cannot {doing} {}: {reason}", path.display())]
    Io { doing: &'static str, path: PathBuf, reason: String },
    /// The embedded database refused or failed.
    #[error(
        "raft log: database in {}: cannot {doing}: {reason}; if the disk is well, the files are damaged: keep the node \
         stopped and see docs/ha.md, \"A node comes back\"",
        path.display()
    )]
    Database { doing: &'static str, path: PathBuf, reason: String },
    /// Another process has the log open.
    #[error(
        "raft log: {} is in use by another process; stop the other hellojohn that has this data directory, \
         or give this one its own",
        path.display()
    )]
    InUse { path: PathBuf },
    /// A record was written in a format that this release does not know.
    #[error(
        "raft log: {record} has format version {version}, this release knows {known}; start the release that \
         wrote it"
    )]
    UnknownVersion { record: String, version: u8, known: u8 },
    /// The bytes of a record do not match its checksum.
    #[error(
        "raft log: {record} is damaged (checksum does not match); the disk may be failing. Keep \
         the node stopped and see docs/ha.md, \"A node comes back\""
    )]
    Damaged { record: String },
    /// A record passes its checksum and still does not decode.
    #[error("raft log: {record} does not decode: {reason}; it was written by another release or by a fault")]
    Undecodable { record: String, reason: String },
    /// An entry in the middle of the log is missing.
    #[error(
        "raft log: entry {index} is missing although later ones exist; the disk lost data. Keep the node \
         stopped and see docs/ha.md, \"A node comes back\""
    )]
    Hole { index: u64 },
    /// The disk came back with less than was acknowledged.
    #[error(
        "raft log: {what} was acknowledged up to {expected}, the disk has {found}; it lost synced data. This \
         node must not vote with it: keep it stopped and see docs/ha.md, \"A node comes back\""
    )]
    Lost { what: &'static str, expected: String, found: String },
    /// An entry was offered at an index that does not follow the last one.
    #[error("raft log: entry {offered} offered after {last}; entries must follow each other")]
    NotConsecutive { offered: u64, last: u64 },
    /// The database panicked while it opened or read damaged files.
    #[error(
        "raft log: the database in {} failed unexpectedly: {reason}; keep the node stopped and see docs/ha.md, \
         \"A node comes back\"",
        path.display()
    )]
    Panicked { path: PathBuf, reason: String },
    /// The thread that owns all writes is gone.
    #[error("raft log: the writer thread has ended; the node must restart")]
    WriterGone,
}

impl LogError {
    pub(super) fn io(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), reason: error.to_string() }
    }

    /// As the error type of openraft, which stops the node when it sees one.
    pub(super) fn storage(&self, subject: ErrorSubject<u64>, verb: ErrorVerb) -> StorageError<u64> {
        StorageIOError::new(subject, verb, AnyError::new(self)).into()
    }
}

impl From<&LogError> for io::Error {
    fn from(error: &LogError) -> Self {
        Self::other(error.clone())
    }
}
