//! Runs `examples/log_writer.rs` as a process of its own and follows what it acknowledges.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hellojohn_raft::log::{Durability, LogStore};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use openraft::RaftLogReader;
use openraft::storage::RaftLogStorage;

use crate::log_types::{Notes, numbered, open};

const PATIENCE: Duration = Duration::from_secs(30);

/// What a writer was told is safe.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Acked {
    pub(crate) appends: usize,
    pub(crate) last_index: Option<u64>,
    pub(crate) vote_term: Option<u64>,
}

/// How a writer writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) durability: Durability,
    pub(crate) per_second: u32,
    pub(crate) payload: usize,
    pub(crate) count: u64,
    pub(crate) keep: u64,
}

impl Load {
    pub(crate) fn args(&self, dir: &Path) -> Vec<String> {
        let durability = match self.durability {
            Durability::Synced => "synced",
            Durability::PageCacheOnly => "page-cache-only",
        };
        vec![
            dir.display().to_string(),
            durability.to_owned(),
            self.per_second.to_string(),
            self.payload.to_string(),
            self.count.to_string(),
            self.keep.to_string(),
        ]
    }
}

/// Path of the built example, next to the test binary.
pub(crate) fn binary() -> PathBuf {
    let deps = std::env::current_exe().unwrap();
    let binary = deps.parent().unwrap().parent().unwrap().join("examples/log_writer");
    assert!(binary.exists(), "{} is missing: cargo build -p hellojohn-raft --examples", binary.display());
    binary
}

/// A running writer; killed when dropped.
pub(crate) struct Writer {
    child: Child,
    _stdin: ChildStdin,
    acked: Arc<Mutex<Acked>>,
    reader: Option<JoinHandle<()>>,
}

impl Writer {
    pub(crate) fn start(dir: &Path, load: Load) -> Self {
        let mut command = Command::new(binary());
        command.args(load.args(dir)).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let acked = Arc::new(Mutex::new(Acked::default()));
        let seen = Arc::clone(&acked);
        let reader = std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let mut acked = seen.lock().unwrap();
                // A line cut by the kill does not parse or lacks its number; it was not acknowledged.
                match line.split(' ').collect::<Vec<_>>().as_slice() {
                    ["ack", "append", index] => {
                        acked.appends += 1;
                        acked.last_index = Some(index.parse().unwrap());
                    }
                    ["ack", "vote", term] => acked.vote_term = Some(term.parse().unwrap()),
                    other => panic!("log_writer said {other:?}"),
                }
            }
        });
        let stdin = child.stdin.take().unwrap();
        Self { child, _stdin: stdin, acked, reader: Some(reader) }
    }

    /// Lets it write until it has `appends` acknowledgements.
    pub(crate) fn wait_for(&mut self, appends: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.acked.lock().unwrap().appends < appends {
            assert!(self.child.try_wait().unwrap().is_none(), "log_writer ended by itself");
            assert!(Instant::now() < deadline, "log_writer is too slow: {:?}", self.acked.lock().unwrap());
            std::thread::yield_now();
        }
    }

    /// Stops all its threads; returns when the kernel says they stand still.
    pub(crate) fn freeze(&self) {
        let pid = self.pid();
        kill(pid, Signal::SIGSTOP).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !stands_still(pid) {
            assert!(Instant::now() < deadline, "log_writer does not stop");
            std::thread::yield_now();
        }
    }

    /// Kills it with SIGKILL and returns all that it had been told by then.
    pub(crate) fn kill(mut self) -> Acked {
        self.end();
        *self.acked.lock().unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    fn end(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end();
    }
}

fn stands_still(pid: Pid) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.map_while(Result::ok).all(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // The state follows the command name, which is in parentheses.
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
    })
}

/// Opens the log and says what is wrong with it, given what was acknowledged.
pub(crate) fn verify(dir: &Path, acked: Acked, payload: usize) -> Result<(), String> {
    let mut store = open(dir, Durability::Synced).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(verify_open(&mut store, acked, payload))
}

async fn verify_open(store: &mut LogStore<Notes>, acked: Acked, payload: usize) -> Result<(), String> {
    let state = store.get_log_state().await.map_err(|error| error.to_string())?;
    let last = state.last_log_id.map(|id| id.index);
    if last < acked.last_index {
        return Err(format!("entries lost: acknowledged {:?}, found {last:?}", acked.last_index));
    }
    let vote = store.read_vote().await.map_err(|error| error.to_string())?;
    let term = vote.map(|vote| vote.leader_id().term);
    if term < acked.vote_term {
        return Err(format!("vote lost: acknowledged {:?}, found {term:?}", acked.vote_term));
    }
    let entries = store.try_get_log_entries(..).await.map_err(|error| error.to_string())?;
    let first = state.last_purged_log_id.map_or(0, |id| id.index + 1);
    for (entry, index) in entries.iter().zip(first..) {
        if *entry != numbered(index, payload) {
            return Err(format!("entry {index} is not what was written"));
        }
    }
    let expected = last.map_or(0, |last| last + 1 - first);
    if u64::try_from(entries.len()).unwrap() != expected {
        return Err(format!("{} entries readable, {expected} expected", entries.len()));
    }
    Ok(())
}
