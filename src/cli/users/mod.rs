//! `hellojohn users …`: people, many at once.

mod import;
mod lines;
mod progress;
mod report;
mod sender;

use clap::Subcommand;

use super::failure::{Exit, Failure};
use super::session::Session;
use import::Import;

/// The commands under `users`. A variant without a comment is told by its own options' type.
#[derive(Debug, Subcommand)]
pub enum Users {
    Import(Import),
}

impl Users {
    /// Runs the command.
    ///
    /// # Errors
    /// When a file or the server refuses.
    pub async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        match self {
            Users::Import(import) => import.run(session).await,
        }
    }
}
