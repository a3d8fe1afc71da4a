//! Archives, and what is done to the disk of a node that does not run. For commands on a node's host.

pub use hellojohn_raft::archive::{
    Archive, ArchiveError, ArchiveFile, MAX_BYTES, MemberSummary, Summary, write_new,
};
pub use hellojohn_raft::offline::{
    Disk, DiskReport, OfflineError, Recovered, Restored, TailEntry, recover, reset_promise, restore,
};
