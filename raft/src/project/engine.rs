//! From one view to the next: which passes bring the files up to date, and what is remembered between them.
//! Blocks on the disk; lives on the worker thread.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hellojohn_control::{Timestamp, View};

use super::changes::Changes;
use super::files::Dir;
use super::index;
use super::pass::{Ended, Memory, Pass};
use super::progress::Progress;
use super::report::{Depth, Report, Trust};
use super::scan;

/// Where the projection gets the time from, for the names of quarantine directories.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What one run did.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) report: Report,
    /// The index that the files are at now; `None` if they are half-way.
    pub(super) projected_index: Option<u64>,
    /// Whether all files were compared.
    pub(super) scanned: bool,
    /// Why something that the state does not know still stands among the files.
    pub(super) blocked: Option<String>,
}

/// See the module.
pub(super) struct Engine {
    root: PathBuf,
    now: Clock,
    persisted: Option<u64>,
    /// Every file that is known shows its document of this view or of a later one.
    base: Option<Arc<View>>,
    /// Whether a run has succeeded.
    settled: bool,
    /// Whether the last run did not come to its end: the files are somewhere between two views.
    dirty: bool,
    /// Whether the persisted index must follow the files.
    owing: bool,
    /// What the last scan could not move away.
    blocked: Option<String>,
    memory: Memory,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("root", &self.root).field("dirty", &self.dirty).finish_non_exhaustive()
    }
}

impl Engine {
    pub(super) fn new(root: PathBuf, now: Clock, persisted: Option<u64>) -> Self {
        Self {
            root,
            now,
            persisted,
            base: None,
            settled: false,
            dirty: false,
            owing: false,
            blocked: None,
            memory: Memory::default(),
        }
    }

    /// Makes the files those of `view`, and compares all of them if `scan` says so, or if there is no telling
    /// from memory what they are.
    pub(super) fn run(&mut self, view: &Arc<View>, scan: Option<Depth>, progress: &Progress) -> Summary {
        let mut summary = Summary::default();
        let step = Dir::open_configured(&self.root)
            .and_then(|root| self.run_in(&root, view, scan, progress, &mut summary));
        if let Err(error) = step {
            summary.report.fail(&error);
        }
        summary
    }

    fn run_in(
        &mut self,
        root: &Dir,
        view: &Arc<View>,
        scan: Option<Depth>,
        progress: &Progress,
        summary: &mut Summary,
    ) -> io::Result<()> {
        let applied = view.applied_index();
        let first = !self.settled;
        let trust = Trust {
            known: self.dirty,
            earlier: first && self.persisted.is_some_and(|index| index < applied),
            complete: first && self.persisted == Some(applied),
        };
        let dirty = std::mem::replace(&mut self.dirty, true);
        let base = self.base.get_or_insert_with(|| Arc::clone(view));
        // What is known does not cover everything after a failure, nothing at all in the first run.
        let depth = scan.or((dirty || first).then_some(Depth::Stamps));
        let mut pass = Pass::new(root, &mut self.memory, trust, (self.now)(), progress);
        let all = |pass: &mut Pass<'_>| depth.map_or(Ok(()), |depth| scan::everything(pass, view, depth));
        let ended = if dirty {
            // The scan comes before the changes: it clears away what may have been in their way.
            scan::sweep(&mut pass, view)
                .and_then(|()| all(&mut pass))
                .and_then(|()| follow(&mut pass, base, view))
        } else {
            follow(&mut pass, base, view).and_then(|()| all(&mut pass))
        };
        let ended = ended.and_then(|()| pass.flush()).and_then(|()| pass.sync());
        summary.report = pass.into_report();
        if summary.report.blocked.is_some() || (ended.is_ok() && depth.is_some()) {
            self.blocked.clone_from(&summary.report.blocked);
        }
        summary.blocked.clone_from(&self.blocked);
        if ended.is_err() || summary.report.errors > 0 {
            return Ok(());
        }
        self.dirty = false;
        self.settled = true;
        self.base = Some(Arc::clone(view));
        summary.projected_index = Some(applied);
        summary.scanned = depth.is_some();
        // An entry that changed no file costs no fsync: the files of the persisted index are those of this one.
        self.owing |= summary.scanned || summary.report.written + summary.report.removed > 0;
        if self.owing { self.persist(root) } else { Ok(()) }
    }

    fn persist(&mut self, root: &Dir) -> io::Result<()> {
        let index =
            self.base.as_ref().filter(|_| self.settled && !self.dirty).map(|view| view.applied_index());
        if let Some(index) = index
            && self.persisted != Some(index)
        {
            index::write(root, &self.root, index)?;
            self.persisted = Some(index);
        }
        self.owing = false;
        Ok(())
    }

    /// The last act: the persisted index catches up with entries that changed no file.
    pub(super) fn close(mut self) {
        let closed = Dir::open_configured(&self.root).and_then(|root| self.persist(&root));
        if let Err(error) = closed {
            tracing::warn!(%error, "raft/projected is behind; all files are compared at the next start");
        }
    }
}

/// Writes and removes what differs between the views. Removals first: they may make the room that a full
/// disk lacks.
fn follow(pass: &mut Pass<'_>, old: &View, new: &View) -> Result<(), Ended> {
    let changes = Changes::between(old, new);
    let trust = pass.trust;
    // A file as we left it is the old document here, and nothing else.
    pass.trust.known = true;
    changes.remove.iter().try_for_each(|path| pass.remove(path))?;
    changes.write.iter().try_for_each(|document| pass.put(document))?;
    pass.flush()?;
    pass.trust = trust;
    Ok(())
}

#[cfg(test)]
#[path = "engine_tests.rs"]
mod tests;
