//! Who hears of entries before they are on the disk.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use openraft::LogId;

/// An entry as it was appended.
#[derive(Debug, Clone)]
pub struct Appended {
    /// Its id.
    pub log_id: LogId<u64>,
    /// The entry as JSON, which is how it travels as well.
    pub json: Bytes,
}

/// Hears of entries that this node appends, in their order, as soon as they can be read from the log.
pub trait Listener: fmt::Debug + Send + Sync {
    /// These were appended; none of them is durable yet. Called by Raft's core, which waits: must not block.
    fn appended(self: Arc<Self>, entries: Vec<Appended>);
}
