//! `hellojohn whoami`: the account that the credentials speak for (EP007).

use clap::Args;

use super::connection::Connection;
use super::failure::{Exit, Failure};
use super::session::Session;
use super::terminal::{cell, pairs};

/// Show the account that the credentials speak for
///
/// Asks GET /v1/me with the token, so it also tells whether the token still works.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  HELLOJOHN_EMAIL=admin@example.com HELLOJOHN_PASSWORD=… hellojohn whoami
  HELLOJOHN_BEARER=$TOKEN hellojohn whoami --url http://localhost:8081 --output json")]
pub struct Whoami {
    #[command(flatten)]
    connection: Connection,
}

impl Whoami {
    /// Runs the command.
    ///
    /// # Errors
    /// When the token is refused.
    pub async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let api = self.connection.authorised(session).await?;
        let body = api.get("/v1/me").await?.body;
        session.terminal.show(&body, || {
            pairs(&[
                ("user", cell(&body, "/user/id")),
                ("email", cell(&body, "/user/email")),
                ("verified", cell(&body, "/user/email_verified")),
                ("given name", cell(&body, "/user/given_name")),
                ("family name", cell(&body, "/user/family_name")),
                ("tenant", cell(&body, "/token/tid")),
                ("client", cell(&body, "/token/client_id")),
                ("session", cell(&body, "/token/sid")),
                ("scopes", cell(&body, "/token/scope")),
                ("token until", cell(&body, "/token/expires_at")),
            ])
        })?;
        Ok(Exit::Ok)
    }
}
