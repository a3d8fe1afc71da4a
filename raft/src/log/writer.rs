//! The one thread that writes. It takes what waits in the channel, applies it in order, syncs once, and
//! only then answers.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use openraft::Vote;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::backend::{Backend, COMMITTED, LAST_PURGED, VOTE};
use super::error::LogError;
use super::status::Status;
use super::watermark::{Mark, Watermark};
use crate::covered::Covered;

/// Jobs waiting at most; further callers wait for room.
const QUEUE: usize = 256;
/// Jobs answered by one sync at most.
const ROUND_JOBS: usize = 128;
/// Payload gathered for one sync at most.
const ROUND_BYTES: usize = 256 * 1024;
/// A committed index with no write behind it is handed to the file after this long.
const LAZY_DELAY: Duration = Duration::from_millis(20);
/// Purged entries deleted between two rounds at most. A snapshot lets thousands go at once, and nobody waits for that.
const PURGE_STEP: u64 = 8;
/// How often the files are measured under load.
const MEASURE_EVERY: Duration = Duration::from_secs(1);
/// How long dropping the store waits for the last sync before it gives up on the thread.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// Called once, after the job is on disk or has failed.
pub(super) type Ack = Box<dyn FnOnce(Result<(), LogError>) + Send>;

/// One write.
pub(super) enum Job {
    /// Sealed entries in order of their index.
    Append { entries: Vec<(u64, Vec<u8>)>, ack: Ack },
    /// Delete `from..=last`; afterwards the log ends at `keep`.
    Truncate { from: u64, last: u64, keep: Option<u64>, ack: Ack },
    /// Once a snapshot on the disk covers it, record `upto`, and delete `first..=last` little by little. Synced with the next
    /// job that is. What is not deleted when the process ends is deleted when the log is opened.
    Purge(Purge),
    /// The vote, typed and as JSON.
    Vote { vote: Vote<u64>, record: Vec<u8>, ack: Ack },
    /// The committed log id as JSON. Never synced for its own sake.
    Committed { record: Vec<u8> },
}

/// Entries that are in a snapshot.
pub(super) struct Purge {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) upto: u64,
    /// The log id of `upto` as JSON.
    pub(super) record: Vec<u8>,
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { entries, .. } => entries.iter().map(|(_, sealed)| sealed.len()).sum(),
            Self::Truncate { .. } | Self::Purge(_) | Self::Vote { .. } | Self::Committed { .. } => 0,
        }
    }

    fn into_ack(self) -> Option<Ack> {
        match self {
            Self::Append { ack, .. } | Self::Truncate { ack, .. } | Self::Vote { ack, .. } => Some(ack),
            Self::Purge(_) | Self::Committed { .. } => None,
        }
    }
}

/// The way to the writer thread. Dropping it ends the thread after its last job.
#[derive(Debug)]
pub(super) struct Writer {
    room: Arc<Semaphore>,
    jobs: Option<Sender<(Job, OwnedSemaphorePermit)>>,
    thread: Option<JoinHandle<()>>,
    /// Behind a lock only to be shareable; used when dropped.
    ended: Mutex<Receiver<()>>,
}

impl Writer {
    /// Starts the thread. It takes the database with it.
    pub(super) fn start(
        backend: Backend,
        watermark: Watermark,
        mark: Mark,
        status: Arc<Status>,
        covered: Covered,
    ) -> Result<Self, LogError> {
        let (jobs, incoming) = channel();
        let (end_guard, ended) = channel();
        let mut worker = Worker {
            backend,
            watermark,
            mark,
            status,
            covered,
            committed: None,
            purge: None,
            purged: 0..0,
            measured: None,
        };
        let thread = std::thread::Builder::new()
            .name("raft-log".to_owned())
            .spawn(move || {
                let _end_guard: Sender<()> = end_guard;
                let _fail_guard = FailOnPanic(Arc::clone(&worker.status));
                worker.run(&incoming);
            })
            .map_err(|error| LogError::Io {
                doing: "start the writer thread of",
                path: PathBuf::from("raft/log"),
                reason: error.to_string(),
            })?;
        Ok(Self {
            room: Arc::new(Semaphore::new(QUEUE)),
            jobs: Some(jobs),
            thread: Some(thread),
            ended: Mutex::new(ended),
        })
    }

    /// Puts a job in the queue, waiting for room. The wait ends when the writer moves on; when the disk
    /// hangs, the process watchdog ends it (see [`super::LogStats::flush_running_for`]).
    pub(super) async fn send(&self, job: Job) -> Result<(), LogError> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| LogError::WriterGone)?;
        let jobs = self.jobs.as_ref().ok_or(LogError::WriterGone)?;
        jobs.send((job, room)).map_err(|_| LogError::WriterGone)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        // The thread drops its end of the channel as its last act.
        let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(CLOSE_PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::error!("the raft log's last sync did not finish; leaving its thread behind");
            return;
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the raft log's writer thread panicked");
        }
    }
}

/// Marks the log as failed when the thread unwinds: a panic must not look like a slow disk.
struct FailOnPanic(Arc<Status>);

impl Drop for FailOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(&LogError::WriterGone);
        }
    }
}

struct Worker {
    backend: Backend,
    watermark: Watermark,
    /// What the disk will hold after the next sync.
    mark: Mark,
    status: Arc<Status>,
    /// The newest committed id, waiting to ride along.
    committed: Option<Vec<u8>>,
    covered: Covered,
    /// A purge whose snapshot is not on the disk yet: Raft asks for it as soon as it has received one.
    purge: Option<Purge>,
    /// Purged entries that are still on the disk.
    purged: Range<u64>,
    measured: Option<Instant>,
}

impl Worker {
    fn run(&mut self, incoming: &Receiver<(Job, OwnedSemaphorePermit)>) {
        loop {
            let first = if !self.purged.is_empty() {
                self.delete_purged();
                match incoming.try_recv() {
                    Ok(job) => job,
                    Err(TryRecvError::Empty) => continue,
                    Err(TryRecvError::Disconnected) => break,
                }
            } else if self.owes() {
                match incoming.recv_timeout(LAZY_DELAY) {
                    Ok(job) => job,
                    Err(RecvTimeoutError::Timeout) => {
                        self.catch_up();
                        continue;
                    }
                    Err(RecvTimeoutError::Disconnected) => break,
                }
            } else {
                match incoming.recv() {
                    Ok(job) => job,
                    Err(_) => break,
                }
            };
            self.status.round_begins();
            self.round(first.0, incoming);
            self.status.round_ends();
        }
        if self.status.check().is_ok() {
            let closed =
                self.record_purge(false).and_then(|()| self.write_committed()).and_then(|()| self.sync());
            if let Err(error) = closed.and_then(|()| self.watermark.sync()) {
                self.status.fail(&error);
            }
        }
    }

    /// One turn: gather, apply, sync, answer.
    fn round(&mut self, first: Job, incoming: &Receiver<(Job, OwnedSemaphorePermit)>) {
        let mut bytes = first.bytes();
        let mut jobs = VecDeque::from([first]);
        while bytes < ROUND_BYTES && jobs.len() < ROUND_JOBS {
            let Ok((job, _room)) = incoming.try_recv() else { break };
            bytes += job.bytes();
            jobs.push_back(job);
        }
        let mut acks: Vec<Ack> = Vec::new();
        let mut result = self.status.check();
        for job in jobs {
            match result {
                Ok(()) => result = self.apply(job, &mut acks),
                Err(_) => acks.extend(job.into_ack()),
            }
        }
        if result.is_ok() && !acks.is_empty() {
            result = self.write_committed().and_then(|()| self.sync());
        }
        if let Err(error) = &result {
            self.status.fail(error);
        }
        for ack in acks {
            ack(result.clone());
        }
        self.measure();
    }

    /// Applies one job; its answer goes to `acks` first, so that it is answered whatever happens.
    fn apply(&mut self, job: Job, acks: &mut Vec<Ack>) -> Result<(), LogError> {
        // What is appended now follows the purged entries, so that these must not stay behind.
        let recorded = self.record_purge(matches!(job, Job::Append { .. }));
        if recorded.is_err() {
            acks.extend(job.into_ack());
            return recorded;
        }
        match job {
            Job::Append { entries, ack } => {
                acks.push(ack);
                for (index, sealed) in &entries {
                    self.backend.put_entry(*index, sealed)?;
                    self.mark.last_index = Some(*index);
                }
                metrics::counter!("hellojohn_raft_log_entries_appended_total")
                    .increment(u64::try_from(entries.len()).unwrap_or(u64::MAX));
                Ok(())
            }
            Job::Truncate { from, last, keep, ack } => {
                acks.push(ack);
                self.mark.last_index = keep;
                // What was written before this job in the same round is not synced yet, so the mark that is
                // lowered may speak only of what stays.
                let durable = Mark {
                    last_index: keep.min(self.watermark.mark().last_index),
                    ..self.watermark.mark().clone()
                };
                self.watermark.lower(&durable)?;
                self.backend.delete_from(from, last)
            }
            Job::Purge(purge) => {
                let first = self.purge.as_ref().map_or(purge.first, |waiting| waiting.first);
                self.purge = Some(Purge { first, ..purge });
                self.record_purge(false)
            }
            Job::Vote { vote, record, ack } => {
                acks.push(ack);
                self.mark.vote = Some(vote);
                self.backend.put_meta(VOTE, &record)
            }
            Job::Committed { record } => {
                self.committed = Some(record);
                Ok(())
            }
        }
    }

    /// Writes down what was purged, when it is covered, or `now`. Until then a crash leaves the log as it was.
    fn record_purge(&mut self, now: bool) -> Result<(), LogError> {
        let covered = |purge: &mut Purge| now || self.covered.has(purge.upto);
        let Some(Purge { first, last, upto, record }) = self.purge.take_if(covered) else { return Ok(()) };
        self.mark.last_index = self.mark.last_index.max(Some(upto));
        self.backend.put_meta(LAST_PURGED, &record)?;
        // They follow each other, except where a snapshot from elsewhere replaced all entries.
        let first = if self.purged.is_empty() { first } else { self.purged.start };
        self.purged = first..last.saturating_add(1);
        Ok(())
    }

    /// Deletes a few of the purged entries.
    fn delete_purged(&mut self) {
        let end = self.purged.start.saturating_add(PURGE_STEP).min(self.purged.end);
        self.status.round_begins();
        match self.status.check().and_then(|()| self.backend.delete(self.purged.start..end)) {
            Ok(next) => self.purged.start = next,
            Err(error) => {
                self.status.fail(&error);
                self.purged = 0..0;
            }
        }
        self.status.round_ends();
    }

    /// Not while a purge waits: the log on the disk may end before what is committed.
    fn write_committed(&mut self) -> Result<(), LogError> {
        if self.purge.is_some() {
            return Ok(());
        }
        self.committed.take().map_or(Ok(()), |record| self.backend.put_meta(COMMITTED, &record))
    }

    /// Whether something is to be written that nobody waits for.
    fn owes(&self) -> bool {
        let behind = self.committed.is_some() || self.purge.is_some() || self.mark != *self.watermark.mark();
        behind && self.status.check().is_ok()
    }

    /// Writes what nobody waits for, when there is nothing else to do.
    fn catch_up(&mut self) {
        self.status.round_begins();
        if let Err(error) = self.record_purge(false).and_then(|()| self.note_committed()) {
            self.status.fail(&error);
        }
        self.status.round_ends();
    }

    fn note_committed(&mut self) -> Result<(), LogError> {
        if self.purge.is_some() {
            return Ok(());
        }
        self.write_committed()?;
        if self.mark == *self.watermark.mark() { self.backend.flush_lazily() } else { self.sync() }
    }

    fn sync(&mut self) -> Result<(), LogError> {
        let started = Instant::now();
        self.backend.sync()?;
        metrics::histogram!("hellojohn_raft_fsync_seconds").record(started.elapsed().as_secs_f64());
        self.watermark.raise(&self.mark)
    }

    fn measure(&mut self) {
        if self.measured.is_some_and(|at| at.elapsed() < MEASURE_EVERY) {
            return;
        }
        self.measured = Some(Instant::now());
        match self.backend.disk_bytes() {
            Ok(bytes) => self.status.set_disk_bytes(bytes),
            Err(error) => tracing::warn!(%error, "cannot measure the raft log"),
        }
    }
}
