//! The log store that openraft drives.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::Arc;

use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{
    ErrorSubject, ErrorVerb, LogId, LogState, OptionalSend, RaftLogId, RaftLogReader, RaftTypeConfig,
    StorageError, Vote,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;

use super::Durability;
use super::backend::{Backend, COMMITTED, LAST_PURGED, VOTE};
use super::envelope::{self, Name};
use super::error::LogError;
use super::listener::{Appended, Listener};
use super::memory::Memory;
use super::reader::{LogReader, Shared, decode};
use super::recover::{Recovered, recover};
use super::status::{LogHandle, Status};
use super::watermark::{Mark, Watermark};
use super::writer::{Ack, Job, Purge, Writer};
use crate::covered::Covered;

/// Raft log and vote in a directory of their own. One per process and directory.
///
/// Dropping it ends the writer thread after its last sync (bounded); readers may outlive it and keep the
/// database open.
#[derive(Debug)]
pub struct LogStore<C: RaftTypeConfig<NodeId = u64>> {
    pub(super) reader: LogReader<C>,
    writer: Writer,
    listener: Option<Arc<dyn Listener>>,
    member: Option<u64>,
    _config: PhantomData<C>,
}

impl<C> LogStore<C>
where
    C: RaftTypeConfig<NodeId = u64>,
    C::Entry: Serialize + DeserializeOwned + Clone,
{
    /// Opens or creates the log in `dir`, reads and checks all of it. Blocks on the disk.
    ///
    /// # Errors
    /// [`LogError`]: the directory is in use or unreadable, a record is damaged or of an unknown version,
    /// entries are missing, or less is there than was acknowledged. Nothing is changed on disk then.
    pub fn open(dir: &Path, durability: Durability) -> Result<Self, LogError> {
        Self::open_behind(dir, durability, Covered::everything())
    }

    /// As [`Self::open`], and gives up no entry on the disk that is not `covered` by a snapshot there.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_behind(dir: &Path, durability: Durability, covered: Covered) -> Result<Self, LogError> {
        let opened = open_and_check(dir, durability)?;
        let Opened { backend, watermark, mark, found } = opened;
        let last: Option<C::Entry> = match (&found.last_entry, mark.last_index) {
            (Some(body), Some(index)) => Some(decode(index, body)?),
            (Some(_), None) | (None, _) => None,
        };
        let status = Arc::new(Status::new());
        let tables = backend.tables();
        let memory = Memory::new(found, last.as_ref());
        status.set_contents(memory.entries(), memory.payload());
        status.set_disk_bytes(backend.disk_bytes()?);
        let shared = Arc::new(Shared::new(memory, tables, Arc::clone(&status)));
        let writer = Writer::start(backend, watermark, mark, status, covered)?;
        Ok(Self { reader: LogReader { shared }, writer, listener: None, member: None, _config: PhantomData })
    }

    /// From now on `listener` hears of every entry that is appended.
    pub fn tell(&mut self, listener: Arc<dyn Listener>) {
        self.listener = Some(listener);
    }

    /// Says whose log this is. If the member `raft_id` led when it last ran, it does not go on: openraft would let it, in the
    /// same term, although followers may have entries of that term which did not reach this disk, and whose ids it would give
    /// to others. Its vote counts as one for itself whose outcome is open, so that the next leader is of a later term; and is
    /// from now on written like that, so that no other release takes it for more.
    pub fn belongs_to(&mut self, raft_id: u64) {
        self.member = Some(raft_id);
        let mut memory = self.reader.shared.memory();
        memory.vote = memory.vote.map(|vote| self.lasting(vote));
    }

    /// What outlives the process of a vote.
    fn lasting(&self, vote: Vote<u64>) -> Vote<u64> {
        let own = self.member == Some(vote.leader_id.node_id);
        Vote { committed: vote.committed && !own, ..vote }
    }

    /// A view for watchdogs and metrics that does not keep the store open.
    pub fn handle(&self) -> LogHandle {
        LogHandle::new(Arc::clone(&self.reader.shared.status))
    }

    /// The last purged log id. The state machine must start from a snapshot at least as new as this.
    pub fn last_purged(&self) -> Option<LogId<u64>> {
        self.reader.shared.memory().last_purged
    }

    fn note_contents(&self) {
        let memory = self.reader.shared.memory();
        self.reader.shared.status.set_contents(memory.entries(), memory.payload());
    }

    async fn send(&self, job: Job) -> Result<(), LogError> {
        self.reader.shared.status.check()?;
        self.writer.send(job).await
    }

    async fn try_append(&self, entries: Vec<C::Entry>, callback: LogFlushed<C>) -> Result<(), LogError> {
        self.reader.shared.status.check()?;
        let entries = self.reader.shared.memory().without_superseded(entries);
        let mut sealed = Vec::with_capacity(entries.len());
        let mut sized = Vec::with_capacity(entries.len());
        let mut appended = Vec::with_capacity(entries.len());
        for entry in entries {
            let log_id = *entry.get_log_id();
            let index = log_id.index;
            let name = Name::Entry(index);
            let json = encode(&entry, name)?;
            let bytes = envelope::seal(name, &json);
            if self.listener.is_some() {
                appended.push(Appended { log_id, json: json.into() });
            }
            sized.push((entry, u64::try_from(bytes.len()).unwrap_or(u64::MAX)));
            sealed.push((index, bytes));
        }
        if sealed.is_empty() {
            callback.log_io_completed(Ok(()));
            return Ok(());
        }
        self.reader.shared.memory().append(sized)?;
        self.note_contents();
        let shared = Arc::clone(&self.reader.shared);
        let ack: Ack = Box::new(move |result| {
            if result.is_ok() {
                shared.memory().confirmed();
            }
            callback.log_io_completed(result.as_ref().map_err(std::io::Error::from).copied());
        });
        self.send(Job::Append { entries: sealed, ack }).await?;
        if let Some(listener) = &self.listener {
            Arc::clone(listener).appended(appended);
        }
        Ok(())
    }

    async fn try_truncate(&self, from: u64) -> Result<(), LogError> {
        let (first, end) = {
            let memory = self.reader.shared.memory();
            (memory.first(), memory.end())
        };
        if from >= end {
            return Ok(());
        }
        let from = from.max(first);
        let last_kept = if from > first { self.id_at(from - 1).await? } else { None };
        let keep = {
            let mut memory = self.reader.shared.memory();
            memory.truncate(from, last_kept);
            memory.log_state::<C>().last_log_id.map(|id| id.index)
        };
        self.note_contents();
        let (ack, done) = acknowledgement();
        self.send(Job::Truncate { from, last: end - 1, keep, ack }).await?;
        wait(done).await
    }

    async fn id_at(&self, index: u64) -> Result<Option<LogId<u64>>, LogError> {
        let known = self.reader.shared.memory().recent_id(index);
        if known.is_some() {
            return Ok(known);
        }
        let entries = self.reader.shared.read(index..index + 1, u64::MAX).await?;
        entries.first().map(|entry| Some(*entry.get_log_id())).ok_or(LogError::Hole { index })
    }

    async fn try_purge(&self, upto: LogId<u64>) -> Result<(), LogError> {
        let record = encode(&upto, Name::Meta(LAST_PURGED))?;
        let (first, last) = {
            let mut memory = self.reader.shared.memory();
            if memory.last_purged >= Some(upto) {
                return Ok(());
            }
            let (first, end) = (memory.first(), memory.end());
            memory.purge(upto);
            (first, upto.index.min(end.saturating_sub(1)))
        };
        self.note_contents();
        self.send(Job::Purge(Purge { first, last, upto: upto.index, record })).await
    }

    async fn try_save_vote(&self, vote: Vote<u64>) -> Result<(), LogError> {
        let lasting = self.lasting(vote);
        let record = encode(&lasting, Name::Meta(VOTE))?;
        let (ack, done) = acknowledgement();
        self.send(Job::Vote { vote: lasting, record, ack }).await?;
        wait(done).await?;
        self.reader.shared.memory().vote = Some(vote);
        Ok(())
    }

    async fn try_save_committed(&self, committed: Option<LogId<u64>>) -> Result<(), LogError> {
        // `None` is what an unused log has anyway; openraft never takes a committed id back.
        let Some(id) = committed else { return Ok(()) };
        let record = encode(&id, Name::Meta(COMMITTED))?;
        self.send(Job::Committed { record }).await?;
        self.reader.shared.memory().committed = committed;
        Ok(())
    }
}

struct Opened {
    backend: Backend,
    watermark: Watermark,
    mark: Mark,
    found: Recovered,
}

fn open_and_check(dir: &Path, durability: Durability) -> Result<Opened, LogError> {
    let owned = dir.to_owned();
    guarded(dir, move || {
        let mut backend = Backend::open(&owned, durability)?;
        let mut watermark = Watermark::open(&owned)?;
        let found = recover(&mut backend, &mut watermark)?;
        crate::durable::sync_dir(&owned).map_err(|error| LogError::io("fsync", &owned, &error))?;
        Ok(Opened { backend, watermark, mark: found.mark(), found })
    })
}

/// Runs `work` on the log in `dir` in a thread of its own, because sled panics on some kinds of damage and that must
/// become an error.
pub(super) fn guarded<T: Send + 'static>(
    dir: &Path,
    work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
) -> Result<T, LogError> {
    let opener = std::thread::Builder::new()
        .name("raft-log-open".to_owned())
        .spawn(work)
        .map_err(|error| LogError::io("start a thread to open", dir, &error))?;
    opener.join().unwrap_or_else(|panic| {
        let reason = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "no reason given".to_owned());
        Err(LogError::Panicked { path: dir.to_owned(), reason })
    })
}

fn encode<T: Serialize>(value: &T, name: Name) -> Result<Vec<u8>, LogError> {
    serde_json::to_vec(value)
        .map_err(|error| LogError::Undecodable { record: name.to_string(), reason: error.to_string() })
}

fn acknowledgement() -> (Ack, oneshot::Receiver<Result<(), LogError>>) {
    let (answer, done) = oneshot::channel();
    // A caller that went away does not need the answer.
    (Box::new(move |result| drop(answer.send(result))), done)
}

/// Waits for the disk. Bounded by the writer, which answers or dies; a hung disk is the watchdog's case.
async fn wait(done: oneshot::Receiver<Result<(), LogError>>) -> Result<(), LogError> {
    done.await.unwrap_or(Err(LogError::WriterGone))
}

impl<C> RaftLogReader<C> for LogStore<C>
where
    C: RaftTypeConfig<NodeId = u64>,
    C::Entry: Serialize + DeserializeOwned + Clone,
{
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> Result<Vec<C::Entry>, StorageError<u64>> {
        self.reader.try_get_log_entries(range).await
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<C::Entry>, StorageError<u64>> {
        self.reader.limited_get_log_entries(start, end).await
    }
}

impl<C> RaftLogStorage<C> for LogStore<C>
where
    C: RaftTypeConfig<NodeId = u64>,
    C::Entry: Serialize + DeserializeOwned + Clone,
{
    type LogReader = LogReader<C>;

    async fn get_log_state(&mut self) -> Result<LogState<C>, StorageError<u64>> {
        let state = self.reader.shared.status.check().map(|()| self.reader.shared.memory().log_state());
        state.map_err(|error| error.storage(ErrorSubject::Logs, ErrorVerb::Read))
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Result<(), StorageError<u64>> {
        let saved = self.try_save_vote(*vote).await;
        saved.map_err(|error| error.storage(ErrorSubject::Vote, ErrorVerb::Write))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote<u64>>, StorageError<u64>> {
        let vote = self.reader.shared.status.check().map(|()| self.reader.shared.memory().vote);
        vote.map_err(|error| error.storage(ErrorSubject::Vote, ErrorVerb::Read))
    }

    async fn save_committed(&mut self, committed: Option<LogId<u64>>) -> Result<(), StorageError<u64>> {
        let saved = self.try_save_committed(committed).await;
        saved.map_err(|error| error.storage(ErrorSubject::Store, ErrorVerb::Write))
    }

    async fn read_committed(&mut self) -> Result<Option<LogId<u64>>, StorageError<u64>> {
        let committed = self.reader.shared.status.check().map(|()| self.reader.shared.memory().committed);
        committed.map_err(|error| error.storage(ErrorSubject::Store, ErrorVerb::Read))
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<C>) -> Result<(), StorageError<u64>>
    where
        I: IntoIterator<Item = C::Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let appended = self.try_append(entries.into_iter().collect(), callback).await;
        appended.map_err(|error| error.storage(ErrorSubject::Logs, ErrorVerb::Write))
    }

    async fn truncate(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        let truncated = self.try_truncate(log_id.index).await;
        truncated.map_err(|error| error.storage(ErrorSubject::Logs, ErrorVerb::Delete))
    }

    async fn purge(&mut self, log_id: LogId<u64>) -> Result<(), StorageError<u64>> {
        let purged = self.try_purge(log_id).await;
        purged.map_err(|error| error.storage(ErrorSubject::Logs, ErrorVerb::Delete))
    }
}
