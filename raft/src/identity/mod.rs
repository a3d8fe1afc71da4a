//! Who this disk belongs to: the identity marker in `raft/`, promises made while a cluster forms, and the master keys that
//! it is for.
//!
//! Owns `raft/identity.json`, `raft/master-keys.json` and `raft/lock` (spec §2.1, §3.1, §3.2, §13.2, §13.4). May import `crate::durable`;
//! knows neither openraft nor the network. Must never happen here: a marker that is answered to anyone
//! before it is durable, a disk of another node or cluster taken over, a marker made up beside Raft data.

mod lock;
mod marker;
pub(crate) mod master_keys;
mod store;

#[cfg(test)]
mod tests;

pub use lock::DirLock;
pub use marker::{FORMAT_VERSION, Identity, Promise, Standing};
pub use store::IdentityStore;
pub(crate) use store::{data_in, read_marker};

use std::io;
use std::path::{Path, PathBuf};

/// Name of the marker inside the Raft directory.
pub const MARKER_FILE: &str = "identity.json";
/// Name of the file inside the Raft directory that says which master keys it is for.
pub const MASTER_KEYS_FILE: &str = "master-keys.json";
/// Name of the lock inside the Raft directory.
pub const LOCK_FILE: &str = "lock";

/// Why the identity of this disk is not usable, with the file and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file operation failed.
    #[error("identity: cannot {doing} {}: {reason}", path.display())]
    Io { doing: &'static str, path: PathBuf, reason: io::Error },
    /// Another process uses the directory.
    #[error(
        "identity: {} is in use by another hellojohn process; stop it, or give this one its own \
         CONTROL_PLANE_FS_ROOT",
        dir.display()
    )]
    InUse { dir: PathBuf },
    /// The marker does not parse or contradicts itself.
    #[error(
        "identity: {} is not a valid marker: {reason}; keep the node stopped and see \
         docs/ha.md, \"A node comes back\"",
        path.display()
    )]
    Invalid { path: PathBuf, reason: String },
    /// The marker is of a format that this release does not know.
    #[error(
        "identity: {} has format version {version}, this release knows {known}; start the release that wrote it",
        path.display()
    )]
    UnknownVersion { path: PathBuf, version: u64, known: u64 },
    /// There is Raft data but no marker.
    #[error(
        "identity: {} is missing although {} holds Raft data; put the marker back if it was \
         moved; else keep the node stopped and see docs/ha.md, \"A node comes back\"",
        path.display(), beside.display()
    )]
    Missing { path: PathBuf, beside: PathBuf },
    /// The node was given another master key than the one that the secrets on its disk are sealed under (spec §3.1).
    #[error(
        "identity: {} says that this node's {setting} was another one until now: nobody would open what it seals. \
         Give it back the one that it had; see docs/operations.md, \"Errors at start\"",
        path.display()
    )]
    OtherMasterKey { path: PathBuf, setting: &'static str },
    /// The disk belongs to another node (spec §3.2).
    #[error(
        "identity: {} belongs to node {found:?}, but NODE_ID is {configured:?}; attach the right disk, or set \
         NODE_ID back",
        path.display()
    )]
    WrongNode { path: PathBuf, found: String, configured: String },
    /// The disk belongs to another cluster (spec §3.2).
    #[error(
        "identity: {} belongs to cluster {found:?}, but the peers form {expected:?}; attach the right disk",
        path.display()
    )]
    WrongCluster { path: PathBuf, found: String, expected: String },
    /// The node has promised itself to another cluster that is being formed (spec §13.2).
    #[error(
        "identity: {} promised to join cluster {promised:?}, refusing {offered:?}; if that cluster will never \
         form, see docs/ha.md, \"Forming\"",
        path.display()
    )]
    Promised { path: PathBuf, promised: String, offered: String },
    /// The node is a member already; forming and promising are over for this disk.
    #[error("identity: {} is already a member of cluster {cluster:?}; it cannot {refused}", path.display())]
    Member { path: PathBuf, cluster: String, refused: &'static str },
    /// The caller offered values that cannot be stored.
    #[error("identity: refusing to store this in {}: {reason}", path.display())]
    Refused { path: PathBuf, reason: String },
}

impl IdentityError {
    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |reason| Self::Io { doing, path, reason }
    }
}
