//! What was acknowledged, noted beside the database, so that a database that comes back shorter is noticed.
//!
//! sled takes the first damaged record of its file for the end of the log and drops what follows without a
//! word. After a crash that is right for what was never acknowledged; after a flipped bit it would be silent
//! loss of acknowledged entries or of the vote. This file says how far acknowledgements went. It is written
//! after each sync without a sync of its own, so on disk it may be old but never ahead of the database;
//! before a truncation it is lowered and synced. Two slots, the higher sequence number wins, so a torn
//! write of one slot falls back to the other.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use openraft::Vote;
use serde::{Deserialize, Serialize};

use super::envelope::{self, Name};
use super::error::LogError;

const FILE_NAME: &str = "watermark";
/// A disk sector: written whole or not at all by common hardware.
const SLOT_LEN: usize = 512;
const SLOTS: [u64; 2] = [0, 512];
const NAME: Name = Name::Meta("watermark");

/// The state that the disk is known to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Mark {
    /// Index of the last entry, or of the last purged one if the log is empty; absent in an unused log.
    pub(super) last_index: Option<u64>,
    /// The last vote.
    pub(super) vote: Option<Vote<u64>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slot {
    sequence: u64,
    mark: Mark,
}

/// The open watermark file.
#[derive(Debug)]
pub(super) struct Watermark {
    path: PathBuf,
    file: File,
    sequence: u64,
    written: Mark,
}

impl Watermark {
    /// Opens or creates the file in `dir` and reads the newest mark in it.
    pub(super) fn open(dir: &Path) -> Result<Self, LogError> {
        let path = dir.join(FILE_NAME);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(|error| LogError::io("open", &path, &error))?;
        let newest = SLOTS.iter().filter_map(|offset| read_slot(&file, *offset)).max_by_key(|s| s.sequence);
        let (sequence, written) = newest.map_or((0, Mark::default()), |slot| (slot.sequence, slot.mark));
        Ok(Self { path, file, sequence, written })
    }

    /// The newest mark that was noted.
    pub(super) fn mark(&self) -> &Mark {
        &self.written
    }

    /// Notes that the disk holds `mark`. Call only after the sync that made it true.
    pub(super) fn raise(&mut self, mark: &Mark) -> Result<(), LogError> {
        if *mark == self.written {
            return Ok(());
        }
        self.write_next(mark)
    }

    /// Notes `mark`, which takes entries back, in both slots and on disk. Call before they are deleted.
    pub(super) fn lower(&mut self, mark: &Mark) -> Result<(), LogError> {
        self.write_next(mark)?;
        self.write_next(mark)?;
        self.file.sync_data().map_err(|error| LogError::io("fdatasync", &self.path, &error))
    }

    /// Makes the current mark durable.
    pub(super) fn sync(&self) -> Result<(), LogError> {
        self.file.sync_data().map_err(|error| LogError::io("fdatasync", &self.path, &error))
    }

    fn write_next(&mut self, mark: &Mark) -> Result<(), LogError> {
        self.sequence += 1;
        let slot = Slot { sequence: self.sequence, mark: mark.clone() };
        let body = serde_json::to_vec(&slot)
            .map_err(|error| LogError::Undecodable { record: NAME.to_string(), reason: error.to_string() })?;
        let mut bytes = envelope::seal(NAME, &body);
        // The slot's first two bytes say how long the record is; the rest of the sector is zero.
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        bytes.splice(0..0, len.to_be_bytes());
        bytes.resize(SLOT_LEN, 0);
        let [even, odd] = SLOTS;
        let offset = if self.sequence.is_multiple_of(2) { even } else { odd };
        self.file.write_all_at(&bytes, offset).map_err(|error| LogError::io("write", &self.path, &error))?;
        self.written = mark.clone();
        Ok(())
    }
}

/// A slot that is absent, torn or damaged counts as absent: the mark is a witness, not the data.
fn read_slot(file: &File, offset: u64) -> Option<Slot> {
    let mut bytes = [0; SLOT_LEN];
    file.read_exact_at(&mut bytes, offset).ok()?;
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let record = rest.get(..usize::from(u16::from_be_bytes(*len)))?;
    serde_json::from_slice(envelope::unseal(NAME, record).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(last: u64) -> Mark {
        Mark { last_index: Some(last), vote: Some(Vote::new(u64::MAX, u64::MAX)) }
    }

    #[test]
    fn the_newest_mark_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let mut watermark = Watermark::open(dir.path()).unwrap();
        assert_eq!(watermark.mark(), &Mark::default());
        for last in [1, u64::MAX, 2] {
            watermark.raise(&mark(last)).unwrap();
            assert_eq!(Watermark::open(dir.path()).unwrap().mark(), &mark(last));
        }
    }

    #[test]
    fn a_torn_slot_falls_back_to_the_other_one() {
        let dir = tempfile::tempdir().unwrap();
        let mut watermark = Watermark::open(dir.path()).unwrap();
        watermark.raise(&mark(1)).unwrap();
        watermark.raise(&mark(2)).unwrap();
        watermark.file.write_all_at(&[0xff; 40], 0).unwrap();
        assert_eq!(Watermark::open(dir.path()).unwrap().mark(), &mark(1));
    }

    #[test]
    fn no_slot_remembers_more_after_lowering() {
        let dir = tempfile::tempdir().unwrap();
        let mut watermark = Watermark::open(dir.path()).unwrap();
        watermark.raise(&mark(10)).unwrap();
        watermark.raise(&mark(11)).unwrap();
        watermark.lower(&mark(3)).unwrap();
        for offset in SLOTS {
            assert_eq!(read_slot(&watermark.file, offset).unwrap().mark, mark(3));
        }
    }
}
