//! One process per Raft directory.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::{IdentityError, LOCK_FILE};

/// Holds the directory for this process; the kernel lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

impl DirLock {
    /// Takes the lock of `dir`, which must exist, or says that somebody else has it. Never waits.
    ///
    /// # Errors
    /// [`IdentityError::InUse`] or [`IdentityError::Io`].
    pub fn take(dir: &Path) -> Result<Self, IdentityError> {
        let path = dir.join(LOCK_FILE);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(IdentityError::io("open", &path))?;
        Self::lock(file, dir, &path)
    }

    /// Takes the lock of a directory that is only read, if it has one: a copy may lack it, and then nobody runs there.
    ///
    /// # Errors
    /// [`IdentityError::InUse`] or [`IdentityError::Io`].
    pub(crate) fn take_to_read(dir: &Path) -> Result<Option<Self>, IdentityError> {
        let path = dir.join(LOCK_FILE);
        match File::open(&path) {
            Ok(file) => Self::lock(file, dir, &path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(IdentityError::io("open", &path)(error)),
        }
    }

    fn lock(file: File, dir: &Path, path: &Path) -> Result<Self, IdentityError> {
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(IdentityError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(reason)) => {
                Err(IdentityError::Io { doing: "lock", path: path.to_owned(), reason })
            }
        }
    }
}
