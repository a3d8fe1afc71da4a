//! A hellojohn process of a test: started with nothing but the given environment, ended with the test.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::collections::BTreeMap;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_hellojohn");

/// How long a group of processes may take to end after it was killed.
const GROUP_ENDS: Duration = Duration::from_secs(10);

/// A running process with its log file.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    group: bool,
}

impl Process {
    /// Starts `program` with `args`, exactly this environment, and both streams in `log`.
    pub(crate) fn start(program: &str, args: &[&str], env: &BTreeMap<String, String>, log: &Path) -> Self {
        Self::spawn(Command::new(program).args(args), env, log)
    }

    /// Starts a program that runs the node below itself, such as strace: both end together.
    pub(crate) fn start_group(
        program: &str,
        args: &[&str],
        env: &BTreeMap<String, String>,
        log: &Path,
    ) -> Self {
        let mut process = Self::spawn(Command::new(program).args(args).process_group(0), env, log);
        process.group = true;
        process
    }

    fn spawn(command: &mut Command, env: &BTreeMap<String, String>, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = command
            .env_clear()
            .envs(env)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child, log: log.to_owned(), group: false }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// Kills the process without a word and waits for its end.
    pub(crate) fn kill9(&mut self) {
        if self.group {
            killpg(self.pid(), Signal::SIGKILL).unwrap();
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        if self.group {
            // Those below the child are nobody's children now, and one that is still ending keeps its ports.
            let deadline = Instant::now() + GROUP_ENDS;
            while killpg(self.pid(), None).is_ok() && Instant::now() < deadline {
                pause();
            }
        }
    }

    /// Waits for the process to end by itself.
    pub(crate) fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            pause();
        }
    }

    /// Whether it has ended by itself. Leaves the status to [`Self::wait`].
    pub(crate) fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        // Whoever was waited for already is unknown.
        waitid(Id::Pid(self.pid()), flags) != Ok(WaitStatus::StillAlive)
    }

    /// What it has written so far.
    pub(crate) fn log_text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }
}

/// What each thread of a process does, as far as the kernel tells; for a test that waited in vain.
fn threads(pid: Pid) -> String {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let line = |task: std::fs::DirEntry| {
        let status = read(task.path().join("status"));
        let state = status.lines().find(|line| line.starts_with("State:")).unwrap_or_default().to_owned();
        let [name, place, call] = ["comm", "wchan", "syscall"].map(|file| read(task.path().join(file)));
        format!("{name}: {state} in {place}, system call {call}")
    };
    tasks.map(line).collect::<Vec<_>>().join("\n")
}

impl Drop for Process {
    fn drop(&mut self) {
        let threads = (std::thread::panicking() && !self.has_ended()).then(|| threads(self.pid()));
        if self.group {
            // Fails only when nobody of the group is left.
            let _gone = killpg(self.pid(), Signal::SIGKILL);
        }
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let text = self.log_text();
            let tail: Vec<&str> = text.lines().rev().take(40).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            eprintln!("--- end of {} ---\n{}", self.log.display(), tail.join("\n"));
            if let Some(threads) = threads {
                eprintln!("--- its threads, alive ---\n{threads}");
            }
        }
    }
}

/// Runs a command of the binary to its end.
pub(crate) fn run(args: &[&str], env: &BTreeMap<String, String>) -> Output {
    Command::new(BINARY).args(args).env_clear().envs(env).stdin(Stdio::null()).output().unwrap()
}

/// A short wait inside a loop that has a deadline of its own.
#[expect(clippy::disallowed_methods, reason = "the pause of bounded polling loops of tests")]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(10));
}

/// Ports that this process has given away. A UDP socket holds the number against other tests, and nobody here
/// speaks UDP.
static GIVEN: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// A port for a listener of this test. Below those that the kernel gives to outgoing connections.
pub(crate) fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 12_000..32_000;
    let start = std::process::id().wrapping_mul(97) % (PORTS.end - PORTS.start);
    let mut ports = (PORTS.start + start..PORTS.end).chain(PORTS.start..PORTS.start + start);
    let (held, port) = ports
        .find_map(|port| {
            let port = u16::try_from(port).unwrap();
            let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|_free| (held, port))
        })
        .unwrap();
    GIVEN.lock().unwrap().push(held);
    port
}
