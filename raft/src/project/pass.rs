//! One pass over files: the steps out of which both following the log and scanning are made. Writes gather
//! so that their fsyncs run side by side; an error ends one file's turn, not the pass.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use hellojohn_control::Timestamp;

use super::files::{Dir, Kind, Stamp, Unfinished};
use super::parallel;
use super::progress::Progress;
use super::quarantine::{MAX_DIRECTORIES, MAX_KEPT_BYTES, QUARANTINE, Quarantine};
use super::report::{Depth, Report, Trust};
use super::tree::Document;
use super::yaml;

/// Files whose fsyncs run side by side; each holds two descriptors until then.
const BATCH: usize = 64;
/// After this many errors the disk is ill and the rest waits for the next pass.
const MAX_ERRORS: u32 = 16;
/// Largest file that is read to find out whether it is an earlier document; there can be no larger ones.
const MAX_FILE: u64 = 32 << 20;

/// What is remembered from pass to pass.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Stamps of files that were written or found right.
    pub(super) known: HashMap<PathBuf, Stamp>,
    /// Directories whose names are not durable yet.
    unsynced: BTreeSet<PathBuf>,
}

/// The pass ends early: too many errors, or the process stops.
#[derive(Debug)]
pub(super) struct Ended;

/// What must leave a name before the new file gets it.
#[derive(Debug, Clone, Copy)]
enum Before {
    /// Nothing, or a file that is merely behind.
    Free,
    /// The file is gone.
    Missing,
    /// A file with other content, of that many bytes.
    Damaged(u64),
    /// No regular file.
    Blocked,
}

#[derive(Debug)]
struct Pending {
    dir: Dir,
    name: OsString,
    file: Unfinished,
    before: Before,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    pub(super) root: &'a Dir,
    pub(super) memory: &'a mut Memory,
    pub(super) trust: Trust,
    pub(super) report: Report,
    quarantine: Quarantine,
    progress: &'a Progress,
    pending: Vec<Pending>,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        root: &'a Dir,
        memory: &'a mut Memory,
        trust: Trust,
        now: Timestamp,
        progress: &'a Progress,
    ) -> Self {
        let quarantine = Quarantine::at(now);
        Self { root, memory, trust, report: Report::default(), quarantine, progress, pending: Vec::new() }
    }

    /// Notes the error of one step, and whether the pass goes on.
    pub(super) fn attempt(&mut self, step: io::Result<()>) -> Result<(), Ended> {
        if let Err(error) = step {
            self.report.fail(&error);
        }
        if self.progress.step() && self.report.errors < MAX_ERRORS { Ok(()) } else { Err(Ended) }
    }

    /// Makes the file of a document right, whatever is there.
    pub(super) fn put(&mut self, document: &Document) -> Result<(), Ended> {
        let step =
            self.directory(&document.directory()).and_then(|dir| self.settle(&dir, document, Depth::Bytes));
        self.attempt(step)?;
        if self.pending.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Makes the file of a document in an open directory right, whatever is there.
    pub(super) fn check(&mut self, dir: &Dir, document: &Document, depth: Depth) -> Result<(), Ended> {
        let step = self.settle(dir, document, depth);
        self.attempt(step)?;
        if self.pending.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    fn settle(&mut self, dir: &Dir, document: &Document, depth: Depth) -> io::Result<()> {
        let name = document.file_name();
        let path = dir.path().join(&name);
        let known = self.memory.known.get(&path).copied();
        let stat = dir.stat(&name)?;
        let untouched = stat.is_some_and(|stat| known == Some(stat.stamp));
        if untouched && depth == Depth::Stamps {
            return Ok(());
        }
        let bytes = yaml::render(document).map_err(io::Error::other)?;
        let before = match stat {
            None if known.is_some() || self.trust.complete => Before::Missing,
            None => Before::Free,
            Some(stat) if stat.kind != Kind::File => Before::Blocked,
            Some(stat) => {
                if same_bytes(dir, &name, stat.stamp, &bytes)? {
                    return self.accept(dir, &name, path, stat.stamp);
                }
                if (untouched && self.trust.known) || self.is_earlier(dir, &name, document)? {
                    Before::Free
                } else {
                    Before::Damaged(stat.stamp.size)
                }
            }
        };
        let file = dir.prepare(&name, &bytes)?;
        self.pending.push(Pending { dir: dir.again()?, name, file, before });
        Ok(())
    }

    fn is_earlier(&self, dir: &Dir, name: &OsStr, document: &Document) -> io::Result<bool> {
        Ok(self.trust.earlier && yaml::is_earlier(document, &dir.read(name, MAX_FILE)?))
    }

    fn accept(&mut self, dir: &Dir, name: &OsStr, path: PathBuf, stamp: Stamp) -> io::Result<()> {
        let stamp = if stamp.is_private() {
            stamp
        } else {
            let stamp = dir.make_file_private(name)?;
            self.repaired(&path, "its permissions were open to others");
            stamp
        };
        self.memory.known.insert(path, stamp);
        Ok(())
    }

    /// Notes that something which is not ours to change was put right.
    pub(super) fn repaired(&mut self, path: &Path, why: &str) {
        self.report.repairs += 1;
        tracing::warn!(?path, why, "file edited by hand or damaged; repaired from the state");
    }

    /// Gives all written files their names.
    pub(super) fn flush(&mut self) -> Result<(), Ended> {
        let pending = std::mem::take(&mut self.pending);
        let synced = parallel::each(&pending, |pending| pending.file.sync());
        let mut ended = Ok(());
        for (pending, synced) in pending.iter().zip(synced) {
            let step = synced.and_then(|()| self.finish(pending));
            if step.is_err() {
                // Best effort; the next scan removes it too.
                drop(pending.dir.discard(&pending.file));
            }
            ended = ended.and(self.attempt(step));
        }
        ended
    }

    fn finish(&mut self, pending: &Pending) -> io::Result<()> {
        let Pending { dir, name, file, before } = pending;
        match before {
            Before::Free | Before::Missing => {}
            Before::Damaged(size) => self.keep_copy(dir, name, *size),
            Before::Blocked => {
                if !self.move_away(dir, name)? {
                    return Err(io::Error::other(format!(
                        "{:?} is no regular file and cannot be moved away: quarantine/ is full, empty it",
                        dir.path().join(name)
                    )));
                }
            }
        }
        let stamp = dir.finish(file, name)?;
        self.report.written += 1;
        let path = dir.path().join(name);
        match before {
            Before::Free => {}
            Before::Missing => self.repaired(&path, "it was missing"),
            Before::Damaged(_) => self.repaired(&path, "its content differed"),
            Before::Blocked => self.repaired(&path, "something else had its name"),
        }
        self.memory.known.insert(path, stamp);
        self.memory.unsynced.insert(dir.path().to_owned());
        Ok(())
    }

    /// Keeps the content that is about to be replaced. That it cannot be kept does not hinder the repair.
    fn keep_copy(&mut self, dir: &Dir, name: &OsStr, size: u64) {
        let path = dir.path().join(name);
        let kept = if self.quarantine.may_keep(size) {
            self.aside(dir).and_then(|to| to.map(|to| dir.link_to(name, &to)).transpose())
        } else {
            tracing::warn!(
                ?path,
                limit = MAX_KEPT_BYTES,
                "too many damaged bytes in one pass to keep a copy"
            );
            return;
        };
        match kept {
            Ok(Some(())) => self.report.quarantined += 1,
            Ok(None) => {
                tracing::warn!(
                    ?path,
                    limit = MAX_DIRECTORIES,
                    "quarantine/ is full: no copy is kept; empty it"
                );
            }
            Err(error) => tracing::warn!(?path, %error, "no copy of the damaged file is kept"),
        }
    }

    /// Moves what the state does not know, whatever it is, to the quarantine. `false`: there is no room.
    pub(super) fn move_away(&mut self, dir: &Dir, name: &OsStr) -> io::Result<bool> {
        let path = dir.path().join(name);
        let Some(to) = self.aside(dir)? else {
            self.report.blocked.get_or_insert_with(|| {
                format!(
                    "{path:?} is unknown to the state and quarantine/ is full ({MAX_DIRECTORIES}): empty it"
                )
            });
            return Ok(false);
        };
        dir.move_to(name, &to)?;
        self.memory.unsynced.insert(dir.path().to_owned());
        self.report.quarantined += 1;
        tracing::warn!(?path, to = ?to.path(), "file unknown to the state; moved to {QUARANTINE}/");
        Ok(true)
    }

    fn aside(&mut self, dir: &Dir) -> io::Result<Option<Dir>> {
        let unsynced = &mut self.memory.unsynced;
        self.quarantine.place(self.root, dir.path(), |touched| {
            unsynced.insert(touched.to_owned());
        })
    }

    /// Removes the file of a document that is gone, and directories that this leaves empty. A file that is not
    /// as we left it is moved away instead.
    pub(super) fn remove(&mut self, path: &Path) -> Result<(), Ended> {
        let step = self.take_away(path);
        self.attempt(step)
    }

    fn take_away(&mut self, path: &Path) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let dir = match self.root.descend(parent) {
            // Something else has the name of a directory of ours: what was below is gone, the scan does the rest.
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                self.memory.known.remove(path);
                return Ok(());
            }
            opened => opened?,
        };
        if let Some(dir) = dir {
            match dir.stat(name)? {
                None => {}
                Some(stat) if self.memory.known.get(path) == Some(&stat.stamp) => {
                    dir.unlink(name)?;
                    self.report.removed += 1;
                }
                Some(_) => {
                    self.move_away(&dir, name)?;
                }
            }
            self.memory.unsynced.insert(parent.to_owned());
        }
        self.memory.known.remove(path);
        self.prune(parent)
    }

    fn prune(&mut self, directory: &Path) -> io::Result<()> {
        let mut directory = directory;
        // The two at the top stay.
        while let (Some(parent), Some(name)) = (directory.parent(), directory.file_name())
            && !parent.as_os_str().is_empty()
        {
            let gone = match self.root.descend(parent)? {
                Some(dir) => dir.remove_if_empty(name)?,
                None => true,
            };
            if !gone {
                break;
            }
            self.memory.unsynced.remove(directory);
            self.memory.unsynced.insert(parent.to_owned());
            directory = parent;
        }
        Ok(())
    }

    /// The directory of that path below the root, made if it is missing.
    pub(super) fn directory(&mut self, path: &Path) -> io::Result<Dir> {
        let mut dir = self.root.again()?;
        for name in path {
            let (child, new) = dir.child_or_new(name)?;
            if new {
                self.memory.unsynced.insert(dir.path().to_owned());
            }
            dir = child;
        }
        Ok(dir)
    }

    /// Makes durable which names there are. Directories that fail stay for the next pass.
    pub(super) fn sync(&mut self) -> Result<(), Ended> {
        let all: Vec<PathBuf> = self.memory.unsynced.iter().cloned().collect();
        for paths in all.chunks(BATCH) {
            let root = self.root;
            let synced = parallel::each(paths, |path| match root.descend(path)? {
                Some(dir) => dir.sync(),
                // Gone again; that it is gone is its parent's to make durable.
                None => Ok(()),
            });
            for (path, synced) in paths.iter().zip(synced) {
                if synced.is_ok() {
                    self.memory.unsynced.remove(path);
                }
                self.attempt(synced)?;
            }
        }
        Ok(())
    }

    /// What the pass did. Removes what it wrote and did not finish.
    pub(super) fn into_report(self) -> Report {
        for pending in &self.pending {
            // Best effort; the next scan removes it too.
            drop(pending.dir.discard(&pending.file));
        }
        self.report
    }
}

fn same_bytes(dir: &Dir, name: &OsStr, stamp: Stamp, bytes: &[u8]) -> io::Result<bool> {
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    Ok(stamp.size == size && dir.read(name, size.saturating_add(1))? == bytes)
}
