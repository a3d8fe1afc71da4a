//! The `raft/` of a node that does not run, read without a change to it.

use std::fs;
use std::path::{Path, PathBuf};

use hellojohn_control::{Issuer, Timestamp};
use openraft::EntryPayload;

use super::OfflineError;
use super::scratch::Scratch;
use crate::archive::{self, Archive, ArchiveError};
use crate::identity::{DirLock, Identity, MARKER_FILE, read_marker};
use crate::log::{WholeLog, read_whole};
use crate::replica::Replica;
use crate::snapshot::SnapshotStore;
use crate::types::{Entry, LogId};

/// What a node's disk holds. No node can start on it while this lives.
#[derive(Debug)]
pub struct Disk {
    pub(super) raft_dir: PathBuf,
    pub(super) identity: Option<Identity>,
    /// Newest first.
    pub(super) snapshots: Vec<Kept>,
    pub(super) log: WholeLog<Entry>,
    _lock: Option<DirLock>,
}

/// A snapshot file, whole or not.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) path: PathBuf,
    pub(super) content: Result<Archive, ArchiveError>,
}

/// The `raft/` that `dir` means: a data directory has one, a copy is one.
pub(super) fn raft_dir(dir: &Path) -> Result<PathBuf, OfflineError> {
    let below = dir.join("raft");
    if below.is_dir() {
        return Ok(below);
    }
    let is_one = [MARKER_FILE, "log", "snapshots"].iter().any(|name| dir.join(name).exists());
    if is_one { Ok(dir.to_owned()) } else { Err(OfflineError::NoNode { dir: dir.to_owned() }) }
}

impl Disk {
    /// Reads the disk of a data directory (`CONTROL_PLANE_FS_ROOT`), or a copy of its `raft/`. `scratch` is a directory
    /// that takes a copy of the log for a moment.
    ///
    /// # Errors
    /// [`OfflineError`]: a process runs on it, there is none, the marker or the log is damaged. A damaged snapshot is
    /// none: it is told by [`Self::report`], and an older one may do.
    pub fn read(dir: &Path, scratch: &Path) -> Result<Self, OfflineError> {
        let raft_dir = raft_dir(dir)?;
        let lock = DirLock::take_to_read(&raft_dir)?;
        let identity = read_marker(&raft_dir)?;
        let snapshots = snapshots(&raft_dir)?;
        let log_dir = raft_dir.join("log");
        if !log_dir.is_dir() {
            return Err(OfflineError::NoLog { raft_dir });
        }
        let copy = Scratch::copy_of(&log_dir, scratch)?;
        let log = read_whole(copy.path())?;
        Ok(Self { raft_dir, identity, snapshots, log, _lock: lock })
    }

    /// The state that this disk knows to be committed, as an archive that was made `now`.
    ///
    /// # Errors
    /// [`OfflineError`] when no state can be made of what is there.
    pub fn archive(&self, now: Timestamp) -> Result<Archive, OfflineError> {
        let committed = self.committed()?;
        Ok(archived(&self.replay(committed)?, now))
    }

    /// The newest snapshot that is whole.
    pub(super) fn base(&self) -> Option<&Archive> {
        self.snapshots.iter().find_map(|kept| kept.content.as_ref().ok())
    }

    /// The last entry on this disk.
    pub(super) fn last(&self) -> Option<LogId> {
        let in_log = self.log.entries.last().map(|entry| entry.log_id);
        let base = self.base().and_then(|base| base.meta.last_log_id);
        in_log.or(self.log.last_purged).filter(|last| is_after(*last, base)).or(base)
    }

    /// The last entry that this disk knows to be committed. A node that alone has a vote commits whatever it has
    /// written; any other hears of it from the leader a moment after the leader told its caller.
    ///
    /// # Errors
    /// As [`Self::replay`].
    pub(super) fn committed(&self) -> Result<Option<LogId>, OfflineError> {
        let told = self.log.committed.max(self.base().and_then(|base| base.meta.last_log_id));
        let replica = self.replay(told)?;
        let own = self.identity.as_ref().and_then(|identity| identity.raft_id);
        let voters: Vec<u64> = replica.membership().membership().voter_ids().collect();
        let alone = own.is_some_and(|own| voters == [own]);
        let changes = self.after(told).any(|entry| matches!(entry.payload, EntryPayload::Membership(_)));
        Ok(if alone && !changes { self.last() } else { told })
    }

    /// The entries of the log after `place`.
    pub(super) fn after(&self, place: Option<LogId>) -> impl Iterator<Item = &Entry> {
        self.log.entries.iter().filter(move |entry| is_after(entry.log_id, place))
    }

    /// The state after the entry `upto`.
    ///
    /// # Errors
    /// [`OfflineError::Hole`], [`OfflineError::Apply`].
    pub(super) fn replay(&self, upto: Option<LogId>) -> Result<Replica, OfflineError> {
        let mut replica = Replica::new(Issuer::new(""));
        if let Some(base) = self.base() {
            replica.install(&base.meta, base.image.clone())?;
        }
        let base = replica.last_applied();
        if let Some(purged) =
            self.log.last_purged.filter(|purged| Some(purged.index) > base.map(|id| id.index))
        {
            return Err(OfflineError::Hole {
                raft_dir: self.raft_dir.clone(),
                purged: purged.index,
                ends: base.map_or_else(|| "none".to_owned(), |id| format!("entry {}", id.index)),
            });
        }
        let upto = upto.map(|id| id.index);
        for entry in self.after(base).take_while(|entry| Some(entry.log_id.index) <= upto) {
            let index = entry.log_id.index;
            replica.apply(entry).map_err(|reason| OfflineError::Apply { index, reason })?;
        }
        Ok(replica)
    }
}

/// The state of a replica, as an archive.
pub(super) fn archived(replica: &Replica, now: Timestamp) -> Archive {
    let meta = archive::meta(replica.last_applied(), replica.membership().clone());
    Archive::new(meta, replica.image(), now)
}

fn snapshots(raft_dir: &Path) -> Result<Vec<Kept>, OfflineError> {
    let dir = raft_dir.join("snapshots");
    if !fs::exists(&dir).map_err(OfflineError::io("look at", &dir))? {
        return Ok(Vec::new());
    }
    let paths = SnapshotStore::of_stopped(&dir, archive::MAX_BYTES).paths()?;
    Ok(paths.into_iter().map(|path| Kept { content: Archive::read(&path), path }).collect())
}

/// Whether an entry of the log goes on behind `place`. Behind a snapshot that was received there may be entries of a leader
/// that lost, and before its end some of a later term.
fn is_after(id: LogId, place: Option<LogId>) -> bool {
    place.is_none_or(|place| id > place && id.index > place.index)
}
