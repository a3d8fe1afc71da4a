//! Why nothing was done, in words that name the directory and the remedy.

use std::io;
use std::path::PathBuf;

use hellojohn_control::{Fatal, ImageError, RefoundError};

use crate::archive::ArchiveError;
use crate::identity::IdentityError;
use crate::log::LogError;
use crate::snapshot::SnapshotError;

/// Why nothing was done. Nothing has changed then, unless the text says so.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// An archive or snapshot cannot be used.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The marker cannot be used, or a process runs on this disk.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The snapshots cannot be used.
    #[error(transparent)]
    Snapshots(#[from] SnapshotError),
    /// A file or directory cannot be read or written.
    #[error("cannot {doing} {}: {reason}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
    /// The directory is none of a node.
    #[error("{} holds no raft/ of a node; name a CONTROL_PLANE_FS_ROOT, or a copy of its raft/", dir.display())]
    NoNode {
        /// The directory.
        dir: PathBuf,
    },
    /// A copy lacks its log.
    #[error(
        "{} has no log/; a copy needs all of raft/. To take a snapshot in it as it is, name its file",
        raft_dir.display()
    )]
    NoLog {
        /// The directory.
        raft_dir: PathBuf,
    },
    /// No state can be made of what is there.
    #[error(
        "{}: the log was purged up to entry {purged}, but the newest snapshot that is whole ends at {ends}; the \
         entries between them are nowhere on this disk",
        raft_dir.display()
    )]
    Hole {
        /// The directory.
        raft_dir: PathBuf,
        /// The last entry that is gone from the log.
        purged: u64,
        /// Where the newest whole snapshot ends.
        ends: String,
    },
    /// The log holds what this release cannot apply.
    #[error("entry {index}: {reason}")]
    Apply {
        /// The entry.
        index: u64,
        /// Why.
        reason: Fatal,
    },
    /// The state cannot be encoded.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The state cannot become that of a new cluster.
    #[error("this state cannot be gone on with: {0}")]
    Refound(#[from] RefoundError),
    /// The target is somebody's.
    #[error(
        "{} is not empty: {what}; name a data directory that no node has used, nothing here was touched",
        raft_dir.display()
    )]
    Occupied {
        /// The directory.
        raft_dir: PathBuf,
        /// What is there.
        what: String,
    },
    /// Root in the directory of the user that the node runs as.
    #[error(
        "{} belongs to the user {owner}, who could not open what root makes in it; run this as that user: \
         `sudo -u '#{owner}' hellojohn …`. Nothing here was touched",
        data.display()
    )]
    NotTheOwner {
        /// The data directory.
        data: PathBuf,
        /// Id of the user that it belongs to.
        owner: u32,
    },
    /// The disk is of another cluster than was typed.
    #[error("{} belongs to cluster {found}, not to {typed}; is this the right disk?", raft_dir.display())]
    WrongCluster {
        /// The directory.
        raft_dir: PathBuf,
        /// The cluster on disk.
        found: String,
        /// The cluster that was typed.
        typed: String,
    },
    /// Only a member has what others rely on.
    #[error("{} is not that of a member: {what}", raft_dir.display())]
    NotAMember {
        /// The directory.
        raft_dir: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// The disk was replaced by another one of the same name.
    #[error(
        "{}: this disk has Raft id {own}, but by its own log {name} {now}; it is an old disk and lacks what was written \
         since. If nothing newer is left anywhere, use `hellojohn cluster snapshot restore --from-dir`",
        raft_dir.display()
    )]
    Replaced {
        /// The directory.
        raft_dir: PathBuf,
        /// The node.
        name: String,
        /// The id in the marker.
        own: u64,
        /// What the state says of the node.
        now: String,
    },
    /// The promise was kept already.
    #[error(
        "{}: cluster {cluster_id} was formed, its log here ends at entry {last}; there is no promise to take back. Start \
         this node with the other founders: they go on without the one that formed it",
        raft_dir.display()
    )]
    Formed {
        /// The directory.
        raft_dir: PathBuf,
        /// The cluster.
        cluster_id: String,
        /// Its last entry here.
        last: u64,
    },
}

impl OfflineError {
    pub(super) fn io(doing: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |reason| Self::Io { doing, path, reason }
    }
}
