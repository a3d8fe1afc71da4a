//! The directory of a private PostgreSQL: what is in it, whose it is, and who holds it.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Pid, Uid, User, chown};

use super::{PrivatePostgresError, file};
use crate::domain::rng::{OsRng, bytes};

/// Longest path of a Unix socket that every system accepts, in bytes, without the name of the socket itself.
const MAX_SOCKET_DIRECTORY: usize = 103 - "/.s.PGSQL.65535".len();

/// How much of a log is shown in an error, in bytes.
const TAIL: usize = 2000;

/// Where things are.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) root: PathBuf,
    pub(super) data: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) password: PathBuf,
    pub(super) log: PathBuf,
}

/// What the server wrote about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ServerFile {
    pub(super) pid: Pid,
    pub(super) ready: bool,
}

/// Whom the server runs as.
#[derive(Debug, Clone, Copy)]
pub(super) enum RunAs {
    /// Ourselves.
    Us,
    /// A system user, because we are root.
    Other(Uid, Gid),
}

impl RunAs {
    pub(super) fn choose() -> Result<Self, PrivatePostgresError> {
        if !Uid::effective().is_root() {
            return Ok(Self::Us);
        }
        let known = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
        known.map(|user| Self::Other(user.uid, user.gid)).ok_or(PrivatePostgresError::NoUser)
    }

    fn own(self, path: &Path) -> Result<(), PrivatePostgresError> {
        match self {
            Self::Us => Ok(()),
            Self::Other(uid, gid) => chown(path, Some(uid), Some(gid))
                .map_err(|error| file("change the owner of", path, error.into())),
        }
    }
}

impl Layout {
    /// Makes what is missing of the directory, so that only the server's user may enter it.
    pub(super) fn make(root: &Path, run_as: RunAs) -> Result<Self, PrivatePostgresError> {
        let root = std::path::absolute(root).map_err(|error| file("find", root, error))?;
        let layout = Self {
            data: root.join("data"),
            socket: root.join("run"),
            password: root.join("password"),
            log: root.join("server.log"),
            root,
        };
        if layout.socket.as_os_str().len() > MAX_SOCKET_DIRECTORY {
            return Err(PrivatePostgresError::PathTooLong(layout.root));
        }
        for directory in [&layout.root, &layout.socket] {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .map_err(|error| file("make", directory, error))?;
            run_as.own(directory)?;
        }
        layout.make_password(run_as)?;
        Ok(layout)
    }

    /// Takes the directory for this process, until the file is dropped.
    pub(super) fn lock(&self) -> Result<File, PrivatePostgresError> {
        let path = self.root.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| file("open", &path, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(lock),
            Err(TryLockError::WouldBlock) => Err(PrivatePostgresError::InUse(self.root.clone())),
            Err(TryLockError::Error(error)) => Err(file("lock", &path, error)),
        }
    }

    /// The password of the superuser over TCP.
    pub(super) fn password(&self) -> Result<String, PrivatePostgresError> {
        let text =
            std::fs::read_to_string(&self.password).map_err(|error| file("read", &self.password, error))?;
        Ok(text.trim().to_owned())
    }

    /// What the running server, or one that ended without tidying up, says about itself.
    pub(super) fn server(&self) -> Option<ServerFile> {
        let text = std::fs::read_to_string(self.data.join("postmaster.pid")).ok()?;
        let pid = Pid::from_raw(text.lines().next()?.trim().parse().ok()?);
        // Line 8 is the state; it says `ready` once connections are accepted.
        Some(ServerFile { pid, ready: text.lines().nth(7).is_some_and(|line| line.trim() == "ready") })
    }

    /// The end of the server's log.
    pub(super) fn log_tail(&self) -> String {
        tail(&std::fs::read(&self.log).unwrap_or_default())
    }

    fn make_password(&self, run_as: RunAs) -> Result<(), PrivatePostgresError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.password);
        let mut target = match made {
            Ok(target) => target,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
            Err(error) => return Err(file("make", &self.password, error)),
        };
        let password: String = bytes::<24>(&OsRng).iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(target, "{password}").map_err(|error| file("write", &self.password, error))?;
        run_as.own(&self.password)
    }
}

/// The last lines of an output.
pub(super) fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output.get(output.len().saturating_sub(TAIL)..).unwrap_or_default());
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_owner_may_enter_and_the_password_is_made_once() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("pg");
        let layout = Layout::make(&root, RunAs::Us).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&layout.root), 0o700);
        assert_eq!(mode(&layout.socket), 0o700);
        assert_eq!(mode(&layout.password), 0o600);
        let password = layout.password().unwrap();
        assert_eq!(password.len(), 48);
        assert_eq!(Layout::make(&root, RunAs::Us).unwrap().password().unwrap(), password);
    }

    #[test]
    fn a_directory_is_held_by_one_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let layout = Layout::make(directory.path(), RunAs::Us).unwrap();
        let held = layout.lock().unwrap();
        assert!(matches!(layout.lock(), Err(PrivatePostgresError::InUse(_))));
        drop(held);
        layout.lock().unwrap();
    }

    #[test]
    fn a_path_too_long_for_a_socket_is_refused_before_anything_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("x".repeat(100));
        assert!(matches!(Layout::make(&root, RunAs::Us), Err(PrivatePostgresError::PathTooLong(_))));
        assert!(!root.exists());
    }
}
