//! The directory of snapshots.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::SnapshotError;
use super::format::{self, SnapshotHeader, SnapshotMetaFields};
use crate::covered::Covered;
use crate::durable::{self, Pace};

/// How many snapshots that can be used stay: the newest, and one more should it turn out damaged.
const KEEP: usize = 2;
const EXTENSION: &str = "snap";

/// A snapshot that was read and verified.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotFile {
    pub path: PathBuf,
    pub header: SnapshotHeader,
    pub payload: Vec<u8>,
}

/// What [`SnapshotStore::load_newest_valid`] found.
#[derive(Debug)]
pub struct Loaded {
    /// The newest snapshot that is whole. The caller compares it with the last purged log id: if it is
    /// older, entries between them are nowhere, and the node must not start.
    pub snapshot: Option<SnapshotFile>,
    /// Newer ones that were passed over, each with its reason; to be logged and shown.
    pub damaged: Vec<SnapshotError>,
}

/// Snapshots in one directory. One writer at a time: calls of [`Self::save`] must not overlap.
#[derive(Debug)]
pub struct SnapshotStore {
    dir: PathBuf,
    limit: u64,
    unusable: Mutex<Unusable>,
    covered: Covered,
}

/// What was found not to be usable, and so is no second snapshot.
#[derive(Debug, Default)]
struct Unusable {
    /// Damaged: goes as soon as there is something in its place.
    damaged: BTreeSet<Place>,
    /// Cannot be read by this release, or not now.
    unreadable: BTreeSet<Place>,
}

impl Unusable {
    fn note(&mut self, place: &Place, error: &SnapshotError) {
        match error {
            SnapshotError::Damaged { .. } | SnapshotError::NotASnapshot { .. } => {
                self.damaged.insert(place.clone());
            }
            SnapshotError::UnknownVersion { .. }
            | SnapshotError::TooLarge { .. }
            | SnapshotError::Io { .. } => {
                self.unreadable.insert(place.clone());
            }
        }
    }

    /// Those of `places`, which are sorted, that need not stay: what is damaged, and what is older than the two newest
    /// that can be used.
    fn surplus(&self, places: &[Place]) -> Vec<Place> {
        let usable = |place: &&Place| !self.damaged.contains(place) && !self.unreadable.contains(place);
        let oldest_kept = places.iter().rev().filter(usable).nth(KEEP - 1);
        let goes = |place: &&Place| {
            self.damaged.contains(place) || oldest_kept.is_some_and(|oldest| *place < oldest)
        };
        places.iter().filter(goes).cloned().collect()
    }
}

/// File names sort by what they hold: `{term}-{index}-{millis}{n}.snap`, all numbers padded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    index: u64,
    term: u64,
    id: String,
}

impl Place {
    fn parse(name: &str) -> Option<Self> {
        let (term, rest) = name.strip_suffix(".snap")?.split_once('-')?;
        let (index, id) = rest.split_once('-')?;
        Some(Self { index: index.parse().ok()?, term: term.parse().ok()?, id: id.to_owned() })
    }

    fn file_name(&self) -> String {
        format!("{:020}-{:020}-{}.{EXTENSION}", self.term, self.index, self.id)
    }
}

impl SnapshotStore {
    /// Opens or creates the directory and sweeps unfinished files. `limit` bounds the bytes of one file,
    /// written or read.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn open(dir: &Path, limit: u64) -> Result<Self, SnapshotError> {
        durable::create_dir_all_durably(dir).map_err(SnapshotError::io("create", dir))?;
        let swept = durable::remove_leftover_temps(dir).map_err(SnapshotError::io("sweep", dir))?;
        for path in swept {
            tracing::info!(path = %path.display(), "removed an unfinished snapshot");
        }
        Ok(Self { dir: dir.to_owned(), limit, unusable: Mutex::default(), covered: Covered::default() })
    }

    /// Looks at the directory of a stopped node as it is: makes nothing and sweeps nothing.
    pub(crate) fn of_stopped(dir: &Path, limit: u64) -> Self {
        Self { dir: dir.to_owned(), limit, unusable: Mutex::default(), covered: Covered::default() }
    }

    /// The files of all snapshots, newest first.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub(crate) fn paths(&self) -> Result<Vec<PathBuf>, SnapshotError> {
        Ok(self.places()?.iter().rev().map(|place| self.dir.join(place.file_name())).collect())
    }

    /// Writes a snapshot. When this returns `Ok` it survives a power cut, and older ones beyond the two newest that can
    /// be used are gone, with those that were found damaged.
    ///
    /// # Errors
    /// [`SnapshotError`]; the snapshots that were there before are untouched.
    pub fn save(&self, meta: SnapshotMetaFields, payload: &[u8]) -> Result<SnapshotHeader, SnapshotError> {
        self.save_at_pace(meta, payload, Pace::AtOnce)
    }

    /// As [`Self::save`].
    ///
    /// # Errors
    /// As [`Self::save`].
    pub fn save_at_pace(
        &self,
        meta: SnapshotMetaFields,
        payload: &[u8],
        pace: Pace,
    ) -> Result<SnapshotHeader, SnapshotError> {
        let places = self.places()?;
        let place = new_place(&meta, &places);
        let path = self.dir.join(place.file_name());
        let (header, bytes) = format::encode(&path, meta, payload)?;
        within_limit(&path, u64::try_from(bytes.len()).unwrap_or(u64::MAX), self.limit)?;
        durable::write_file_at_pace(&path, &bytes, pace).map_err(SnapshotError::io("write", &path))?;
        self.covers(&header);
        self.prune(pace)?;
        Ok(header)
    }

    /// Reads the newest snapshot that is whole, and reports the damaged ones that it passed over.
    ///
    /// # Errors
    /// Only when the directory itself cannot be read.
    pub fn load_newest_valid(&self) -> Result<Loaded, SnapshotError> {
        let mut damaged = Vec::new();
        for place in self.places()?.iter().rev() {
            match self.inspect(&self.dir.join(place.file_name())) {
                Ok(snapshot) => {
                    self.covers(&snapshot.header);
                    return Ok(Loaded { snapshot: Some(snapshot), damaged });
                }
                Err(error) => {
                    self.unusable().note(place, &error);
                    damaged.push(error);
                }
            }
        }
        Ok(Loaded { snapshot: None, damaged })
    }

    /// Reads and verifies one file, here or anywhere else.
    ///
    /// # Errors
    /// [`SnapshotError`], naming the file and what is wrong with it.
    pub fn inspect(&self, path: &Path) -> Result<SnapshotFile, SnapshotError> {
        let (header, payload) = read(path, self.limit)?;
        Ok(SnapshotFile { path: path.to_owned(), header, payload })
    }

    /// Which entries are in a snapshot that was written here, or found whole.
    pub fn covered(&self) -> Covered {
        self.covered.clone()
    }

    fn covers(&self, header: &SnapshotHeader) {
        if let Some(last) = &header.meta.last_log_id {
            self.covered.raise(last.index);
        }
    }

    /// Bytes of all snapshots, for metrics.
    ///
    /// # Errors
    /// [`SnapshotError::Io`].
    pub fn disk_bytes(&self) -> Result<u64, SnapshotError> {
        self.places()?.iter().try_fold(0_u64, |sum, place| {
            let path = self.dir.join(place.file_name());
            let length = fs::metadata(&path).map_err(SnapshotError::io("measure", &path))?.len();
            Ok(sum.saturating_add(length))
        })
    }

    /// The snapshots present, oldest first. Files with other names are left alone.
    fn places(&self) -> Result<Vec<Place>, SnapshotError> {
        let failed = || SnapshotError::io("list", &self.dir);
        let mut places = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(failed())? {
            let name = entry.map_err(failed())?.file_name();
            // Only names that we would write ourselves: a place must lead back to its file.
            let place = name.to_str().and_then(Place::parse);
            places.extend(place.filter(|place| name.to_str() == Some(&place.file_name())));
        }
        places.sort();
        Ok(places)
    }

    fn prune(&self, pace: Pace) -> Result<(), SnapshotError> {
        let places = self.places()?;
        let surplus = self.unusable().surplus(&places);
        for place in surplus {
            let path = self.dir.join(place.file_name());
            durable::remove_file_durably(&path, pace).map_err(SnapshotError::io("remove", &path))?;
            let mut unusable = self.unusable();
            unusable.damaged.remove(&place);
            unusable.unreadable.remove(&place);
        }
        Ok(())
    }

    fn unusable(&self) -> MutexGuard<'_, Unusable> {
        self.unusable.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of the file at `path`, which is not written.
pub(crate) fn encode(
    path: &Path,
    meta: SnapshotMetaFields,
    payload: &[u8],
    limit: u64,
) -> Result<Vec<u8>, SnapshotError> {
    let (_, bytes) = format::encode(path, meta, payload)?;
    within_limit(path, u64::try_from(bytes.len()).unwrap_or(u64::MAX), limit)?;
    Ok(bytes)
}

/// Reads and verifies one file: its header and its payload.
pub(crate) fn read(path: &Path, limit: u64) -> Result<(SnapshotHeader, Vec<u8>), SnapshotError> {
    format::decode(path, read_bytes(path, limit)?)
}

/// Reads one file without a look at what is in it.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, SnapshotError> {
    let file = File::open(path).map_err(SnapshotError::io("open", path))?;
    let length = file.metadata().map_err(SnapshotError::io("measure", path))?.len();
    within_limit(path, length, limit)?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes).map_err(SnapshotError::io("read", path))?;
    Ok(bytes)
}

fn within_limit(path: &Path, bytes: u64, limit: u64) -> Result<(), SnapshotError> {
    if bytes > limit {
        return Err(SnapshotError::TooLarge { path: path.to_owned(), bytes, limit });
    }
    Ok(())
}

/// A name that no present file has and that sorts after the others of the same log position.
fn new_place(meta: &SnapshotMetaFields, places: &[Place]) -> Place {
    let (index, term) = meta.last_log_id.map_or((0, 0), |id| (id.index, id.term));
    let millis = u64::try_from(meta.created_at_ms).unwrap_or(0);
    let same = places.iter().filter(|place| (place.index, place.term) == (index, term));
    let (newest, count) = same.fold((0, 0), |(newest, count): (u64, u64), place| {
        let millis = place.id.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
        let number = place.id.get(16..).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or(0);
        (newest.max(millis), count.max(number.saturating_add(1)))
    });
    Place { index, term, id: format!("{:016x}{count:08x}", millis.max(newest)) }
}
