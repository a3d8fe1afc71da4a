//! Crashes of the process and of the machine (ha.md F11; spec §1 promise 1).
//!
//! `kill -9` keeps the page cache, so it cannot show a missing sync. A power cut does not: the log lives on
//! an ext4 image in memory, the writer is stopped at some moment, and a copy of the image (what an honest
//! disk holds at that moment) is mounted and read. Needs root and loop mounts.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use hellojohn_raft::log::Durability;

use crate::process::{Acked, Load, Writer, verify};

const ROUNDS: usize = 20;
/// Rounds with large entries, whose images are slow to copy.
const LARGE_ROUNDS: usize = 6;
const IMAGE_BYTES: u64 = 192 * 1024 * 1024;

/// ha.md, F11: after SIGKILL at any point no acknowledged entry or vote is lost and nothing is torn.
#[test]
fn kill_nine_loses_nothing_in_many_rounds() {
    let dir = tempfile::tempdir().unwrap();
    let load = Load { durability: Durability::Synced, per_second: 0, payload: 700, count: 0, keep: 300 };
    let mut all = Acked::default();
    for round in 0..ROUNDS {
        let mut writer = Writer::start(dir.path(), load);
        writer.wait_for(20 + round * 37 % 400);
        let acked = writer.kill();
        all.last_index = all.last_index.max(acked.last_index);
        all.vote_term = all.vote_term.max(acked.vote_term);
        verify(dir.path(), all, load.payload).unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
}

#[test]
fn power_cut_at_full_rate_loses_nothing() {
    no_loss(
        ROUNDS,
        Load { durability: Durability::Synced, per_second: 0, payload: 300, count: 0, keep: 200 },
    );
}

/// Entries of several chunks, so that the order inside one entry matters too.
#[test]
fn power_cut_with_large_entries_loses_nothing() {
    no_loss(
        LARGE_ROUNDS,
        Load { durability: Durability::Synced, per_second: 0, payload: 60_000, count: 0, keep: 30 },
    );
}

#[test]
fn power_cut_at_twenty_writes_a_second_loses_nothing() {
    no_loss(ROUNDS, Load { durability: Durability::Synced, per_second: 20, payload: 300, count: 0, keep: 0 });
}

/// The other tests here can fail: without the explicit sync acknowledged entries are lost.
#[test]
fn power_cut_without_the_explicit_sync_loses_entries() {
    let Some(bench) = Bench::prepare("the run without sync") else { return };
    let load = Load { durability: Durability::PageCacheOnly, per_second: 0, payload: 300, count: 0, keep: 0 };
    let losses: Vec<String> = (0..5).filter_map(|round| bench.round(load, 50 + round * 40).err()).collect();
    eprintln!("power_cut without sync: {} of 5 cuts lost data: {losses:?}", losses.len());
    assert!(!losses.is_empty(), "this bench cannot show a missing sync, so its other results mean nothing");
}

fn no_loss(rounds: usize, load: Load) {
    let Some(bench) = Bench::prepare(&format!("{load:?}")) else { return };
    for round in 0..rounds {
        let appends = if load.per_second == 0 { 30 + round * 53 % 600 } else { 6 + round * 5 % 12 };
        let appends = if load.payload > 10_000 { appends / 3 } else { appends };
        bench.round(load, appends).unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
}

/// A directory in memory with an empty ext4 image.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// `None`, loudly, where loop mounts are impossible.
    fn prepare(what: &str) -> Option<Self> {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let bench = Self { dir };
        let ready = bench.make_image().and_then(|()| {
            let copy = bench.copy_of(&bench.path("empty.img"), "probe.img")?;
            Mounted::new(&copy, bench.path("probe")).map(drop)
        });
        match ready {
            Ok(()) => Some(bench),
            Err(reason) => {
                eprintln!("SKIPPED: power_cut ({what}): no loop mounts here: {reason}");
                None
            }
        }
    }

    fn make_image(&self) -> Result<(), String> {
        let image = self.path("empty.img");
        fs::File::create(&image).and_then(|file| file.set_len(IMAGE_BYTES)).map_err(|e| e.to_string())?;
        run("mkfs.ext4", &[OsStr::new("-q"), OsStr::new("-F"), image.as_os_str()])
    }

    /// One cut: everything that was acknowledged before it must be on the disk as it was then.
    fn round(&self, load: Load, appends: usize) -> Result<(), String> {
        let live_image = self.copy_of(&self.path("empty.img"), "live.img")?;
        let cut_image;
        let acked;
        {
            let live = Mounted::new(&live_image, self.path("live"))?;
            let mut writer = Writer::start(&live.dir.join("raft/log"), load);
            writer.wait_for(appends);
            writer.freeze();
            cut_image = self.copy_of(&live_image, "cut.img")?;
            acked = writer.kill();
        }
        let cut = Mounted::new(&cut_image, self.path("cut"))?;
        verify(&cut.dir.join("raft/log"), acked, load.payload).map_err(|error| format!("{acked:?}: {error}"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn copy_of(&self, image: &Path, name: &str) -> Result<PathBuf, String> {
        let copy = self.path(name);
        run("cp", &[OsStr::new("--sparse=always"), image.as_os_str(), copy.as_os_str()])?;
        Ok(copy)
    }
}

/// A mounted image; unmounted when dropped, also when a test fails.
struct Mounted {
    dir: PathBuf,
}

impl Mounted {
    fn new(image: &Path, dir: PathBuf) -> Result<Self, String> {
        fs::create_dir_all(&dir).map_err(|error| error.to_string())?;
        run("mount", &[OsStr::new("-o"), OsStr::new("loop"), image.as_os_str(), dir.as_os_str()])?;
        Ok(Self { dir })
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // sled closes its file a moment after the last handle is gone.
        let deadline = Instant::now() + Duration::from_secs(5);
        while run("umount", &[self.dir.as_os_str()]).is_err() {
            if Instant::now() > deadline {
                eprintln!("power_cut: detaching {} lazily", self.dir.display());
                drop(run("umount", &[OsStr::new("-l"), self.dir.as_os_str()]));
                return;
            }
        }
    }
}

fn run(program: &str, args: &[&OsStr]) -> Result<(), String> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
