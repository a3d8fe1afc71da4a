//! `hellojohn admin tenants …` (EP100, EP101).

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use hellojohn_control::Slug;
use serde_json::{Value, json};

use crate::cli::api::{Answer, Condition};
use crate::cli::connection::Connection;
use crate::cli::document;
use crate::cli::failure::{Exit, Failure};
use crate::cli::keys::{self, Rotation};
use crate::cli::session::Session;
use crate::cli::terminal::{cell, pairs, table};

mod migrate;

use migrate::Migrate;

/// The commands under `admin tenants`.
#[derive(Debug, Subcommand)]
pub enum Tenants {
    /// List all tenants
    #[command(after_long_help = "Examples:
  hellojohn admin tenants list
  hellojohn admin tenants list --output json | jq -r .items[].slug")]
    List(List),
    /// Show a tenant
    #[command(after_long_help = "Examples:
  hellojohn admin tenants get acme --output json")]
    Get(Get),
    /// Make a tenant or change one
    ///
    /// What is given is merged into the document; the rest stays. The file is a JSON object with name, status
    /// and settings, where null removes a member; - reads standard input.
    #[command(after_long_help = "Examples:
  hellojohn admin tenants put acme --name 'Acme Ltd.'
  hellojohn admin tenants put acme --status suspended
  hellojohn admin tenants put acme --file - < acme.json")]
    Put(Put),
    /// Choose who a tenant's tokens are issued by
    ///
    /// path: the tenant has keys of its own and the issuer {JWT_ISSUER}/t/{slug}. global: it shares both.
    #[command(after_long_help = "Examples:
  hellojohn admin tenants set-issuer-mode --slug acme --mode path")]
    SetIssuerMode(SetIssuerMode),
    /// Make a new signing key for a tenant with keys of its own
    #[command(after_long_help = "Examples:
  hellojohn admin tenants rotate-keys --slug acme --grace-seconds 3600")]
    RotateKeys(RotateKeys),
    /// Bring the tenants' own user databases to the version of the node that is asked
    ///
    /// All that have one, or those that are named; what is up to date stays as it is. One that cannot be brought there keeps
    /// none of the others from it.
    #[command(after_long_help = "Examples:
  hellojohn admin tenants migrate
  hellojohn admin tenants migrate acme globex")]
    Migrate(Migrate),
    /// Remove a tenant with its clients, scopes and keys
    #[command(after_long_help = "Examples:
  hellojohn admin tenants delete acme")]
    Delete(Delete),
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    connection: Connection,
}

/// Options of `get`.
#[derive(Debug, Args)]
pub struct Get {
    /// Tenant
    #[arg(value_parser = Slug::parse)]
    slug: Slug,
    #[command(flatten)]
    connection: Connection,
}

/// Whether people may log in.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    /// Everything works.
    Active,
    /// Nobody logs in or refreshes.
    Suspended,
}

/// Options of `put`.
#[derive(Debug, Args)]
pub struct Put {
    /// Tenant
    #[arg(value_parser = Slug::parse)]
    slug: Slug,
    /// Name for people
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Whether people may log in
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,
    /// JSON object to merge into the document; - for standard input
    #[arg(long, value_name = "JSON")]
    file: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// Who issues a tenant's tokens.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// {JWT_ISSUER}/t/{slug}, with keys of its own.
    Path,
    /// {JWT_ISSUER}, with the global keys.
    Global,
}

/// Options of `set-issuer-mode`.
#[derive(Debug, Args)]
pub struct SetIssuerMode {
    /// Tenant
    #[arg(long, value_name = "SLUG", value_parser = Slug::parse)]
    slug: Slug,
    /// Who issues its tokens
    #[arg(long, value_name = "MODE")]
    mode: Mode,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `rotate-keys`.
#[derive(Debug, Args)]
pub struct RotateKeys {
    /// Tenant
    #[arg(long, value_name = "SLUG", value_parser = Slug::parse)]
    slug: Slug,
    /// Seconds that the old key stays published; KEY_ROTATION_GRACE_SECONDS of the node without it
    #[arg(long, value_name = "N")]
    grace_seconds: Option<u32>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// Tenant
    #[arg(value_parser = Slug::parse)]
    slug: Slug,
    #[command(flatten)]
    connection: Connection,
}

impl Tenants {
    pub(super) async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        match self {
            Tenants::List(List { connection }) => {
                let items = connection.authorised(session).await?.list("/v1/admin/tenants").await?;
                session.terminal.show(&json!({ "items": items }), || {
                    let columns = ["/slug", "/name", "/status", "/settings/issuerMode", "/revision"];
                    let row = |item: &Value| columns.iter().map(|column| cell(item, column)).collect();
                    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
                    table(&["SLUG", "NAME", "STATUS", "ISSUER", "REVISION"], &rows, "no tenants")
                })?;
            }
            Tenants::Get(Get { slug, connection }) => {
                let answer = connection.authorised(session).await?.get(&path(slug)).await?;
                show(&answer, session)?;
            }
            Tenants::Put(put) => put.run(session).await?,
            Tenants::SetIssuerMode(SetIssuerMode { slug, mode, connection }) => {
                let mode = match mode {
                    Mode::Path => "path",
                    Mode::Global => "global",
                };
                let body = json!({ "slug": slug, "settings": { "issuerMode": mode } });
                let api = connection.authorised(session).await?;
                let answer = api.put(&path(slug), &body, Condition::Always).await?;
                show(&answer, session)?;
            }
            Tenants::RotateKeys(RotateKeys { slug, grace_seconds, connection }) => {
                let api = connection.authorised(session).await?;
                let wanted = Rotation { grace_seconds: *grace_seconds, ..Rotation::default() };
                return keys::rotate(&api, Some(slug), &wanted, session).await;
            }
            Tenants::Migrate(migrate) => return migrate.run(session).await,
            Tenants::Delete(Delete { slug, connection }) => {
                let answer = connection.authorised(session).await?.delete(&path(slug)).await?;
                super::show_removed(&format!("tenant {slug}"), &answer, session)?;
            }
        }
        Ok(Exit::Ok)
    }
}

impl Put {
    async fn run(&self, session: &mut Session<'_>) -> Result<(), Failure> {
        let mut body = document::object(self.file.as_deref())?;
        if let Some(name) = &self.name {
            body.insert("name".to_owned(), json!(name));
        }
        if let Some(status) = self.status {
            let status = match status {
                Status::Active => "active",
                Status::Suspended => "suspended",
            };
            body.insert("status".to_owned(), json!(status));
        }
        let api = self.connection.authorised(session).await?;
        let answer =
            api.put(&path(&self.slug), &Value::Object(body), Condition::Always).await.map_err(|error| {
                Failure::from(error).while_doing(format!("cannot put the tenant {}", self.slug))
            })?;
        show(&answer, session)
    }
}

fn path(slug: &Slug) -> String {
    format!("/v1/admin/tenants/{slug}")
}

fn show(answer: &Answer, session: &mut Session<'_>) -> Result<(), Failure> {
    let body = &answer.body;
    session.terminal.show(body, || {
        let done = if answer.is_created() { "created\n" } else { "" };
        let shown = pairs(&[
            ("slug", cell(body, "/slug")),
            ("name", cell(body, "/name")),
            ("status", cell(body, "/status")),
            ("issuer mode", cell(body, "/settings/issuerMode")),
            ("issuer", cell(body, "/settings/issuerOverride")),
            ("own database", cell(body, "/settings/userStore/dsnSet")),
            ("revision", cell(body, "/revision")),
            ("updated", cell(body, "/updated_at")),
        ]);
        format!("{done}{shown}")
    })
}
