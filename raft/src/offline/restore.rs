//! An archive as the beginning of a new cluster with one member.

use std::fs;
use std::path::Path;

use hellojohn_control::Timestamp;
use uuid::Uuid;

use super::OfflineError;
use super::place::{Founded, aside, is_there, put};
use crate::archive::{Archive, Summary};
use crate::identity::{DirLock, Standing, data_in, read_marker};

/// A new member's disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The id of the new cluster.
    pub cluster_id: Uuid,
    /// Its only member.
    pub node: String,
    /// Under which Raft id.
    pub raft_id: u64,
    /// The state that it begins with.
    pub state: Summary,
}

/// Makes the data directory `data` that of the only member, called `name`, of a new cluster with the state of `archive`.
/// `data` must not exist, or hold no `raft/` or one that no node has used. When this returns `Ok` it survives a power
/// cut; after anything else `data` is as it was.
///
/// The cluster's id and the member's Raft id are new, so nobody of the old cluster can be mistaken for one of the new.
///
/// # Errors
/// [`OfflineError`].
pub fn restore(
    archive: Archive,
    data: &Path,
    name: &str,
    cluster_id: Uuid,
    now: Timestamp,
) -> Result<Restored, OfflineError> {
    let founded = Founded::new(archive, cluster_id, name, None, now)?;
    let state = founded.archive.summary()?;
    let raft_dir = data.join("raft");
    let unused = is_there(&raft_dir)?;
    // Held until the new one is in its place, so that no node starts on what is moved away.
    let _lock = if unused { refuse_used(&raft_dir)? } else { None };
    let aside = unused.then(|| aside(data, "restore", now));
    put(&founded, data, aside.as_deref())?;
    if let Some(empty) = aside
        && let Err(error) = fs::remove_dir_all(&empty)
    {
        tracing::warn!(%error, path = %empty.display(), "the empty raft/ that was there stays behind; remove it");
    }
    Ok(Restored { cluster_id, node: founded.name, raft_id: founded.raft_id, state })
}

/// Refuses a `raft/` that was somebody's.
fn refuse_used(raft_dir: &Path) -> Result<Option<DirLock>, OfflineError> {
    let lock = DirLock::take_to_read(raft_dir)?;
    let occupied = |what: String| OfflineError::Occupied { raft_dir: raft_dir.to_owned(), what };
    if let Some(identity) = read_marker(raft_dir)? {
        let promised = identity.promise.as_ref().map(|promise| &promise.cluster_id);
        let cluster = identity.cluster_id.as_ref().or(promised).map_or("none", String::as_str);
        let what = match identity.state {
            Standing::Pristine => None,
            Standing::Promised => {
                Some(format!("{} has promised to join cluster {cluster}", identity.node_name))
            }
            Standing::Joining => Some(format!("{} is joining cluster {cluster}", identity.node_name)),
            Standing::Member => Some(format!("{} is a member of cluster {cluster}", identity.node_name)),
        };
        if let Some(what) = what {
            return Err(occupied(what));
        }
    }
    match data_in(raft_dir)? {
        Some(data) => Err(occupied(format!("{} holds Raft data", data.display()))),
        None => Ok(lock),
    }
}
