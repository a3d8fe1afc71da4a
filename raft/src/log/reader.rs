//! Reading entries: recent ones from memory, older ones from disk, each checked and bounded.

use std::fmt::Debug;
use std::ops::{Bound, Range, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::{ErrorSubject, ErrorVerb, OptionalSend, RaftLogReader, RaftTypeConfig, StorageError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::MAX_READ_BYTES;
use super::backend::Tables;
use super::envelope::Name;
use super::error::LogError;
use super::memory::{Memory, Piece};
use super::status::Status;

/// Most bytes read from disk in one blocking step.
const STEP_BYTES: u64 = 4 * 1024 * 1024;

/// What store and readers share.
#[derive(Debug)]
pub(super) struct Shared<C: RaftTypeConfig<NodeId = u64>> {
    memory: Mutex<Memory<C::Entry>>,
    tables: Tables,
    pub(super) status: Arc<Status>,
}

impl<C> Shared<C>
where
    C: RaftTypeConfig<NodeId = u64>,
    C::Entry: Serialize + DeserializeOwned + Clone,
{
    pub(super) fn new(memory: Memory<C::Entry>, tables: Tables, status: Arc<Status>) -> Self {
        Self { memory: Mutex::new(memory), tables, status }
    }

    /// The bookkeeping. Held for moments only, never across an await.
    pub(super) fn memory(&self) -> MutexGuard<'_, Memory<C::Entry>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The trees, for tests that damage them.
    #[cfg(test)]
    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// The entries of `range` that exist, at most `budget` encoded bytes but at least one entry. The result
    /// has no holes: it ends early if the range is cut or purged meanwhile.
    pub(super) async fn read(&self, mut range: Range<u64>, budget: u64) -> Result<Vec<C::Entry>, LogError> {
        self.status.check()?;
        range.start = range.start.max(self.memory().first());
        let mut left = budget;
        let mut read: Vec<C::Entry> = Vec::new();
        loop {
            if !read.is_empty() && (left == 0 || range.start < self.memory().first()) {
                return Ok(read);
            }
            let (piece, bytes) = {
                let memory = self.memory();
                let piece = memory.piece(&range, left.min(STEP_BYTES));
                let bytes = match &piece {
                    Piece::End => 0,
                    Piece::Memory(entries) => memory.bytes_in(range.start..range.start + count(entries)),
                    Piece::Disk(part) => memory.bytes_in(part.clone()),
                };
                (piece, bytes)
            };
            if !read.is_empty() && bytes > left {
                return Ok(read);
            }
            let entries = match piece {
                Piece::End => return Ok(read),
                Piece::Memory(entries) => entries,
                Piece::Disk(part) => match self.read_disk(part.clone()).await? {
                    Some(entries) => entries,
                    None => return Ok(read),
                },
            };
            range.start += count(&entries);
            left = left.saturating_sub(bytes);
            read.extend(entries);
        }
    }

    /// The entries of `part` from disk; `None` if they were purged or cut while we read.
    async fn read_disk(&self, part: Range<u64>) -> Result<Option<Vec<C::Entry>>, LogError> {
        let tables = self.tables.clone();
        let wanted = part.clone();
        // In a blocking thread: it may wait for the disk, and sled panics on some kinds of damage.
        let read = tokio::task::spawn_blocking(move || decode_range(&tables, wanted)).await;
        let result = read.unwrap_or_else(|error| Err(self.tables.panicked(&error.to_string())));
        let entries = result.inspect_err(|error| self.status.fail(error))?;
        if count(&entries) == part.end - part.start {
            return Ok(Some(entries));
        }
        let memory = self.memory();
        if memory.first() > part.start || memory.end() < part.end {
            return Ok(None);
        }
        let error = LogError::Hole { index: part.start + count(&entries) };
        self.status.fail(&error);
        Err(error)
    }
}

/// Reads and decodes the entries of `part`, up to the first one that is missing.
fn decode_range<E: DeserializeOwned>(tables: &Tables, part: Range<u64>) -> Result<Vec<E>, LogError> {
    tables.entries(part.start, part.end)?.into_iter().map(|(index, body)| decode(index, &body)).collect()
}

/// Decodes the JSON of the entry at `index`.
pub(super) fn decode<E: DeserializeOwned>(index: u64, body: &[u8]) -> Result<E, LogError> {
    serde_json::from_slice(body).map_err(|error| LogError::Undecodable {
        record: Name::Entry(index).to_string(),
        reason: error.to_string(),
    })
}

fn count<E>(entries: &[E]) -> u64 {
    u64::try_from(entries.len()).unwrap_or(u64::MAX)
}

/// Reads the log beside the store; one per replication stream.
#[derive(Debug, Clone)]
pub struct LogReader<C: RaftTypeConfig<NodeId = u64>> {
    pub(super) shared: Arc<Shared<C>>,
}

impl<C> LogReader<C>
where
    C: RaftTypeConfig<NodeId = u64>,
    C::Entry: Serialize + DeserializeOwned + Clone,
{
    async fn read(&self, range: Range<u64>, budget: u64) -> Result<Vec<C::Entry>, StorageError<u64>> {
        let read = self.shared.read(range, budget).await;
        read.map_err(|error| error.storage(ErrorSubject::Logs, ErrorVerb::Read))
    }
}

impl<C> RaftLogReader<C> for LogReader<C>
where
    C: RaftTypeConfig<NodeId = u64>,
    C::Entry: Serialize + DeserializeOwned + Clone,
{
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<C::Entry>, StorageError<u64>> {
        self.read(half_open(&range), u64::MAX).await
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<C::Entry>, StorageError<u64>> {
        if start < self.shared.memory().first() {
            // Entries after a gap must never look like the ones that were asked for.
            return Ok(Vec::new());
        }
        self.read(start..end, MAX_READ_BYTES).await
    }
}

fn half_open(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}
