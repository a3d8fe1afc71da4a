//! Where files go that the state does not know: `quarantine/<time>/` with their path below the root. Nothing
//! that somebody else wrote is ever deleted (spec §13.1), so the room is bounded and an operator empties it.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use hellojohn_control::Timestamp;

use super::files::Dir;

/// The directory below the root.
pub(super) const QUARANTINE: &str = "quarantine";
/// Most directories in it: one for each pass that found something.
pub(super) const MAX_DIRECTORIES: usize = 100;
/// Most bytes of damaged documents that one pass keeps. What is moved needs no room and is not counted.
pub(super) const MAX_KEPT_BYTES: u64 = 64 << 20;

/// The quarantine directory of one pass, made when the first thing goes there.
#[derive(Debug)]
pub(super) struct Quarantine {
    time: String,
    directory: Option<PathBuf>,
    kept_bytes: u64,
}

impl Quarantine {
    /// For a pass that begins at `now`.
    pub(super) fn at(now: Timestamp) -> Self {
        // No colons: such names can be copied to any file system.
        Self { time: now.to_string().replace(':', "-"), directory: None, kept_bytes: 0 }
    }

    /// Whether `bytes` more of damaged documents may be kept; counts them if so.
    pub(super) fn may_keep(&mut self, bytes: u64) -> bool {
        let sum = self.kept_bytes.saturating_add(bytes);
        let fits = sum <= MAX_KEPT_BYTES;
        if fits {
            self.kept_bytes = sum;
        }
        fits
    }

    /// The directory for what stood in `below` (a path below the root), or `None` when there is no room.
    /// Every directory that was made or will be written to is handed to `touched`.
    pub(super) fn place(
        &mut self,
        root: &Dir,
        below: &Path,
        mut touched: impl FnMut(&Path),
    ) -> io::Result<Option<Dir>> {
        let directory = match &self.directory {
            Some(directory) => directory.clone(),
            None => match self.open_new(root, &mut touched)? {
                Some(directory) => self.directory.insert(directory).clone(),
                None => return Ok(None),
            },
        };
        let mut dir = root.again()?;
        for name in directory.join(below).iter() {
            let (child, new) = dir.child_or_new(name)?;
            if new {
                touched(dir.path());
            }
            dir = child;
        }
        touched(dir.path());
        Ok(Some(dir))
    }

    fn open_new(&self, root: &Dir, touched: &mut impl FnMut(&Path)) -> io::Result<Option<PathBuf>> {
        let (all, new) = root.child_or_new(OsStr::new(QUARANTINE))?;
        if new {
            touched(root.path());
        }
        let taken = all.names()?.len();
        if taken >= MAX_DIRECTORIES {
            return Ok(None);
        }
        // Two passes may begin in the same millisecond; one of taken + 1 names is free.
        for attempt in 0..=taken {
            let name = if attempt == 0 { self.time.clone() } else { format!("{}-{attempt}", self.time) };
            match all.make_child(OsStr::new(&name)) {
                Ok(()) => {
                    touched(all.path());
                    return Ok(Some(Path::new(QUARANTINE).join(name)));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_of_the_same_millisecond_have_directories_of_their_own_until_there_is_no_room() {
        let temp = tempfile::tempdir().unwrap();
        let root = Dir::open_configured(temp.path()).unwrap();
        for _ in 0..MAX_DIRECTORIES {
            let mut quarantine = Quarantine::at(Timestamp::from_millis(1_795_305_600_007));
            assert!(quarantine.place(&root, Path::new("keys"), |_| {}).unwrap().is_some());
        }
        assert!(temp.path().join("quarantine/2026-11-22T00-00-00.007Z/keys").is_dir());
        assert!(temp.path().join("quarantine/2026-11-22T00-00-00.007Z-1/keys").is_dir());
        let mut quarantine = Quarantine::at(Timestamp::from_millis(1_795_305_600_008));
        assert!(quarantine.place(&root, Path::new("keys"), |_| {}).unwrap().is_none());
    }

    #[test]
    fn damaged_bytes_are_kept_up_to_a_bound() {
        let mut quarantine = Quarantine::at(Timestamp::default());
        assert!(quarantine.may_keep(MAX_KEPT_BYTES));
        assert!(!quarantine.may_keep(1));
        assert!(quarantine.may_keep(0));
    }

    /// S105: a planted link does not lead the quarantine elsewhere.
    #[test]
    fn a_symbolic_link_in_its_place_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), temp.path().join(QUARANTINE)).unwrap();
        let root = Dir::open_configured(temp.path()).unwrap();
        let error = Quarantine::at(Timestamp::default()).place(&root, Path::new("keys"), |_| {}).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }
}
