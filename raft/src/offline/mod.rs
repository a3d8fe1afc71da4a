//! What is done to the disk of a node that does not run: look at it, make an archive of it, restore an archive, recover
//! from the permanent loss of a quorum, take back a promise.
//!
//! Owns that these are safe to try: what is read is never changed (the database is opened in a copy of it, because it
//! writes as it opens), everything is checked before anything is touched, and a `raft/` comes into place by one rename,
//! whole and durable. All functions block on the disk.

mod disk;
mod error;
mod place;
mod recover;
mod report;
mod reset;
mod restore;
mod scratch;

#[cfg(test)]
mod tests;

pub use disk::Disk;
pub use error::OfflineError;
pub use recover::{Recovered, recover};
pub use report::{DiskReport, LogReport, SnapshotReport, TailEntry};
pub use reset::reset_promise;
pub use restore::{Restored, restore};
