//! `hellojohn config …`: the commands over [`super::config`].

use clap::Subcommand;

use super::config::{self, Format};
use super::failure::{Exit, Failure};
use super::session::Session;
use super::terminal::Output;
use crate::config::load;

/// The commands under `config`.
#[derive(Debug, Subcommand)]
pub enum Settings {
    /// Tell whether the configuration is valid, with everything that is wrong with it
    ///
    /// Starts nothing and connects to nothing. The exit code is 2 when there are problems.
    #[command(after_long_help = "Examples:
  hellojohn config check
  hellojohn --config /etc/hellojohn/config.yaml config check --output json
  hellojohn --env-file .local/env config check --set server.addr=:9000")]
    Check,
    /// Show every setting with its value and where it came from; secrets as ***
    #[command(after_long_help = "Examples:
  hellojohn config print
  hellojohn --env-file .local/env config print | grep cluster")]
    Print,
    /// Print the annotated example file with every setting
    #[command(after_long_help = "Examples:
  hellojohn config example > config.yaml")]
    Example,
}

impl Settings {
    /// Runs the command.
    ///
    /// # Errors
    /// When a file cannot be read. Problems of the configuration are the output, not an error.
    pub fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let format = match session.terminal.output() {
            Output::Human => Format::Text,
            Output::Json => Format::Json,
        };
        let code = match self {
            Settings::Check => {
                let loaded = load(&session.inputs()?);
                session.terminal.with(|out| config::check(&loaded, format, out))?
            }
            Settings::Print => {
                let loaded = load(&session.inputs()?);
                session.terminal.with(|out| config::print(&loaded, format, out))?
            }
            Settings::Example => session.terminal.with(|out| config::example(out))?,
        };
        Ok(if code == config::EXIT_VALID { Exit::Ok } else { Exit::Usage })
    }
}
