//! `hellojohn serve`: runs a node in the foreground until a signal.

use clap::Args;

use super::failure::{Exit, Failure};
use super::session::Session;
use crate::boot::{self, BootError};

/// Run a node in the foreground until SIGTERM or Ctrl-C; the default command
///
/// The configuration comes from defaults, config.yaml, .env, the environment and --set, later ones winning.
/// The first signal drains requests that are in work, a second one stops at once.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  hellojohn serve
  hellojohn --config /etc/hellojohn/config.yaml
  hellojohn --env-file .local/node1.env serve --set server.addr=:8081
  hellojohn -env                              # nothing but the environment")]
pub struct Serve {}

impl Serve {
    /// Runs the command; returns when the node has stopped. It makes its own threads, so none of a caller's
    /// runtime may be entered.
    ///
    /// # Errors
    /// When the configuration is wrong, the node cannot start, or a fault ends it.
    pub fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let loaded = session.config()?;
        for warning in &loaded.warnings {
            session.terminal.note(&format!("warning: {warning}"));
        }
        boot::run(loaded.config).map_err(|error| failed(&error))?;
        Ok(Exit::Ok)
    }
}

/// A node that does not start, or that ended by itself.
pub(super) fn failed(error: &BootError) -> Failure {
    let exit = match error {
        BootError::Bind(_)
        | BootError::Tls(_)
        | BootError::MasterKey(_)
        | BootError::Derivation(_)
        | BootError::HashParams(_)
        | BootError::Blacklist { .. }
        | BootError::Templates(_)
        | BootError::MailAuthorities(_)
        | BootError::Dsn(_)
        | BootError::Limits(_)
        | BootError::RaftAddr { .. } => Exit::Usage,
        BootError::Runtime(_)
        | BootError::Metrics(_)
        | BootError::HashPool(_)
        | BootError::Raft(_)
        | BootError::RaftTask(_)
        | BootError::Route(_)
        | BootError::OpenApi(_)
        | BootError::Signals(_)
        | BootError::Failed(_)
        | BootError::Forced(_) => Exit::Failed,
    };
    Failure::new(exit, error.to_string()).while_doing("the node stopped")
}
