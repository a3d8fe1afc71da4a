//! `hellojohn admin scopes …` (EP105, EP106).

use std::path::PathBuf;

use clap::{Args, Subcommand};
use hellojohn_control::Slug;
use serde_json::{Value, json};

use crate::cli::api::{Answer, Condition};
use crate::cli::connection::Connection;
use crate::cli::document;
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::terminal::{cell, table};

/// The commands under `admin scopes`.
#[derive(Debug, Subcommand)]
pub enum Scopes {
    /// Show the scopes of a tenant
    #[command(after_long_help = "Examples:
  hellojohn admin scopes get --tenant acme")]
    Get(Get),
    /// Replace the scopes of a tenant, or add to them
    ///
    /// The file is {\"scopes\": [{\"name\", \"description\", \"claims\"}]} or the bare list; - reads standard input.
    /// A scope that a client or a consent uses cannot be removed.
    #[command(after_long_help = "Examples:
  hellojohn admin scopes put --tenant acme --file scopes.json
  echo '[{\"name\": \"orders:read\"}]' | hellojohn admin scopes put --tenant acme --merge --file -")]
    Put(Put),
}

/// Options of `get`.
#[derive(Debug, Args)]
pub struct Get {
    /// Whose scopes
    #[arg(long, value_name = "SLUG", value_parser = Slug::parse)]
    tenant: Slug,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `put`.
#[derive(Debug, Args)]
pub struct Put {
    /// Whose scopes
    #[arg(long, value_name = "SLUG", value_parser = Slug::parse)]
    tenant: Slug,
    /// The scopes; - for standard input
    #[arg(long, value_name = "JSON")]
    file: PathBuf,
    /// Add or change these and leave the others, instead of replacing the catalogue
    #[arg(long)]
    merge: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Scopes {
    pub(super) async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        match self {
            Scopes::Get(Get { tenant, connection }) => {
                let answer = connection.authorised(session).await?.get(&path(tenant)).await?;
                show(&answer, session)?;
            }
            Scopes::Put(Put { tenant, file, merge, connection }) => {
                let body = match document::json(file)? {
                    Value::Array(scopes) => json!({ "scopes": scopes }),
                    other => other,
                };
                let path = if *merge { format!("{}?mode=merge", path(tenant)) } else { path(tenant) };
                let api = connection.authorised(session).await?;
                let answer = api.put(&path, &body, Condition::Always).await.map_err(|error| {
                    Failure::from(error).while_doing(format!("cannot put the scopes of the tenant {tenant}"))
                })?;
                show(&answer, session)?;
            }
        }
        Ok(Exit::Ok)
    }
}

fn path(tenant: &Slug) -> String {
    format!("/v1/admin/tenants/{tenant}/scopes")
}

fn show(answer: &Answer, session: &mut Session<'_>) -> Result<(), Failure> {
    session.terminal.show(&answer.body, || {
        let scopes = answer.body.get("scopes").and_then(Value::as_array).into_iter().flatten();
        let columns = ["/name", "/claims", "/description"];
        let rows: Vec<Vec<String>> =
            scopes.map(|scope| columns.iter().map(|column| cell(scope, column)).collect()).collect();
        table(&["SCOPE", "CLAIMS", "DESCRIPTION"], &rows, "no scopes")
    })
}
