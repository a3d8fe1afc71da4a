//! A promise taken back: the cluster that this disk is bound to will never form (spec §13.2).

use std::fs;
use std::path::{Path, PathBuf};

use hellojohn_control::Timestamp;

use super::place::{aside, put_made};
use super::scratch::Scratch;
use super::{OfflineError, disk};
use crate::durable;
use crate::identity::{DirLock, IdentityStore, Standing, read_marker};
use crate::log::{self, WholeLog};
use crate::types::Entry;

/// Makes the disk in the data directory `data` one that has promised nothing, and moves the old `raft/` aside, where its
/// path is then; `None` when there was nothing to take back.
///
/// # Errors
/// [`OfflineError`]; nothing has changed then. A member, a joiner, and a disk on which the promised cluster has written
/// are refused: what they hold may be the only copy of something acknowledged.
pub fn reset_promise(data: &Path, scratch: &Path, now: Timestamp) -> Result<Option<PathBuf>, OfflineError> {
    let raft_dir = disk::raft_dir(data)?;
    // Also keeps a node from starting until the new directory is in place.
    let _lock = DirLock::take_to_read(&raft_dir)?;
    let identity = read_marker(&raft_dir)?.ok_or_else(|| OfflineError::NotAMember {
        raft_dir: raft_dir.clone(),
        what: "identity.json is missing, and with it the promise".to_owned(),
    })?;
    let cluster = identity.cluster_id.clone().unwrap_or_default();
    let refused = |refused| crate::identity::IdentityError::Member {
        path: raft_dir.join(crate::identity::MARKER_FILE),
        cluster: cluster.clone(),
        refused,
    };
    match (identity.state, &identity.promise) {
        (Standing::Pristine, _) | (Standing::Promised, None) => Ok(None),
        (Standing::Promised, Some(promise)) => {
            refuse_formed(&raft_dir, &promise.cluster_id, scratch)?;
            let aside = aside(data, "reset-promise", now);
            put_made(data, Some(&aside), |dir| {
                IdentityStore::load_or_create(dir, &identity.node_name)?;
                durable::sync_dir(dir).map_err(OfflineError::io("fsync", dir))
            })?;
            Ok(Some(aside))
        }
        (Standing::Joining | Standing::Member, _) => Err(refused("take back a promise").into()),
    }
}

/// Refuses when the promised cluster has written anything here: then it was formed, and goes on by itself.
fn refuse_formed(raft_dir: &Path, cluster_id: &str, scratch: &Path) -> Result<(), OfflineError> {
    let dir = raft_dir.join("log");
    if !fs::exists(&dir).map_err(OfflineError::io("look at", &dir))? {
        return Ok(());
    }
    let copy = Scratch::copy_of(&dir, scratch)?;
    let log: WholeLog<Entry> = log::read_whole(copy.path())?;
    let last = log.entries.last().map(|entry| entry.log_id).or(log.last_purged);
    match last {
        None => Ok(()),
        Some(last) => Err(OfflineError::Formed {
            raft_dir: raft_dir.to_owned(),
            cluster_id: cluster_id.to_owned(),
            last: last.index,
        }),
    }
}
