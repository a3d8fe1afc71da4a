//! A `raft/` that a node can start on: made beside its place, whole and durable, and then renamed into it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use hellojohn_control::{Refounded, Timestamp};
use openraft::{LeaderId, Membership, Vote};
use uuid::Uuid;

use super::OfflineError;
use crate::archive::{self, Archive, cluster_id, to_fields};
use crate::durable;
use crate::identity::{DirLock, IdentityStore, master_keys};
use crate::log;
use crate::snapshot::SnapshotStore;
use crate::types::{LogId, Member, StoredMembership};

/// How the name of a `raft/` begins that is not finished.
const UNFINISHED: &str = "raft.unfinished-";

/// The first and only member of a new cluster.
pub(super) struct Founded {
    pub(super) cluster_id: Uuid,
    pub(super) name: String,
    pub(super) raft_id: u64,
    pub(super) incarnation: u64,
    /// The state as the new cluster begins with.
    pub(super) archive: Archive,
    pub(super) last_log_id: LogId,
    /// The highest term that anybody is known to have seen.
    pub(super) term: u64,
}

impl Founded {
    /// `archive` as the first state of the cluster `cluster_id`, whose only member is `name`. `vote_term` is the last
    /// term that its disk voted in, where that is known.
    pub(super) fn new(
        archive: Archive,
        cluster_id: Uuid,
        name: &str,
        vote_term: Option<u64>,
        now: Timestamp,
    ) -> Result<Self, OfflineError> {
        let last_log_id = archive.meta.last_log_id.ok_or(hellojohn_control::RefoundError::NotFormed)?;
        let Refounded { image, raft_id, incarnation } = archive.image.refounded(cluster_id, name)?;
        let nodes = BTreeMap::from([(raft_id, Member { name: name.to_owned() })]);
        let membership = Membership::new(vec![BTreeSet::from([raft_id])], nodes);
        let meta = archive::meta(Some(last_log_id), StoredMembership::new(Some(last_log_id), membership));
        Ok(Self {
            cluster_id,
            name: name.to_owned(),
            raft_id,
            incarnation,
            archive: Archive::new(meta, image, now),
            last_log_id,
            term: vote_term.unwrap_or(0).max(last_log_id.leader_id.term),
        })
    }

    /// Writes the `raft/` of the new member into `dir`.
    fn write(&self, dir: &Path) -> Result<(), OfflineError> {
        let mut identity = IdentityStore::load_or_create(dir, &self.name)?;
        let snapshots = SnapshotStore::open(&dir.join("snapshots"), archive::MAX_BYTES)?;
        let Archive { meta, image, created_at } = &self.archive;
        let payload = image.encode()?;
        let fields = to_fields(meta, cluster_id(image), *created_at)
            .map_err(|error| OfflineError::Image(error.into()))?;
        snapshots.save(fields, &payload)?;
        // It has voted for itself in a term of its own, as every member has in some: with the only vote it is elected in
        // the next one when it starts. Not committed, because no entry of that term exists.
        let vote =
            Vote { leader_id: LeaderId::new(self.term.saturating_add(1), self.raft_id), committed: false };
        log::create(&dir.join("log"), vote, self.last_log_id)?;
        identity.become_member(&self.cluster_id.to_string(), self.raft_id, self.incarnation)?;
        durable::sync_dir(dir).map_err(OfflineError::io("fsync", dir))
    }
}

/// Makes the new member's `raft/` in the data directory `data` by one rename. What is there now is moved to `aside`
/// first; a crash in between leaves no `raft/`, which no node takes for an empty one as long as there are files beside it.
pub(super) fn put(founded: &Founded, data: &Path, aside: Option<&Path>) -> Result<(), OfflineError> {
    put_made(data, aside, |dir| {
        founded.write(dir)?;
        // What is sealed on this disk stays sealed under the same master keys.
        let noted = aside.map(|_| master_keys::carry(&data.join("raft"), dir));
        noted.transpose().map(drop).map_err(OfflineError::from)
    })
}

/// The same with what `make` writes into an empty directory.
pub(super) fn put_made(
    data: &Path,
    aside: Option<&Path>,
    make: impl FnOnce(&Path) -> Result<(), OfflineError>,
) -> Result<(), OfflineError> {
    let absent = !fs::exists(data).map_err(OfflineError::io("look at", data))?;
    durable::create_dir_all_durably(data).map_err(OfflineError::io("create", data))?;
    refuse_root(data)?;
    sweep(data)?;
    let unfinished = data.join(format!("{UNFINISHED}{}", Uuid::new_v4()));
    let target = data.join("raft");
    let done = make(&unfinished).and_then(|()| match aside {
        None => rename(&unfinished, &target),
        Some(aside) => {
            rename(&target, aside)?;
            // After a failure nothing has changed.
            rename(&unfinished, &target).or_else(|error| rename(aside, &target).and(Err(error)))
        }
    });
    if done.is_err() {
        // Best effort; the next attempt sweeps too.
        drop(fs::remove_dir_all(&unfinished));
        if absent {
            drop(fs::remove_dir(data));
        }
    }
    done?;
    durable::sync_dir(data).map_err(OfflineError::io("fsync", data))
}

/// Refuses root in somebody else's directory: the node could not open what root makes there, and its user could lead root
/// elsewhere by links meanwhile.
fn refuse_root(data: &Path) -> Result<(), OfflineError> {
    let owner = fs::metadata(data).map_err(OfflineError::io("look at", data))?.uid();
    if nix::unistd::Uid::effective().is_root() && owner != 0 {
        return Err(OfflineError::NotTheOwner { data: data.to_owned(), owner });
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> Result<(), OfflineError> {
    fs::rename(from, to).map_err(OfflineError::io("rename", from))
}

/// Removes what an attempt left that was cut short. One that is under way holds its lock.
fn sweep(data: &Path) -> Result<(), OfflineError> {
    let failed = || OfflineError::io("list", data);
    for entry in fs::read_dir(data).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let path = entry.path();
        let ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED));
        if ours && DirLock::take_to_read(&path).is_ok() {
            tracing::info!(path = %path.display(), "removing what an earlier attempt left unfinished");
            fs::remove_dir_all(&path).map_err(OfflineError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// A name in `data` for what is moved aside, with the time in it.
pub(super) fn aside(data: &Path, why: &str, now: Timestamp) -> PathBuf {
    data.join(format!("raft.before-{why}-{}", now.to_string().replace(':', "-")))
}

/// Whether `path` is there, without following it.
pub(super) fn is_there(path: &Path) -> Result<bool, OfflineError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(OfflineError::io("look at", path)(error)),
    }
}
