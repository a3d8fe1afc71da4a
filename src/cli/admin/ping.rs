//! `hellojohn admin ping` (EP110).

use clap::Args;

use crate::cli::connection::Connection;
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::terminal::{cell, pairs};

/// Tell whether the credentials are an administrator's, and which node answers
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  HELLOJOHN_BEARER=$(hellojohn admin mint-token) hellojohn admin ping
  HELLOJOHN_EMAIL=admin@example.com HELLOJOHN_PASSWORD=… hellojohn admin ping")]
pub struct Ping {
    #[command(flatten)]
    connection: Connection,
}

impl Ping {
    pub(super) async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let api = self.connection.authorised(session).await?;
        let body = api.get("/v1/admin/ping").await?.body;
        session.terminal.show(&body, || {
            pairs(&[
                ("status", cell(&body, "/status")),
                ("node", cell(&body, "/node_id")),
                ("subject", cell(&body, "/subject")),
                ("tenant", cell(&body, "/tenant")),
            ])
        })?;
        Ok(Exit::Ok)
    }
}
