//! Directories as handles: every name is resolved relative to an open directory and never through a symbolic
//! link, so that nothing planted below the root can send a write elsewhere (S105).
//!
//! Owns the system calls of the projection. Knows nothing of documents. All functions block on the disk.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};

/// Permissions of every file: what it holds is for this process only.
const FILE_MODE: Mode = Mode::S_IRUSR.union(Mode::S_IWUSR);
/// Permissions of every directory.
const DIR_MODE: Mode = Mode::S_IRWXU;
/// The permission bits that are looked at.
const PERMISSIONS: u32 = 0o7777;

const READ_DIR: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);
/// `O_NONBLOCK`: opening a planted FIFO must not wait for a writer.
const READ_FILE: OFlag =
    OFlag::O_RDONLY.union(OFlag::O_NOFOLLOW).union(OFlag::O_NONBLOCK).union(OFlag::O_CLOEXEC);
const NEW_FILE: OFlag = OFlag::O_WRONLY
    .union(OFlag::O_CREAT)
    .union(OFlag::O_EXCL)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// What a name stands for. A symbolic link is `Other`, whatever it points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, device, socket or FIFO.
    Other,
}

/// What changes whenever a file is written, replaced or given other permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    inode: u64,
    /// Bytes.
    pub(super) size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
    mode: u32,
}

impl Stamp {
    /// Whether the file is for the owner only.
    pub(super) fn is_private(&self) -> bool {
        self.mode & PERMISSIONS == FILE_MODE.bits()
    }
}

/// What a name stands for, and its stamp.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stat {
    pub(super) kind: Kind,
    pub(super) stamp: Stamp,
}

impl From<FileStat> for Stat {
    fn from(stat: FileStat) -> Self {
        let kind = match SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits()) {
            SFlag::S_IFREG => Kind::File,
            SFlag::S_IFDIR => Kind::Directory,
            _ => Kind::Other,
        };
        let stamp = Stamp {
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime, stat.st_mtime_nsec),
            changed: (stat.st_ctime, stat.st_ctime_nsec),
            mode: stat.st_mode,
        };
        Stat { kind, stamp }
    }
}

/// An open directory.
#[derive(Debug)]
pub(super) struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

/// A file with its bytes written but neither synced nor visible under its name.
#[derive(Debug)]
pub(super) struct Unfinished {
    file: File,
    temp: OsString,
}

impl Dir {
    /// Opens the directory that `path` leads to, through symbolic links: only for paths of the configuration.
    pub(super) fn open_configured(path: &Path) -> io::Result<Self> {
        let fd = open(path, READ_DIR, Mode::empty()).map_err(|errno| {
            io::Error::new(kind(errno), format!("cannot open {}: {errno}", path.display()))
        })?;
        Ok(Self { fd, path: PathBuf::new() })
    }

    /// Path below the root.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of that name, `None` if the name is free.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotADirectory`] if something else has the name.
    pub(super) fn child(&self, name: &OsStr) -> io::Result<Option<Self>> {
        match openat(&self.fd, name, READ_DIR | OFlag::O_NOFOLLOW, Mode::empty()) {
            Ok(fd) => Ok(Some(Self { fd, path: self.path.join(name) })),
            Err(Errno::ENOENT) => Ok(None),
            Err(Errno::ELOOP | Errno::ENOTDIR) => Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("{:?} is not a directory; symbolic links are not followed", self.path.join(name)),
            )),
            Err(errno) => Err(self.failed("open", name, errno)),
        }
    }

    /// The directory of that name and whether it was made for it.
    pub(super) fn child_or_new(&self, name: &OsStr) -> io::Result<(Self, bool)> {
        if let Some(child) = self.child(name)? {
            return Ok((child, false));
        }
        self.make_child(name)?;
        let child = self.child(name)?.ok_or_else(|| self.failed("open", name, Errno::ENOENT))?;
        Ok((child, true))
    }

    /// Makes a directory.
    ///
    /// # Errors
    /// [`io::ErrorKind::AlreadyExists`] if the name is taken.
    pub(super) fn make_child(&self, name: &OsStr) -> io::Result<()> {
        mkdirat(&self.fd, name, DIR_MODE).map_err(|errno| self.failed("create directory", name, errno))
    }

    /// The directory below this one that `path`, made of plain names, leads to; `None` if there is none.
    pub(super) fn descend(&self, path: &Path) -> io::Result<Option<Self>> {
        let mut dir = Some(self.again()?);
        for name in path {
            dir = match dir {
                Some(dir) => dir.child(name)?,
                None => return Ok(None),
            };
        }
        Ok(dir)
    }

    /// A second handle of the same directory.
    pub(super) fn again(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, path: self.path.clone() })
    }

    /// All names in it.
    pub(super) fn names(&self) -> io::Result<Vec<OsString>> {
        let listed = || -> Result<Vec<OsString>, Errno> {
            // A handle of its own, because reading moves the position that duplicates share.
            let fd = openat(&self.fd, ".", READ_DIR, Mode::empty())?;
            let mut names = Vec::new();
            for entry in nix::dir::Dir::from_fd(fd)?.iter() {
                let name = CString::from(entry?.file_name());
                if !matches!(name.as_bytes(), b"." | b"..") {
                    names.push(OsStr::from_bytes(name.as_bytes()).to_owned());
                }
            }
            Ok(names)
        };
        listed().map_err(|errno| self.failed("list", OsStr::new(""), errno))
    }

    /// What the name stands for, `None` if it is free.
    pub(super) fn stat(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::ENOENT) => Ok(None),
            Err(errno) => Err(self.failed("stat", name, errno)),
        }
    }

    /// The content of a regular file, cut off after `limit` bytes.
    pub(super) fn read(&self, name: &OsStr, limit: u64) -> io::Result<Vec<u8>> {
        let fd = openat(&self.fd, name, READ_FILE, Mode::empty())
            .map_err(|errno| self.failed("open", name, errno))?;
        let mut bytes = Vec::new();
        let read = File::from(fd).take(limit).read_to_end(&mut bytes);
        read.map_err(|error| self.failed_io("read", name, &error))?;
        Ok(bytes)
    }

    /// Writes `bytes` to a temporary file beside `name`. Dropping the result leaves the temporary file to
    /// [`Dir::discard`] or to the next scan.
    pub(super) fn prepare(&self, name: &OsStr, bytes: &[u8]) -> io::Result<Unfinished> {
        let temp = temp_name(name);
        let fd = match openat(&self.fd, temp.as_os_str(), NEW_FILE, FILE_MODE) {
            // Left by a crash, or planted: removing the name never touches what a link points to.
            Err(Errno::EEXIST) => {
                self.unlink(&temp)?;
                openat(&self.fd, temp.as_os_str(), NEW_FILE, FILE_MODE)
            }
            opened => opened,
        }
        .map_err(|errno| self.failed("create", &temp, errno))?;
        let mut file = File::from(fd);
        if let Err(error) = file.write_all(bytes) {
            // Best effort: a full disk is what most often brings us here, so give the space back.
            drop(self.unlink(&temp));
            return Err(self.failed_io("write", name, &error));
        }
        Ok(Unfinished { file, temp })
    }

    /// Gives a synced file its name, in one step, and tells its stamp.
    pub(super) fn finish(&self, unfinished: &Unfinished, name: &OsStr) -> io::Result<Stamp> {
        renameat(&self.fd, unfinished.temp.as_os_str(), &self.fd, name)
            .map_err(|errno| self.failed("rename into", name, errno))?;
        let stat = fstat(&unfinished.file).map_err(|errno| self.failed("stat", name, errno))?;
        Ok(Stat::from(stat).stamp)
    }

    /// Removes the temporary file.
    pub(super) fn discard(&self, unfinished: &Unfinished) -> io::Result<()> {
        self.unlink(&unfinished.temp)
    }

    /// Removes a name that is no directory. One that is free already is fine.
    pub(super) fn unlink(&self, name: &OsStr) -> io::Result<()> {
        match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(self.failed("remove", name, errno)),
        }
    }

    /// Removes a directory if it is empty; tells whether it is gone.
    pub(super) fn remove_if_empty(&self, name: &OsStr) -> io::Result<bool> {
        match unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(true),
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::ENOTDIR) => Ok(false),
            Err(errno) => Err(self.failed("remove directory", name, errno)),
        }
    }

    /// Moves what has the name, whatever it is, to `to`.
    pub(super) fn move_to(&self, name: &OsStr, to: &Dir) -> io::Result<()> {
        renameat(&self.fd, name, &to.fd, name).map_err(|errno| match errno {
            Errno::EXDEV => io::Error::new(
                io::ErrorKind::CrossesDevices,
                format!(
                    "cannot move {:?} to {:?}: they are on different file systems; remove it by hand",
                    self.path.join(name),
                    to.path
                ),
            ),
            errno => self.failed("move to quarantine", name, errno),
        })
    }

    /// Gives a file a second name in `to`, so that its content outlives a rename over the first.
    pub(super) fn link_to(&self, name: &OsStr, to: &Dir) -> io::Result<()> {
        linkat(&self.fd, name, &to.fd, name, AtFlags::empty())
            .map_err(|errno| self.failed("keep a copy of", name, errno))
    }

    /// Takes the permissions of a file back to the owner; tells the new stamp.
    pub(super) fn make_file_private(&self, name: &OsStr) -> io::Result<Stamp> {
        let change = || -> Result<FileStat, Errno> {
            let fd = openat(&self.fd, name, READ_FILE, Mode::empty())?;
            fchmod(&fd, FILE_MODE)?;
            fstat(&fd)
        };
        change().map(|stat| Stat::from(stat).stamp).map_err(|errno| self.failed("chmod", name, errno))
    }

    /// Takes the permissions of the directory back to the owner; tells whether they were different.
    pub(super) fn make_private(&self) -> io::Result<bool> {
        let change = || -> Result<bool, Errno> {
            let open = fstat(&self.fd)?.st_mode & PERMISSIONS != DIR_MODE.bits();
            if open {
                fchmod(&self.fd, DIR_MODE)?;
            }
            Ok(open)
        };
        change().map_err(|errno| self.failed("chmod", OsStr::new(""), errno))
    }

    /// Makes the names in it durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        nix::unistd::fsync(&self.fd).map_err(|errno| self.failed("fsync", OsStr::new(""), errno))
    }

    fn failed(&self, doing: &str, name: &OsStr, errno: Errno) -> io::Error {
        io::Error::new(kind(errno), format!("cannot {doing} {:?}: {errno}", self.path.join(name)))
    }

    fn failed_io(&self, doing: &str, name: &OsStr, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("cannot {doing} {:?}: {error}", self.path.join(name)))
    }
}

impl Unfinished {
    /// Makes the content durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all().map_err(|error| {
            io::Error::new(error.kind(), format!("cannot fsync {:?}: {error}", self.temp.as_os_str()))
        })
    }
}

fn kind(errno: Errno) -> io::ErrorKind {
    io::Error::from(errno).kind()
}

/// One writer, so one temporary name for each file. No document's name begins with a dot.
fn temp_name(name: &OsStr) -> OsString {
    let mut temp = OsString::from(".");
    temp.push(name);
    temp.push(".tmp");
    temp
}

/// Whether a regular file of this name is unfinished work of [`Dir::prepare`] on a document.
pub(super) fn is_temp_name(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b".") && name.ends_with(b".yaml.tmp")
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
