//! A process of a drill: started with nothing but the given environment, ended at the latest with this value.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: Pid,
}

impl Process {
    /// Starts `command` in `directory`, with exactly this environment and both streams at the end of `log`.
    ///
    /// # Errors
    /// When the log cannot be opened or the program not be started.
    pub fn start(
        name: &str,
        mut command: Command,
        env: &BTreeMap<String, String>,
        directory: &Path,
        log: &Path,
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("{name} cannot be started: {error}");
        let file = File::options().create(true).append(true).open(log).map_err(failed)?;
        let child = command
            .env_clear()
            .envs(env)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(file.try_clone().map_err(failed)?)
            .stderr(file)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let pid = pid.ok_or_else(|| format!("{name} ended as it started"))?;
        Ok(Self { name: name.to_owned(), child, pid })
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn signal(&mut self, signal: Signal) -> Result<(), String> {
        if let Some(status) = self.ended()? {
            return Err(format!("{} ended by itself with {status}; its log tells why", self.name));
        }
        kill(self.pid, signal).map_err(|error| format!("{signal} to {}: {error}", self.name))
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>, String> {
        self.child.try_wait().map_err(|error| format!("{}: {error}", self.name))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it goes on for longer than `within`.
    pub async fn wait(&mut self, within: Duration) -> Result<ExitStatus, String> {
        match timeout(within, self.child.wait()).await {
            Ok(status) => status.map_err(|error| format!("{}: {error}", self.name)),
            Err(_) => Err(format!("{} did not end within {} s", self.name, within.as_secs())),
        }
    }

    /// Kills it without a word and waits for its end.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill9(&mut self) -> Result<(), String> {
        // Fails only where it has ended already.
        let _ended = self.child.start_kill();
        self.wait(Duration::from_secs(30)).await.map(drop)
    }
}
