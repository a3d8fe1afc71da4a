//! The Raft log and vote on disk: sled, with an explicit data sync before anything is acknowledged.
//!
//! Owns `raft/log/`: entries, vote, last purged and committed log ids, and the watermark file that notices
//! a store which came back shorter than it was. May import openraft, sled and `crate::durable`; sled's
//! names stay in [`backend`] and [`scan`]. Must never happen here: an acknowledgement before `fdatasync`, a write from
//! any thread but the writer's, an entry served whose checksum does not match.
//!
//! Why the explicit sync: `sled::Tree::flush` hands pages to the disk with `sync_file_range`, which covers
//! neither metadata nor the drive's own cache, so a power cut loses acknowledged entries (spacejam/sled#1452).
//!
//! How a write travels: `append`, `save_vote`, `truncate` or `purge` puts a job in one channel; one thread
//! takes whatever waits there, applies it in order, syncs once, and only then answers. Vote and log
//! therefore cannot reorder, and many small writes share one sync.

mod backend;
mod envelope;
mod error;
mod listener;
mod memory;
mod offline;
mod reader;
mod recover;
mod scan;
mod status;
mod store;
mod watermark;
mod writer;

#[cfg(test)]
mod tests;

pub use error::LogError;
pub use listener::{Appended, Listener};
pub(crate) use offline::{WholeLog, create, read_whole};
pub use reader::LogReader;
pub use status::{LogHandle, LogStats};
pub use store::LogStore;

/// Whether acknowledged writes are forced to the disk itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// `fdatasync` on sled's file before every acknowledgement: what the product always uses.
    Synced,
    /// No explicit sync; data may stay in the page cache and is lost in a power cut. It exists only so
    /// that the power-cut and system-call tests can show that they fail without the sync. The product
    /// never passes it.
    PageCacheOnly,
}

/// Most bytes of entries returned by one `limited_get_log_entries`, so that a slow follower cannot make
/// the leader load its whole log into one message. At least one entry is always returned.
pub const MAX_READ_BYTES: u64 = 1024 * 1024;
