//! The public face of the projection.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hellojohn_control::View;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::engine::Clock;
use super::files::Dir;
use super::index;
use super::progress::Progress;
use super::status::{Board, ProjectionStatus};
use super::task::{CLOSE, Shared, Task};
use super::tree::{KEYS, TENANTS};

/// How the projection runs.
#[derive(Clone)]
pub struct ProjectorSettings {
    /// Time between two comparisons of the files with the state (`FS_SCAN_INTERVAL`).
    pub scan_interval: Duration,
    /// The clock.
    pub now: Clock,
}

impl fmt::Debug for ProjectorSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProjectorSettings")
            .field("scan_interval", &self.scan_interval)
            .finish_non_exhaustive()
    }
}

/// The running projection. Dropping it ends it too, without waiting.
#[derive(Debug)]
pub struct Projector {
    handle: ProjectorHandle,
    task: Mutex<Option<JoinHandle<()>>>,
    _stop: DropGuard,
}

/// Access to a running projection; cheap to copy.
#[derive(Debug, Clone)]
pub struct ProjectorHandle {
    shared: Arc<Shared>,
}

impl Projector {
    /// Starts the projection of the newest of `views` to files below `root` (`CONTROL_PLANE_FS_ROOT`). It
    /// touches nothing until [`ProjectorHandle::enable`]. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// `root` is no directory that can be opened, `raft/projected` cannot be read, or no thread can be started.
    pub fn start(
        root: PathBuf,
        views: watch::Receiver<Arc<View>>,
        settings: ProjectorSettings,
    ) -> io::Result<Self> {
        Dir::open_configured(&root).map_err(|error| {
            io::Error::new(error.kind(), format!("CONTROL_PLANE_FS_ROOT must be a directory: {error}"))
        })?;
        let shared = Arc::new(Shared {
            board: Board::new(index::read(&root)?),
            enabled: watch::Sender::new(false),
            rescan: Notify::new(),
            stop: CancellationToken::new(),
        });
        let task = Task {
            root,
            now: settings.now,
            scan_interval: settings.scan_interval,
            views,
            shared: Arc::clone(&shared),
            progress: Arc::new(Progress::default()),
        };
        let worker = task.start_worker()?;
        let stop = shared.stop.clone().drop_guard();
        let task = Mutex::new(Some(tokio::spawn(task.run(worker))));
        Ok(Self { handle: ProjectorHandle { shared }, task, _stop: stop })
    }

    /// A handle for those who read the status or ask for a scan.
    pub fn handle(&self) -> ProjectorHandle {
        self.handle.clone()
    }

    /// See [`ProjectorHandle::enable`].
    pub fn enable(&self) {
        self.handle.enable();
    }

    /// See [`ProjectorHandle::status`].
    pub fn status(&self) -> Arc<ProjectionStatus> {
        self.handle.status()
    }

    /// See [`ProjectorHandle::rescan`].
    pub fn rescan(&self) {
        self.handle.rescan();
    }

    /// Ends the projection after the file that it is at, and waits for that, some seconds at most. Doing it
    /// again is fine.
    pub async fn shutdown(&self) {
        self.handle.shared.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(task) = task else { return };
        // The task bounds its own end; twice that much is for a runtime that is busy.
        match timeout(CLOSE * 2, task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the projector's task failed"),
            Err(_) => tracing::warn!("the projector's task did not end in time"),
        }
    }
}

impl ProjectorHandle {
    /// Lets the projection begin. To be called when the node belongs to a cluster and has applied past the
    /// commit index that it saw at start (spec §13.1): before that the state is older than the files. Calling
    /// it again changes nothing.
    pub fn enable(&self) {
        self.shared.enabled.send_replace(true);
    }

    /// How the projection is doing. Takes no lock.
    pub fn status(&self) -> Arc<ProjectionStatus> {
        self.shared.board.read()
    }

    /// Asks for a comparison of all bytes soon.
    pub fn rescan(&self) {
        self.shared.rescan.notify_one();
    }
}

/// Whether `tenants/` or `keys/` below `root` hold anything. Beside a pristine `raft/` that means that these
/// files are not of a state that this node knows (spec §13.1).
///
/// # Errors
/// They cannot be read, so that there is no telling.
pub fn has_foreign_files(root: &Path) -> io::Result<bool> {
    let root = match Dir::open_configured(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    for name in [TENANTS, KEYS] {
        match root.child(OsStr::new(name)) {
            Ok(Some(dir)) if dir.names()?.is_empty() => {}
            Ok(None) => {}
            Ok(Some(_)) => return Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(true),
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
