//! `hellojohn admin …`: the administration API, and tokens for it.

mod audit;
mod clients;
mod mint_token;
mod ping;
mod scopes;
mod tenants;

use clap::Subcommand;

use serde_json::{Value, json};

use super::api::Answer;
use super::failure::{Exit, Failure};
use super::session::Session;

pub use audit::Audit;
pub use clients::Clients;
pub use mint_token::{MintToken, mint};
pub use ping::Ping;
pub use scopes::Scopes;
pub use tenants::Tenants;

/// The commands under `admin`. A variant without a comment is told by its own options' type.
#[derive(Debug, Subcommand)]
pub enum Admin {
    Ping(Ping),
    MintToken(MintToken),
    Audit(Audit),
    /// List, show, make, change and remove tenants
    #[command(subcommand)]
    Tenants(Tenants),
    /// List, show, make, change and remove the clients of a tenant
    #[command(subcommand)]
    Clients(Clients),
    /// Show and change the scope catalogue of a tenant
    #[command(subcommand)]
    Scopes(Scopes),
}

impl Admin {
    /// Runs the command.
    ///
    /// # Errors
    /// When the server refuses, or no token can be made.
    pub async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        match self {
            Admin::Ping(ping) => ping.run(session).await,
            Admin::MintToken(mint_token) => mint_token.run(session).await,
            Admin::Audit(audit) => audit.run(session).await,
            Admin::Tenants(tenants) => tenants.run(session).await,
            Admin::Clients(clients) => clients.run(session).await,
            Admin::Scopes(scopes) => scopes.run(session).await,
        }
    }
}

/// Says that something is gone, and whether the user database knows already (spec §13.12).
fn show_removed(what: &str, answer: &Answer, session: &mut Session<'_>) -> Result<(), Failure> {
    let pending = answer.body.get("cleanup") == Some(&Value::from("pending"));
    let cleanup = if pending { "pending" } else { "done" };
    session.terminal.show(&json!({ "removed": what, "cleanup": cleanup }), || {
        let later = if pending { "; the user database is told when it answers" } else { "" };
        format!("removed {what}{later}")
    })
}
