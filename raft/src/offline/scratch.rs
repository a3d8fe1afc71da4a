//! A private directory for a copy of what is only to be read. It is gone with the value.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::OfflineError;

/// The directory.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Copies the directory `from` into a new one below `below`, for this user only.
    ///
    /// # Errors
    /// [`OfflineError::Io`]; a part that was made is removed.
    pub(super) fn copy_of(from: &Path, below: &Path) -> Result<Self, OfflineError> {
        let scratch = Self(below.join(format!("hellojohn-{}", Uuid::new_v4())));
        copy(from, &scratch.0)?;
        Ok(scratch)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %self.0.display(), "a copy of a log stays behind; remove it");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), OfflineError> {
    DirBuilder::new().mode(0o700).create(to).map_err(OfflineError::io("create", to))?;
    let listed = || OfflineError::io("list", from);
    for entry in fs::read_dir(from).map_err(listed())? {
        let entry = entry.map_err(listed())?;
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(OfflineError::io("look at", &path))?;
        if kind.is_dir() {
            copy(&path, &target)?;
        } else if kind.is_file() {
            fs::copy(&path, &target).map(drop).map_err(OfflineError::io("copy", &path))?;
        }
    }
    Ok(())
}
