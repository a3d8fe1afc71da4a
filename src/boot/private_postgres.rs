//! A PostgreSQL of our own, for `hellojohn dev`, scripts and tests: found, initialised, started and stopped.
//!
//! Owns the server process and its directory. Never for production: it is one server without backups.
//!
//! **Access.** The server listens on a Unix socket in a directory that only its owner may enter (mode 0700);
//! whoever can enter it is trusted. A TCP port on 127.0.0.1 is opened on request only and asks for the password
//! in the file `password`, which is made at random on the first start. Nothing listens on another address.
//!
//! **Root.** PostgreSQL refuses to run as root. Started by root, it runs as the system user `postgres`, else
//! `nobody`, and its directory belongs to that user; every directory above must let that user pass.
//!
//! **Orphans.** The directory is locked for as long as this process holds the server. If the process is killed
//! the server stays; the next start finds the lock free, stops that server and goes on.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::ConnectOptions as _;
use tokio::time::{sleep, timeout};

mod binaries;
mod layout;
mod server;

use binaries::find_binaries;
use layout::{Layout, RunAs};

/// For `initdb`, and for a start with recovery after a crash.
const START: Duration = Duration::from_secs(60);
/// For a fast shutdown, which writes a checkpoint.
const STOP: Duration = Duration::from_secs(20);
/// For an immediate shutdown.
const STOP_NOW: Duration = Duration::from_secs(5);
/// The superuser of the server.
const SUPERUSER: &str = "postgres";
/// Names the socket when no TCP port is open.
const SOCKET_PORT: u16 = 5432;

/// How much a power cut may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was committed: fsync on.
    Kept,
    /// Everything: no fsync at all. For tests.
    ThrowAway,
}

/// What to start, and where.
#[derive(Debug, Clone)]
pub struct PrivatePostgresOptions {
    /// Directory of the server; made if absent. Holds `data/`, `run/`, `password`, `server.log` and `lock`.
    pub directory: PathBuf,
    /// Directory with `initdb` and `postgres`; `None`: look for them.
    pub binaries: Option<PathBuf>,
    /// Port on 127.0.0.1 to listen on beside the socket.
    pub tcp_port: Option<u16>,
    /// See [`Durability`].
    pub durability: Durability,
    /// Most connections at the same time.
    pub max_connections: u16,
}

impl PrivatePostgresOptions {
    /// A server in `directory` that keeps its data and listens on its socket only.
    pub fn kept(directory: PathBuf) -> Self {
        Self { directory, binaries: None, tcp_port: None, durability: Durability::Kept, max_connections: 100 }
    }

    /// A server in `directory` whose data nobody will miss.
    pub fn throw_away(directory: PathBuf) -> Self {
        Self { durability: Durability::ThrowAway, max_connections: 300, ..Self::kept(directory) }
    }
}

/// Why no private PostgreSQL runs. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PrivatePostgresError {
    /// No `initdb` and `postgres` on this machine.
    #[error("no PostgreSQL programs in {searched}; install the package postgresql, or name their directory")]
    NotInstalled {
        /// Where they were looked for.
        searched: String,
    },
    /// Root, and no other user to run the server as.
    #[error(
        "PostgreSQL does not run as root, and this system has neither a user postgres nor nobody; create one"
    )]
    NoUser,
    /// A file or directory could not be made or read.
    #[error("cannot {action} {}: {source}; check the permissions of {} and the space on its disk", path.display(), path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The socket's path would be too long for the system.
    #[error("the directory {} is too long for a Unix socket; choose a shorter one", .0.display())]
    PathTooLong(PathBuf),
    /// Another process holds the directory.
    #[error("the PostgreSQL in {} is in use by another process; stop that process first", .0.display())]
    InUse(PathBuf),
    /// A program failed or did not end in time; `output` is the end of what it said.
    #[error("{program} failed ({outcome}): {output}")]
    Failed {
        /// Which program.
        program: &'static str,
        /// Exit status or time-out.
        outcome: String,
        /// The last lines of its output.
        output: String,
    },
    /// A database could not be made.
    #[error("cannot make the database {name:?}: {reason}")]
    Database {
        /// Its name.
        name: String,
        /// What the server said.
        reason: String,
    },
}

/// A running private PostgreSQL. Dropped, it is stopped, which may take a few seconds.
#[derive(Debug)]
pub struct PrivatePostgres {
    layout: Layout,
    tcp_port: Option<u16>,
    durability: Durability,
    process: Mutex<Process>,
    /// Held for as long as the server is ours.
    _lock: File,
}

/// The server process and the thread that waits for its end.
#[derive(Debug)]
struct Process {
    pid: Pid,
    ended: Receiver<std::io::Result<ExitStatus>>,
    waiter: Option<JoinHandle<()>>,
}

impl PrivatePostgres {
    /// Starts the server, after `initdb` if its directory is new, and waits until it takes connections.
    pub async fn start(options: PrivatePostgresOptions) -> Result<Self, PrivatePostgresError> {
        let binaries = find_binaries(options.binaries.as_deref()).await?;
        let run_as = RunAs::choose()?;
        let layout = Layout::make(&options.directory, run_as)?;
        let lock = layout.lock()?;
        if !layout.data.join("PG_VERSION").exists() {
            server::initialise(&binaries, &layout, run_as, options.durability).await?;
        }
        server::stop_orphan(&layout).await?;
        let process = Mutex::new(server::spawn(&binaries, &layout, run_as, &options)?);
        let (tcp_port, durability) = (options.tcp_port, options.durability);
        let server = Self { layout, tcp_port, durability, process, _lock: lock };
        server.wait_until_ready().await?;
        Ok(server)
    }

    /// DSN of a database of this server over its socket; has no password in it.
    pub fn dsn(&self, database: &str) -> String {
        let directory =
            url::form_urlencoded::byte_serialize(self.layout.socket.as_os_str().as_encoded_bytes());
        let directory: String = directory.collect();
        format!("postgres://{SUPERUSER}@localhost:{}/{database}?host={directory}", self.port())
    }

    /// DSN of a database over TCP, with the password: a secret. `None` if no port is open.
    pub fn tcp_dsn(&self, database: &str) -> Result<Option<String>, PrivatePostgresError> {
        let Some(port) = self.tcp_port else { return Ok(None) };
        let password = self.layout.password()?;
        Ok(Some(format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}")))
    }

    /// The log file of the server.
    pub fn log_file(&self) -> &Path {
        &self.layout.log
    }

    /// Makes a database if there is none of that name, as a copy of `template` if one is given. True if it was
    /// made. The name must be of lower-case letters, digits and underscores.
    pub async fn ensure_database(
        &self,
        name: &str,
        template: Option<&str>,
    ) -> Result<bool, PrivatePostgresError> {
        let refuse = |reason: String| PrivatePostgresError::Database { name: name.to_owned(), reason };
        if !identifier(name) || !template.is_none_or(identifier) {
            return Err(refuse("a name has up to 63 lower-case letters, digits and underscores".to_owned()));
        }
        let make = async {
            let mut connection = self.connect().await?;
            let exists: bool =
                sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
                    .bind(name)
                    .fetch_one(&mut connection)
                    .await?;
            if !exists {
                let template = template.unwrap_or("template1");
                let statement = format!("CREATE DATABASE {name} TEMPLATE {template}");
                // Both are identifiers by the check above; a parameter is not possible here.
                sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await?;
            }
            Ok(!exists)
        };
        match timeout(START, make).await {
            Ok(result) => result.map_err(|error: sqlx::Error| refuse(error.to_string())),
            Err(_) => Err(refuse("no answer in time".to_owned())),
        }
    }

    /// Stops the server and waits for its end: a fast shutdown, or an immediate one where nothing is kept.
    /// Blocks for half a minute at most.
    pub fn stop(self) {
        drop(self);
    }

    /// Stops the server at once, without a checkpoint: what a crash leaves behind (for tests of outages).
    pub fn crash(self) {
        self.lock_process().signal_and_wait(Signal::SIGQUIT, STOP_NOW);
    }

    /// Process id of the server, for tests that freeze it.
    pub fn pid(&self) -> i32 {
        self.lock_process().pid.as_raw()
    }

    async fn connect(&self) -> sqlx::Result<sqlx::PgConnection> {
        let options = sqlx::postgres::PgConnectOptions::new_without_pgpass()
            .socket(&self.layout.socket)
            .port(self.port())
            .username(SUPERUSER)
            .password("")
            .database("postgres");
        options.connect().await
    }

    fn port(&self) -> u16 {
        self.tcp_port.unwrap_or(SOCKET_PORT)
    }

    async fn wait_until_ready(&self) -> Result<(), PrivatePostgresError> {
        let deadline = Instant::now() + START;
        loop {
            let pid = self.lock_process().pid;
            if self.layout.server().is_some_and(|server| server.pid == pid && server.ready) {
                return Ok(());
            }
            let ended = self.lock_process().outcome();
            let outcome = match ended {
                Some(outcome) => outcome,
                None if Instant::now() < deadline => {
                    sleep(Duration::from_millis(5)).await;
                    continue;
                }
                None => format!("not ready after {} s", START.as_secs()),
            };
            let output = self.layout.log_tail();
            return Err(PrivatePostgresError::Failed { program: "postgres", outcome, output });
        }
    }

    fn lock_process(&self) -> std::sync::MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process {
    /// How the server ended, if it has.
    fn outcome(&mut self) -> Option<String> {
        match self.ended.recv_timeout(Duration::ZERO) {
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some("ended".to_owned()),
            Ok(result) => {
                self.join();
                Some(result.map_or_else(|error| error.to_string(), |status| status.to_string()))
            }
        }
    }

    /// Signals the server, unless it has ended, and waits for its end.
    fn signal_and_wait(&mut self, signal: Signal, patience: Duration) {
        if self.waiter.is_none() || self.outcome().is_some() {
            return;
        }
        if let Err(error) = kill(self.pid, signal) {
            tracing::debug!(%error, "the private PostgreSQL was gone before it was stopped");
        }
        match self.ended.recv_timeout(patience) {
            Ok(_) | Err(RecvTimeoutError::Disconnected) => self.join(),
            Err(RecvTimeoutError::Timeout) => tracing::warn!(%signal, "the private PostgreSQL does not stop"),
        }
    }

    fn join(&mut self) {
        if let Some(waiter) = self.waiter.take()
            && waiter.join().is_err()
        {
            tracing::error!("the thread that waits for the private PostgreSQL failed");
        }
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        let polite = match self.durability {
            Durability::Kept => (Signal::SIGINT, STOP),
            Durability::ThrowAway => (Signal::SIGQUIT, STOP_NOW),
        };
        let mut process = self.lock_process();
        for (signal, patience) in [polite, (Signal::SIGQUIT, STOP_NOW), (Signal::SIGKILL, STOP_NOW)] {
            process.signal_and_wait(signal, patience);
        }
    }
}

/// A name that needs no quotes in SQL.
fn identifier(name: &str) -> bool {
    let bytes = name.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes.first().is_some_and(|b| b.is_ascii_lowercase() || *b == b'_')
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
}

fn file(action: &'static str, path: &Path, source: std::io::Error) -> PrivatePostgresError {
    PrivatePostgresError::File { action, path: path.to_owned(), source }
}
