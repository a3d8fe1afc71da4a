//! Writes that survive a power cut: temporary file, fsync, rename, fsync of the directory.
//!
//! Owns the one right order of those system calls, for everyone who keeps plain files (identity marker,
//! snapshots, projected YAML). Knows nothing of what it writes. All functions block on the disk; async
//! callers go through `spawn_blocking`.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How the name of every unfinished file ends. A file with this suffix was never acknowledged to anyone.
pub const TEMP_SUFFIX: &str = ".tmp";

/// Readable by the owner only: what this crate writes is state of an identity provider.
const FILE_MODE: u32 = 0o600;

/// A large file is written and removed in pieces of so many bytes, each on the disk before the next: a file system commits
/// all files together, and gives up the blocks of removed ones while it does, so that whoever syncs a log beside waits for
/// no more than one piece.
const PIECE: usize = 256 * 1024;
/// Rest after a piece, as a multiple of the time that it took: others have the disk meanwhile.
const REST: u32 = 2;
/// Longest rest after a piece, for slow disks.
const LONGEST_REST: Duration = Duration::from_millis(20);

/// How a large file is written or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the disk can: somebody waits.
    AtOnce,
    /// In pieces, with rests for others.
    InPieces,
}

/// Replaces `path` by `bytes` in one step: afterwards, and after any crash, the file has either its old
/// content or all of the new one, and once this returns `Ok` a power cut cannot undo it.
///
/// # Errors
/// Any I/O error, with the path in its text. The temporary file is removed; the old content is untouched
/// unless only the last step (fsync of the directory) failed.
pub fn write_file_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_file_at_pace(path, bytes, Pace::AtOnce)
}

/// As [`write_file_durably`], for a file that may be large.
///
/// # Errors
/// As [`write_file_durably`].
pub fn write_file_at_pace(path: &Path, bytes: &[u8], pace: Pace) -> io::Result<()> {
    let temp = temp_path(path)?;
    let written = write_and_rename(&temp, path, bytes, pace);
    if written.is_err() {
        // Best effort: a leftover is also swept by `remove_leftover_temps` at the next start.
        drop(fs::remove_file(&temp));
    }
    written?;
    sync_dir(parent_of(path))
}

fn write_and_rename(temp: &Path, path: &Path, bytes: &[u8], pace: Pace) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(temp)
        .map_err(|error| naming(temp, "create", &error))?;
    let piece = if pace == Pace::InPieces { PIECE } else { bytes.len().max(1) };
    let mut pieces = bytes.chunks(piece).peekable();
    while let Some(piece) = pieces.next() {
        file.write_all(piece).map_err(|error| naming(temp, "write", &error))?;
        if pieces.peek().is_some() {
            sync_piece(&file).map_err(|error| naming(temp, "fsync", &error))?;
        }
    }
    file.sync_all().map_err(|error| naming(temp, "fsync", &error))?;
    fs::rename(temp, path).map_err(|error| naming(path, "rename into", &error))
}

/// Makes a piece durable, and leaves the disk to others for a while.
fn sync_piece(file: &File) -> io::Result<()> {
    let began = Instant::now();
    file.sync_data()?;
    std::thread::park_timeout(began.elapsed().saturating_mul(REST).min(LONGEST_REST));
    Ok(())
}

/// Makes the names inside `dir` durable (creation, rename, removal).
///
/// # Errors
/// Any I/O error, with the path in its text.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    let handle = File::open(dir).map_err(|error| naming(dir, "open", &error))?;
    handle.sync_all().map_err(|error| naming(dir, "fsync", &error))
}

/// Creates `dir` and its missing ancestors, and makes every new name durable in its parent. An existing
/// directory is synced into its parent too: an earlier process may have died between creation and fsync.
///
/// # Errors
/// Any I/O error, with the path in its text.
pub fn create_dir_all_durably(dir: &Path) -> io::Result<()> {
    let mut missing = Vec::new();
    let mut current = dir;
    while !current.is_dir() {
        missing.push(current);
        let parent = parent_of(current);
        if parent == current {
            break;
        }
        current = parent;
    }
    for path in missing.iter().rev() {
        match fs::create_dir(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(naming(path, "create directory", &error)),
        }
        sync_dir(parent_of(path))?;
    }
    sync_dir(parent_of(dir))?;
    sync_dir(dir)
}

/// Removes `path` and makes the removal durable. A file that is already gone is fine.
///
/// # Errors
/// Any other I/O error, with the path in its text.
pub fn remove_file_durably(path: &Path, pace: Pace) -> io::Result<()> {
    let removed = fs::symlink_metadata(path).and_then(|found| {
        if pace == Pace::InPieces && found.is_file() && found.len() > as_len(PIECE) {
            remove_in_pieces(path, found.len())
        } else {
            fs::remove_file(path)
        }
    });
    match removed {
        Ok(()) => sync_dir(parent_of(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(naming(path, "remove", &error)),
    }
}

/// Takes the name away first: what is left after a crash is an unfinished file.
fn remove_in_pieces(path: &Path, mut length: u64) -> io::Result<()> {
    let temp = temp_path(path)?;
    fs::rename(path, &temp)?;
    sync_dir(parent_of(path))?;
    let shortened = OpenOptions::new().write(true).open(&temp).and_then(|file| {
        // With a second name it is somebody's copy as well, which must stay whole. Nobody knows the new one.
        let ours = file.metadata()?.nlink() == 1;
        while ours && length > as_len(PIECE) {
            length -= as_len(PIECE);
            file.set_len(length)?;
            sync_piece(&file)?;
        }
        Ok(())
    });
    if let Err(error) = shortened {
        tracing::debug!(%error, path = %temp.display(), "a file is removed at once");
    }
    fs::remove_file(&temp)
}

fn as_len(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Removes what [`write_file_durably`] left in `dir` when the process died in the middle. Returns the
/// removed paths, for the log.
///
/// # Errors
/// Any I/O error, with the path in its text.
pub fn remove_leftover_temps(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(dir).map_err(|error| naming(dir, "list", &error))? {
        let entry = entry.map_err(|error| naming(dir, "list", &error))?;
        if is_temp_name(&entry.file_name()) && entry.file_type()?.is_file() {
            let path = entry.path();
            fs::remove_file(&path).map_err(|error| naming(&path, "remove", &error))?;
            removed.push(path);
        }
    }
    if !removed.is_empty() {
        sync_dir(dir)?;
    }
    Ok(removed)
}

/// Whether a file of this name is unfinished work of [`write_file_durably`].
pub fn is_temp_name(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b".") && name.ends_with(TEMP_SUFFIX.as_bytes())
}

fn temp_path(path: &Path) -> io::Result<PathBuf> {
    // Process id and counter: two threads that write the same file never share a temporary.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidInput, format!("{} names no file", path.display()))
    })?;
    let mut temp = OsString::from(".");
    temp.push(name);
    temp.push(format!(".{}-{}{TEMP_SUFFIX}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
    Ok(path.with_file_name(temp))
}

/// The directory that holds the name of `path`; `.` for a bare name.
fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn naming(path: &Path, doing: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {doing} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_content_replaces_the_old_and_leaves_no_temporary() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_file_durably(&path, b"one").unwrap();
        write_file_durably(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_of_several_pieces_is_written_and_removed_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        for length in [0, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 7] {
            let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(length).collect();
            for pace in [Pace::AtOnce, Pace::InPieces] {
                write_file_at_pace(&path, &bytes, pace).unwrap();
                assert_eq!(fs::read(&path).unwrap(), bytes, "{length}");
                remove_file_durably(&path, pace).unwrap();
                assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "{length}");
            }
        }
    }

    #[test]
    fn a_copy_under_another_name_outlives_the_removal() {
        let dir = tempfile::tempdir().unwrap();
        let (path, copy) = (dir.path().join("a"), dir.path().join("copy"));
        let bytes = vec![7; 3 * PIECE];
        write_file_durably(&path, &bytes).unwrap();
        fs::hard_link(&path, &copy).unwrap();
        remove_file_durably(&path, Pace::InPieces).unwrap();
        assert!(!path.exists());
        assert_eq!(fs::read(&copy).unwrap(), bytes);
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&copy, &link).unwrap();
        remove_file_durably(&link, Pace::InPieces).unwrap();
        assert_eq!(fs::read(&copy).unwrap(), bytes);
        assert!(link.symlink_metadata().is_err());
    }

    #[test]
    fn files_are_for_the_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_file_durably(&path, b"x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_failed_write_keeps_the_old_content_and_names_the_path() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("occupied");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("child"), b"x").unwrap();
        let error = write_file_durably(&path, b"new").unwrap_err();
        assert!(error.to_string().contains("occupied"), "{error}");
        assert_eq!(fs::read(path.join("child")).unwrap(), b"x");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the temporary file is gone");
    }

    #[test]
    fn leftovers_are_swept_and_finished_files_stay() {
        let dir = tempfile::tempdir().unwrap();
        write_file_durably(&dir.path().join("kept.tmp"), b"x").unwrap();
        let leftover = dir.path().join(".kept.1-1.tmp");
        fs::write(&leftover, b"half").unwrap();
        assert_eq!(remove_leftover_temps(dir.path()).unwrap(), vec![leftover]);
        assert!(dir.path().join("kept.tmp").exists());
    }

    #[test]
    fn directories_are_created_to_any_depth_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        create_dir_all_durably(&deep).unwrap();
        create_dir_all_durably(&deep).unwrap();
        assert!(deep.is_dir());
    }

    #[test]
    fn removing_twice_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_file_durably(&path, b"x").unwrap();
        remove_file_durably(&path, Pace::AtOnce).unwrap();
        remove_file_durably(&path, Pace::AtOnce).unwrap();
        assert!(!path.exists());
    }
}
