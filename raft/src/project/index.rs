//! `raft/projected`: up to which index the files are known to be those of the state. Written after the files
//! and durably, so it is never ahead of them. A node's own business: it is not compared between nodes.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::files::{Dir, Kind};

/// Below the root. An operator may have put it on another disk, so a symbolic link is followed here.
const DIRECTORY: &str = "raft";
const FILE: &str = "projected";
const VERSION: u16 = 1;
/// More bytes than the file can have.
const LIMIT: u64 = 1_024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Projected {
    v: u16,
    projected_index: u64,
}

/// The persisted index. A missing, damaged or newer file is like none: everything is compared then anyway,
/// and nothing is taken for ours that is not.
///
/// # Errors
/// Any I/O error but a missing file or directory.
pub(super) fn read(root: &Path) -> io::Result<Option<u64>> {
    let dir = match Dir::open_configured(&root.join(DIRECTORY)) {
        Ok(dir) => dir,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let name = OsStr::new(FILE);
    match dir.stat(name)? {
        None => return Ok(None),
        Some(stat) if stat.kind != Kind::File => {
            tracing::warn!(
                "raft/projected is not a regular file; all files are compared as if it was missing"
            );
            return Ok(None);
        }
        Some(_) => {}
    }
    match serde_json::from_slice::<Projected>(&dir.read(name, LIMIT)?) {
        Ok(Projected { v: VERSION, projected_index }) => Ok(Some(projected_index)),
        Ok(_) | Err(_) => {
            tracing::warn!("raft/projected cannot be read; all files are compared as if it was missing");
            Ok(None)
        }
    }
}

/// Replaces the persisted index in one durable step.
///
/// # Errors
/// Any I/O error; the old index stands then.
pub(super) fn write(root: &Dir, path: &Path, projected_index: u64) -> io::Result<()> {
    let configured = path.join(DIRECTORY);
    let dir = match Dir::open_configured(&configured) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            root.make_child(OsStr::new(DIRECTORY))?;
            root.sync()?;
            Dir::open_configured(&configured)?
        }
        opened => opened?,
    };
    let name = OsStr::new(FILE);
    let mut bytes = serde_json::to_vec(&Projected { v: VERSION, projected_index })?;
    bytes.push(b'\n');
    let unfinished = dir.prepare(name, &bytes)?;
    let written = unfinished.sync().and_then(|()| dir.finish(&unfinished, name));
    if written.is_err() {
        // Best effort; the next write replaces it.
        drop(dir.discard(&unfinished));
    }
    written?;
    dir.sync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_in_the_pinned_form() {
        let temp = tempfile::tempdir().unwrap();
        assert_eq!(read(temp.path()).unwrap(), None);
        let root = Dir::open_configured(temp.path()).unwrap();
        write(&root, temp.path(), 7).unwrap();
        write(&root, temp.path(), u64::MAX).unwrap();
        assert_eq!(read(temp.path()).unwrap(), Some(u64::MAX));
        let bytes = std::fs::read_to_string(temp.path().join("raft/projected")).unwrap();
        assert_eq!(bytes, "{\"v\":1,\"projected_index\":18446744073709551615}\n");
    }

    #[test]
    fn a_damaged_or_newer_file_counts_as_none() {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("raft")).unwrap();
        for bad in ["", "{", "{\"v\":2,\"projected_index\":1}", "{\"v\":1,\"projected_index\":-1}", "\0\0\0"]
        {
            std::fs::write(temp.path().join("raft/projected"), bad).unwrap();
            assert_eq!(read(temp.path()).unwrap(), None, "{bad}");
        }
    }
}
