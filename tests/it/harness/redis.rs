//! A private Redis of a test: on a port of its own, keeping nothing, ended with the test.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::process::{Process, free_port, pause};

const PROGRAM: &str = "redis-server";
/// Where it may be.
const PATH: (&str, &str) = ("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/homebrew/bin");
/// How long it may take to listen.
const STARTS: Duration = Duration::from_secs(10);

/// A running Redis, or one that was killed.
pub(crate) struct TestRedis {
    process: Option<Process>,
    args: Vec<String>,
    port: u16,
    directory: tempfile::TempDir,
}

impl TestRedis {
    /// One without a password.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// One with further arguments.
    pub(crate) fn with(further: &[&str]) -> Self {
        let port = free_port();
        let listen = ["--port".to_owned(), port.to_string()];
        Self::listening(port, listen.into_iter().chain(further.iter().map(|arg| (*arg).to_owned())).collect())
    }

    /// One that speaks TLS only, with these files.
    pub(crate) fn with_tls(certificate: &str, key: &str) -> Self {
        let port = free_port();
        let listen = format!("--port 0 --tls-port {port} --tls-auth-clients no");
        let files =
            ["--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", certificate];
        let args = listen.split(' ').chain(files).map(str::to_owned).collect();
        Self::listening(port, args)
    }

    fn listening(port: u16, mut args: Vec<String>) -> Self {
        let there = Command::new(PROGRAM).env(PATH.0, PATH.1).arg("--version").stdout(Stdio::null()).status();
        assert!(
            there.is_ok(),
            "{PROGRAM} is missing; install the package redis-server, as scripts/setup does"
        );
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().display().to_string();
        let fixed = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", &place];
        args.extend(fixed.map(str::to_owned));
        let mut redis = Self { process: None, args, port, directory };
        redis.start_again();
        redis
    }

    /// Starts it after it was killed; it has forgotten everything.
    pub(crate) fn start_again(&mut self) {
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let log = self.directory.path().join("log");
        let env = BTreeMap::from([(PATH.0.to_owned(), PATH.1.to_owned())]);
        let process = Process::start(PROGRAM, &args, &env, &log);
        let deadline = Instant::now() + STARTS;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(!process.has_ended() && Instant::now() < deadline, "{}", process.log_text());
            pause();
        }
        self.process = Some(process);
    }

    /// Ends it without a word.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill9();
        }
    }

    /// Its connections stay, and nothing answers.
    pub(crate) fn hang(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Ends [`Self::hang`].
    pub(crate) fn wake(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn signal(&self, signal: Signal) {
        self.process.as_ref().unwrap_or_else(|| panic!("it was killed")).signal(signal);
    }

    /// `host:port`.
    pub(crate) fn addr(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// A connection of the test's own.
    pub(crate) fn connection(&self) -> redis::Connection {
        redis::Client::open(format!("redis://{}", self.addr())).unwrap().get_connection().unwrap()
    }

    /// Everything in it: names with their remaining milliseconds and values.
    pub(crate) fn content(&self) -> Vec<(String, i64, String)> {
        let mut connection = self.connection();
        let mut names: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut connection).unwrap();
        names.sort();
        let mut read = |name: String| {
            let (lives, value) =
                redis::pipe().cmd("PTTL").arg(&name).cmd("GET").arg(&name).query(&mut connection).unwrap();
            (name, lives, value)
        };
        names.into_iter().map(&mut read).collect()
    }
}
