//! The log as this process sees it: which indexes exist, how large they are, and the recent entries
//! themselves, so that replication and apply do not decode them from disk again.
//!
//! Pure bookkeeping: no disk, no lock, no await.

use std::collections::VecDeque;
use std::ops::Range;

use openraft::{LogId, LogState, RaftLogId, RaftTypeConfig, Vote};

use super::error::LogError;
use super::recover::Recovered;

/// Encoded bytes of recent entries kept decoded.
const RECENT_BYTES: u64 = 16 * 1024 * 1024;

/// Where the next piece of a read comes from.
#[derive(Debug, PartialEq)]
pub(super) enum Piece<E> {
    /// Nothing (more) in this range.
    End,
    /// These entries, from memory.
    Memory(Vec<E>),
    /// This range is on disk only.
    Disk(Range<u64>),
}

/// State behind the store's lock.
#[derive(Debug)]
pub(super) struct Memory<E> {
    pub(super) vote: Option<Vote<u64>>,
    pub(super) committed: Option<LogId<u64>>,
    pub(super) last_purged: Option<LogId<u64>>,
    last: Option<LogId<u64>>,
    first: u64,
    sizes: VecDeque<u64>,
    payload: u64,
    recent: VecDeque<E>,
    recent_bytes: u64,
    /// First index of each append that the disk has not confirmed; such entries must stay in `recent`.
    in_flight: VecDeque<u64>,
}

impl<E: RaftLogId<u64> + Clone> Memory<E> {
    /// From what the disk holds; `last` is its last entry, decoded.
    pub(super) fn new(found: Recovered, last: Option<&E>) -> Self {
        Self {
            vote: found.vote,
            committed: found.committed,
            last_purged: found.last_purged,
            last: last.map(|entry| *entry.get_log_id()),
            first: found.first,
            payload: found.sizes.iter().sum(),
            sizes: found.sizes,
            recent: VecDeque::new(),
            recent_bytes: 0,
            in_flight: VecDeque::new(),
        }
    }

    /// One past the last entry.
    pub(super) fn end(&self) -> u64 {
        self.first.saturating_add(count(self.sizes.len()))
    }

    pub(super) fn first(&self) -> u64 {
        self.first
    }

    pub(super) fn payload(&self) -> u64 {
        self.payload
    }

    pub(super) fn entries(&self) -> u64 {
        count(self.sizes.len())
    }

    /// Last purged and last log id, as openraft defines them: entries present → the last one's id; all
    /// purged → the last purged id; unused → none.
    pub(super) fn log_state<C: RaftTypeConfig<NodeId = u64>>(&self) -> LogState<C> {
        LogState { last_purged_log_id: self.last_purged, last_log_id: self.last.or(self.last_purged) }
    }

    /// Leaves out what needs no writing: entries that are purged already (committed and in a snapshot), and
    /// earlier versions of an index that is offered twice. openraft sends neither; its test suite does.
    pub(super) fn without_superseded(&self, entries: Vec<E>) -> Vec<E> {
        let mut wanted: Vec<E> = Vec::with_capacity(entries.len());
        for entry in entries {
            let index = entry.get_log_id().index;
            if self.last_purged.is_some_and(|purged| index <= purged.index) {
                continue;
            }
            while wanted.last().is_some_and(|last| last.get_log_id().index >= index) {
                wanted.pop();
            }
            wanted.push(entry);
        }
        wanted
    }

    /// Takes new entries with their encoded sizes. They are readable at once and count as in flight until
    /// [`Self::confirmed`].
    pub(super) fn append(&mut self, entries: Vec<(E, u64)>) -> Result<(), LogError> {
        let Some((first, _)) = entries.first() else { return Ok(()) };
        let first = first.get_log_id().index;
        // An unused log takes any first index (openraft begins at 0); a purged one goes on where it ended.
        if self.sizes.is_empty() && self.last_purged.is_none() {
            self.first = first;
        }
        for (expected, (entry, _)) in (self.end()..).zip(&entries) {
            let offered = entry.get_log_id().index;
            if offered != expected {
                return Err(LogError::NotConsecutive { offered, last: expected.saturating_sub(1) });
            }
        }
        self.in_flight.push_back(first);
        for (entry, size) in entries {
            self.last = Some(*entry.get_log_id());
            self.sizes.push_back(size);
            self.payload += size;
            self.recent.push_back(entry);
            self.recent_bytes += size;
        }
        Ok(())
    }

    /// The oldest append in flight has reached the disk.
    pub(super) fn confirmed(&mut self) {
        self.in_flight.pop_front();
        let pinned = self.in_flight.iter().min().copied().unwrap_or(u64::MAX);
        while self.recent_bytes > RECENT_BYTES && self.recent_start() < pinned {
            self.forget_oldest_recent();
        }
    }

    /// Cuts the entries from `from` on. `last` is the id of the entry before it, if there is one.
    pub(super) fn truncate(&mut self, from: u64, last: Option<LogId<u64>>) {
        while self.end() > from.max(self.first) {
            let size = self.sizes.pop_back().unwrap_or(0);
            self.payload -= size;
            if self.recent.pop_back().is_some() {
                self.recent_bytes -= size;
            }
        }
        self.last = last;
    }

    /// Forgets the entries up to and including `upto`.
    pub(super) fn purge(&mut self, upto: LogId<u64>) {
        while self.first <= upto.index && !self.sizes.is_empty() {
            if self.recent_start() == self.first {
                self.forget_oldest_recent();
            }
            self.payload -= self.sizes.pop_front().unwrap_or(0);
            self.first += 1;
        }
        if self.sizes.is_empty() {
            self.first = self.first.max(upto.index + 1);
            self.last = None;
        }
        self.last_purged = self.last_purged.max(Some(upto));
    }

    /// The id of the entry at `index` if it is in memory.
    pub(super) fn recent_id(&self, index: u64) -> Option<LogId<u64>> {
        self.recent_at(index).map(|entry| *entry.get_log_id())
    }

    /// The next piece of the read `range`, at most `bytes` (but at least one entry).
    pub(super) fn piece(&self, range: &Range<u64>, bytes: u64) -> Piece<E> {
        let start = range.start.max(self.first);
        let end = range.end.min(self.end());
        if start >= end {
            return Piece::End;
        }
        let mut sum = 0_u64;
        let mut fits = start;
        while fits < end {
            sum = sum.saturating_add(self.size_at(fits));
            if sum > bytes && fits > start {
                break;
            }
            fits += 1;
        }
        if start < self.recent_start() {
            return Piece::Disk(start..fits.min(self.recent_start()));
        }
        Piece::Memory((start..fits).filter_map(|index| self.recent_at(index).cloned()).collect())
    }

    /// Encoded bytes of the entries in `range`.
    pub(super) fn bytes_in(&self, range: Range<u64>) -> u64 {
        range.map(|index| self.size_at(index)).sum()
    }

    fn recent_start(&self) -> u64 {
        self.end() - count(self.recent.len())
    }

    fn recent_at(&self, index: u64) -> Option<&E> {
        let offset = index.checked_sub(self.recent_start())?;
        self.recent.get(usize::try_from(offset).ok()?)
    }

    fn size_at(&self, index: u64) -> u64 {
        let offset = index.checked_sub(self.first).and_then(|offset| usize::try_from(offset).ok());
        offset.and_then(|offset| self.sizes.get(offset)).copied().unwrap_or(0)
    }

    fn forget_oldest_recent(&mut self) {
        self.recent_bytes -= self.size_at(self.recent_start());
        self.recent.pop_front();
    }
}

fn count(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
