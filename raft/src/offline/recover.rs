//! Recovery from the permanent loss of a quorum: the survivor's state as the beginning of a new cluster
//! (docs/decisions/0013).

use std::path::{Path, PathBuf};

use hellojohn_control::Timestamp;
use uuid::Uuid;

use super::disk::archived;
use super::place::{Founded, aside, put};
use super::report::DiskReport;
use super::{Disk, OfflineError};
use crate::archive::Summary;
use crate::identity::{Identity, Standing};

/// A survivor, and what becomes of it.
#[derive(Debug)]
pub struct Recovered {
    /// The disk as it was.
    pub before: DiskReport,
    /// The id of the new cluster.
    pub cluster_id: Uuid,
    /// Its only member.
    pub node: String,
    /// Under which Raft id.
    pub raft_id: u64,
    /// The state that it begins with: all that was on the disk, also what is not known to be committed.
    pub state: Summary,
    /// Where the old `raft/` is now.
    pub aside: PathBuf,
}

/// Makes the member in the data directory `data` the only one of a new cluster, with everything that is on its disk, and
/// moves its old `raft/` aside. `typed` is the id of the cluster that it was a member of; `replace` says whether anything
/// is changed, or only told.
///
/// # Errors
/// [`OfflineError`]; nothing has changed then.
pub fn recover(
    data: &Path,
    typed: &str,
    cluster_id: Uuid,
    scratch: &Path,
    now: Timestamp,
    replace: bool,
) -> Result<Recovered, OfflineError> {
    let disk = Disk::read(data, scratch)?;
    let identity = member(&disk, typed)?;
    let before = disk.report(now)?;
    // All of it: an entry that was acknowledged may be above the committed index, which trails behind.
    let replica = disk.replay(disk.last())?;
    let view = replica.view();
    let own = identity.raft_id.unwrap_or(0);
    let name = &identity.node_name;
    let listed = view.formation().and_then(|formation| formation.members.get(name));
    if listed.and_then(|member| member.raft_id) != Some(own) {
        let now = match listed.and_then(|member| member.raft_id) {
            Some(raft_id) => format!("has Raft id {raft_id}"),
            None => "is no member".to_owned(),
        };
        let raft_dir = disk.raft_dir.clone();
        return Err(OfflineError::Replaced { raft_dir, name: name.clone(), own, now });
    }
    let vote_term = disk.log.vote.map(|vote| vote.leader_id().term);
    let founded = Founded::new(archived(&replica, now), cluster_id, name, vote_term, now)?;
    let state = founded.archive.summary()?;
    let aside = aside(data, "recover", now);
    if replace {
        put(&founded, data, Some(&aside))?;
    }
    Ok(Recovered { before, cluster_id, node: name.clone(), raft_id: founded.raft_id, state, aside })
}

/// The marker of a member of the cluster that was typed.
fn member<'a>(disk: &'a Disk, typed: &str) -> Result<&'a Identity, OfflineError> {
    let raft_dir = || disk.raft_dir.clone();
    let Some(identity) = &disk.identity else {
        return Err(OfflineError::NotAMember {
            raft_dir: raft_dir(),
            what: "identity.json is missing".to_owned(),
        });
    };
    let what = match identity.state {
        Standing::Member => None,
        Standing::Pristine => Some("it belongs to no cluster"),
        Standing::Promised => Some("its cluster was never formed"),
        Standing::Joining => Some("it had not caught up with its cluster yet"),
    };
    if let Some(what) = what {
        return Err(OfflineError::NotAMember { raft_dir: raft_dir(), what: what.to_owned() });
    }
    let found = identity.cluster_id.clone().unwrap_or_default();
    if found != typed {
        return Err(OfflineError::WrongCluster { raft_dir: raft_dir(), found, typed: typed.to_owned() });
    }
    Ok(identity)
}
