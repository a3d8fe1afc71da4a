//! Snapshots on disk: format with magic, version and checksum; durable rename; two kept.
//!
//! Owns `raft/snapshots/`. May import `crate::durable`; knows neither openraft nor what the payload means.
//! Must never happen here: a half-written file under a final name, an older snapshot deleted before the new
//! one is durable, a damaged one returned. All functions block on the disk; async callers go through
//! `spawn_blocking`.

mod format;
mod store;

pub(crate) use format::decode;
pub use format::{FORMAT_VERSION, SnapshotHeader, SnapshotLogId, SnapshotMetaFields};
pub use store::{Loaded, SnapshotFile, SnapshotStore};
pub(crate) use store::{encode, read, read_bytes};

use std::io;
use std::path::{Path, PathBuf};

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A file or directory operation failed.
    #[error("snapshot: cannot {doing} {}: {reason}", path.display())]
    Io { doing: &'static str, path: PathBuf, reason: io::Error },
    /// The file is not a snapshot at all.
    #[error("snapshot: {} does not begin with the magic of a hellojohn snapshot", path.display())]
    NotASnapshot { path: PathBuf },
    /// The file is of a format that this release does not know.
    #[error(
        "snapshot: {} has format version {version}, this release knows {known}; read it with the release that \
         wrote it",
        path.display()
    )]
    UnknownVersion { path: PathBuf, version: u16, known: u16 },
    /// The content does not match its checksum, or is cut.
    #[error("snapshot: {} is damaged: {reason}", path.display())]
    Damaged { path: PathBuf, reason: String },
    /// The file or payload is larger than the configured limit.
    #[error("snapshot: {} has {bytes} bytes, the limit is {limit}", path.display())]
    TooLarge { path: PathBuf, bytes: u64, limit: u64 },
}

impl SnapshotError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |reason| Self::Io { doing, path, reason }
    }
}
