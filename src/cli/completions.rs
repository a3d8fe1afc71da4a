//! `hellojohn completions SHELL`: completion scripts.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::failure::{Exit, Failure};
use super::session::Session;
use super::tree::Cli;

/// Print the completion script of a shell
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  hellojohn completions bash > /etc/bash_completion.d/hellojohn
  hellojohn completions zsh > \"${fpath[1]}/_hellojohn\"
  hellojohn completions fish > ~/.config/fish/completions/hellojohn.fish")]
pub struct Completions {
    /// For which shell
    shell: Shell,
}

impl Completions {
    /// Runs the command.
    ///
    /// # Errors
    /// When nobody reads the output.
    pub fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "hellojohn", &mut script);
        session.terminal.with(|out| out.write_all(&script))?;
        Ok(Exit::Ok)
    }
}
