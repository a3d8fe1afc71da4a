//! The smallest type configuration that exercises the log store. Shared with `examples/log_writer.rs`.

use std::io::Cursor;
use std::path::Path;

use hellojohn_raft::log::{Durability, LogError, LogStore};
use openraft::{CommittedLeaderId, Entry, EntryPayload, LogId};
use serde::{Deserialize, Serialize};

/// A command that carries any text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note(pub(crate) String);

openraft::declare_raft_types!(
    /// Notes in, nothing out.
    pub(crate) Notes:
        D = Note,
        R = (),
        NodeId = u64,
        Node = openraft::BasicNode,
        Entry = openraft::Entry<Notes>,
        SnapshotData = Cursor<Vec<u8>>,
        AsyncRuntime = openraft::TokioRuntime,
);

/// Opens the log of a test.
pub(crate) fn open(dir: &Path, durability: Durability) -> Result<LogStore<Notes>, LogError> {
    LogStore::open(dir, durability)
}

/// A log id of leader 1.
pub(crate) fn log_id(term: u64, index: u64) -> LogId<u64> {
    LogId::new(CommittedLeaderId::new(term, 1), index)
}

/// An entry with this text.
pub(crate) fn note(term: u64, index: u64, text: impl Into<String>) -> Entry<Notes> {
    Entry { log_id: log_id(term, index), payload: EntryPayload::Normal(Note(text.into())) }
}

/// The entry that `log_writer` puts at `index`: its content follows from the index, so that a reader can
/// tell a wrong one.
pub(crate) fn numbered(index: u64, payload: usize) -> Entry<Notes> {
    let mut text = format!("{index}:");
    while text.len() < payload {
        text.push(char::from(b'a' + u8::try_from((index + text.len() as u64 / 7) % 26).unwrap_or(0)));
    }
    note(1, index, text)
}
