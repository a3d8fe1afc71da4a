//! `hellojohn users …`: people; many at once, and one who is locked out.

mod import;
mod lines;
mod progress;
mod report;
mod reset_mfa;
mod sender;

use clap::Subcommand;

use super::failure::{Exit, Failure};
use super::session::Session;
use import::Import;
use reset_mfa::ResetMfa;

/// The commands under `users`. A variant without a comment is told by its own options' type.
#[derive(Debug, Subcommand)]
pub enum Users {
    Import(Import),
    ResetMfa(ResetMfa),
}

impl Users {
    /// Runs the command.
    ///
    /// # Errors
    /// When a file or the server refuses.
    pub async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        match self {
            Users::Import(import) => import.run(session).await,
            Users::ResetMfa(reset) => reset.run(session).await,
        }
    }
}
