//! An archive: a state of the control plane in a file of its own, in the format of the snapshots (see
//! [`crate::snapshot`]), so that a file out of a node's `raft/snapshots/` is an archive too.
//!
//! Owns what must be true of such a file before anybody works with it. Must never give out an archive that was not
//! checked whole: every byte, the documents in it, and that its header tells of the same cluster as its content.

mod fields;
mod summary;

#[cfg(test)]
mod tests;

pub(crate) use fields::{from_fields, meta, to_fields};
pub use summary::{MemberSummary, Summary};

use std::io;
use std::path::{Path, PathBuf};

use hellojohn_control::{Image, ImageError, Issuer, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::durable;
use crate::replica::Replica;
use crate::snapshot::{self, SnapshotError};
use crate::types::SnapshotMeta;

/// Largest snapshot or archive that is written or read.
pub const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;

/// Why an archive cannot be read, made or kept.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file is damaged, of another format, or cannot be read or written.
    #[error(transparent)]
    File(#[from] SnapshotError),
    /// The checksum is right, and what it protects is not a state that this release knows.
    #[error("archive: {}: {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What does not decode.
        reason: ImageError,
    },
    /// The parts of the file contradict each other.
    #[error("archive: {} does not make sense: {reason}", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// Which parts, and how.
        reason: String,
    },
    /// A file is not replaced.
    #[error("archive: {} exists already; give another name, or remove it first", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("archive: {0}")]
    Write(io::Error),
}

/// A state of the control plane with its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Archive {
    pub(crate) meta: SnapshotMeta,
    pub(crate) image: Image,
    pub(crate) created_at: Timestamp,
}

/// An archive and the file that it was in.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchiveFile {
    /// What is in it.
    pub archive: Archive,
    /// Bytes of the file.
    pub size: u64,
    /// SHA-256 of the file, lower-case hex.
    pub sha256: String,
}

impl Archive {
    /// The state of `image`, as of `meta`.
    pub(crate) fn new(meta: SnapshotMeta, image: Image, created_at: Timestamp) -> Self {
        Self { meta, image, created_at }
    }

    /// Reads a file and checks all of it.
    ///
    /// # Errors
    /// [`ArchiveError`] names the file and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, ArchiveError> {
        Self::checked(path, snapshot::read(path, MAX_BYTES)?)
    }

    /// The same, with what tells this file from another.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_file(path: &Path) -> Result<ArchiveFile, ArchiveError> {
        let bytes = snapshot::read_bytes(path, MAX_BYTES)?;
        let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(ArchiveFile { archive: Self::decode(path, bytes)?, size, sha256 })
    }

    /// Checks all of the bytes that are, or are to be, the file at `path`.
    ///
    /// # Errors
    /// [`ArchiveError`] names the file and what is wrong with it.
    pub fn decode(path: &Path, bytes: Vec<u8>) -> Result<Self, ArchiveError> {
        Self::checked(path, snapshot::decode(path, bytes)?)
    }

    fn checked(
        path: &Path,
        (header, payload): (snapshot::SnapshotHeader, Vec<u8>),
    ) -> Result<Self, ArchiveError> {
        let content = |reason| ArchiveError::Content { path: path.to_owned(), reason };
        let contradiction = |reason: String| ArchiveError::Contradiction { path: path.to_owned(), reason };
        let meta = from_fields(&header.meta)
            .map_err(|error| contradiction(format!("its membership does not decode: {error}")))?;
        let image = Image::decode(&payload).map_err(content)?;
        // As a node would: the documents must fit together.
        Replica::new(Issuer::new("")).install(&meta, image.clone()).map_err(content)?;
        let cluster_id = cluster_id(&image);
        if header.meta.cluster_id != cluster_id {
            let named = |id: Option<String>| id.unwrap_or_else(|| "none".to_owned());
            return Err(contradiction(format!(
                "its header names cluster {}, its content cluster {}",
                named(header.meta.cluster_id),
                named(cluster_id)
            )));
        }
        if meta.last_log_id.is_none() && image.formation.is_some() {
            return Err(contradiction("it holds a state, but no entry that made it".to_owned()));
        }
        Ok(Self { meta, image, created_at: Timestamp::from_millis(header.meta.created_at_ms) })
    }

    /// The bytes of the file. The same archive always gives the same.
    ///
    /// # Errors
    /// Only when it is larger than an archive may be.
    pub fn encode(&self, path: &Path) -> Result<Vec<u8>, ArchiveError> {
        let content = |reason| ArchiveError::Content { path: path.to_owned(), reason };
        let payload = self.image.encode().map_err(content)?;
        let fields = to_fields(&self.meta, cluster_id(&self.image), self.created_at)
            .map_err(|error| content(error.into()))?;
        Ok(snapshot::encode(path, fields, &payload, MAX_BYTES)?)
    }

    /// The index of the last entry that is inside; 0 for the state before any.
    pub fn index(&self) -> u64 {
        self.meta.last_log_id.map_or(0, |id| id.index)
    }
}

/// The id of the cluster that a state belongs to.
pub(crate) fn cluster_id(image: &Image) -> Option<String> {
    image.formation.as_ref().map(|formation| formation.cluster_id.to_string())
}

/// Puts an archive where nothing is yet. When this returns `Ok` it survives a power cut. It is for its owner only:
/// it holds the sealed secrets of every tenant.
///
/// # Errors
/// [`ArchiveError::Exists`], [`ArchiveError::Write`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
    match path.symlink_metadata() {
        Ok(_) => return Err(ArchiveError::Exists { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(ArchiveError::Write(error)),
    }
    durable::write_file_durably(path, bytes).map_err(ArchiveError::Write)
}
