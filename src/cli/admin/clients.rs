//! `hellojohn admin clients …` (EP102 to EP104).

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use hellojohn_control::{ClientId, Slug};
use serde_json::{Value, json};

use super::show_removed;
use crate::cli::api::{Answer, Condition};
use crate::cli::connection::Connection;
use crate::cli::document;
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::terminal::{cell, pairs, table};

/// The commands under `admin clients`.
#[derive(Debug, Subcommand)]
pub enum Clients {
    /// List the clients of a tenant
    #[command(after_long_help = "Examples:
  hellojohn admin clients list --tenant acme")]
    List(List),
    /// Show a client
    #[command(after_long_help = "Examples:
  hellojohn admin clients get --tenant acme web --output json")]
    Get(One),
    /// Make a client or change one
    ///
    /// What is given is merged into the document; the rest stays, and a list replaces the whole list. The secret
    /// of a new confidential client is shown once, now. What has no option of its own, such as jwks or resources, goes
    /// into a file.
    #[command(after_long_help = "Examples:
  hellojohn admin clients put --tenant acme web --type public --scope openid --scope email \\
      --redirect-uri https://app.example.com/cb
  hellojohn admin clients put --tenant acme backend --type confidential \\
      --grant-type client_credentials
  hellojohn admin clients put --tenant acme web --file web.json")]
    Put(Box<Put>),
    /// Remove a client, or only end its sessions
    #[command(after_long_help = "Examples:
  hellojohn admin clients delete --tenant acme web
  hellojohn admin clients delete --tenant acme web --soft     # only end its sessions")]
    Delete(Delete),
    /// Give a confidential client a new secret, which is shown once
    #[command(after_long_help = "Examples:
  hellojohn admin clients rotate-secret --tenant acme backend --overlap-seconds 3600")]
    RotateSecret(RotateSecret),
}

/// Options of `list`.
#[derive(Debug, Args)]
pub struct List {
    /// Whose clients
    #[arg(long, value_name = "SLUG", value_parser = Slug::parse)]
    tenant: Slug,
    #[command(flatten)]
    connection: Connection,
}

/// One client.
#[derive(Debug, Args)]
pub struct One {
    /// Whose client
    #[arg(long, value_name = "SLUG", value_parser = Slug::parse)]
    tenant: Slug,
    /// Client id
    #[arg(value_name = "CLIENT_ID", value_parser = ClientId::parse)]
    client_id: ClientId,
    #[command(flatten)]
    connection: Connection,
}

/// Whether a client can keep a secret.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Type {
    /// A browser or mobile application.
    Public,
    /// A server.
    Confidential,
}

/// Options of `put`.
#[derive(Debug, Args)]
pub struct Put {
    /// JSON object to merge into the document; - for standard input
    #[arg(long, value_name = "JSON", conflicts_with_all =
        ["name", "client_type", "redirect_uris", "scopes", "grant_types", "providers", "origins"])]
    file: Option<PathBuf>,
    /// Name for people
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Whether it can keep a secret
    #[arg(long = "type", value_name = "TYPE")]
    client_type: Option<Type>,
    /// Where an authorization response may go, exactly; repeatable
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Scope that it may ask for; repeatable
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Grant that it may use: authorization_code, refresh_token, client_credentials; repeatable
    #[arg(long = "grant-type", value_name = "GRANT")]
    grant_types: Vec<String>,
    /// Way to log in: password, or the name of a social provider; repeatable
    #[arg(long = "provider", value_name = "NAME")]
    providers: Vec<String>,
    /// Browser origin that may call the API for it; repeatable
    #[arg(long = "allowed-origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    #[command(flatten)]
    client: One,
}

/// Options of `delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// Leave the client and only end its sessions
    #[arg(long)]
    soft: bool,
    #[command(flatten)]
    client: One,
}

/// Options of `rotate-secret`.
#[derive(Debug, Args)]
pub struct RotateSecret {
    /// Seconds that the present secrets go on working
    #[arg(long, value_name = "N", default_value_t = 0)]
    overlap_seconds: u32,
    #[command(flatten)]
    client: One,
}

impl Clients {
    pub(super) async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        match self {
            Clients::List(List { tenant, connection }) => {
                let path = format!("/v1/admin/tenants/{tenant}/clients");
                let items = connection.authorised(session).await?.list(&path).await?;
                session.terminal.show(&json!({ "items": items }), || {
                    let columns = ["/client_id", "/name", "/client_type", "/enabled", "/scopes", "/revision"];
                    let row = |item: &Value| columns.iter().map(|column| cell(item, column)).collect();
                    let rows: Vec<Vec<String>> = items.iter().map(row).collect();
                    table(&["CLIENT", "NAME", "TYPE", "ENABLED", "SCOPES", "REVISION"], &rows, "no clients")
                })?;
            }
            Clients::Get(client) => {
                let answer = client.connection.authorised(session).await?.get(&client.path()).await?;
                show(&answer, session)?;
            }
            Clients::Put(put) => {
                let body = put.body()?;
                let api = put.client.connection.authorised(session).await?;
                let answer =
                    api.put(&put.client.path(), &body, Condition::Always).await.map_err(|error| {
                        let work = format!("cannot put the client {}", put.client.client_id);
                        Failure::from(error).while_doing(work)
                    })?;
                show(&answer, session)?;
            }
            Clients::Delete(Delete { client, soft }) => {
                let api = client.connection.authorised(session).await?;
                let path = if *soft { format!("{}?soft=true", client.path()) } else { client.path() };
                let answer = api.delete(&path).await?;
                let what = if *soft { "sessions of client" } else { "client" };
                show_removed(&format!("{what} {}", client.client_id), &answer, session)?;
            }
            Clients::RotateSecret(RotateSecret { client, overlap_seconds }) => {
                let api = client.connection.authorised(session).await?;
                let body = json!({ "overlap_seconds": overlap_seconds });
                let answer = api.post(&format!("{}/secret", client.path()), &body).await?;
                show(&answer, session)?;
            }
        }
        Ok(Exit::Ok)
    }
}

impl One {
    fn path(&self) -> String {
        format!("/v1/admin/tenants/{}/clients/{}", self.tenant, self.client_id)
    }
}

impl Put {
    fn body(&self) -> Result<Value, Failure> {
        let mut body = document::object(self.file.as_deref())?;
        if let Some(name) = &self.name {
            body.insert("name".to_owned(), json!(name));
        }
        if let Some(client_type) = self.client_type {
            let client_type = match client_type {
                Type::Public => "public",
                Type::Confidential => "confidential",
            };
            body.insert("client_type".to_owned(), json!(client_type));
        }
        for (member, values) in [
            ("redirect_uris", &self.redirect_uris),
            ("scopes", &self.scopes),
            ("grant_types", &self.grant_types),
            ("providers", &self.providers),
            ("allowed_origins", &self.origins),
        ] {
            if !values.is_empty() {
                body.insert(member.to_owned(), json!(values));
            }
        }
        Ok(Value::Object(body))
    }
}

fn show(answer: &Answer, session: &mut Session<'_>) -> Result<(), Failure> {
    let body = &answer.body;
    session.terminal.show(body, || {
        let done = if answer.is_created() { "created\n" } else { "" };
        let shown = pairs(&[
            ("client", cell(body, "/client_id")),
            ("name", cell(body, "/name")),
            ("type", cell(body, "/client_type")),
            ("enabled", cell(body, "/enabled")),
            ("redirect URIs", cell(body, "/redirect_uris")),
            ("scopes", cell(body, "/scopes")),
            ("grants", cell(body, "/grant_types")),
            ("providers", cell(body, "/providers")),
            ("origins", cell(body, "/allowed_origins")),
            ("revision", cell(body, "/revision")),
            ("secret", cell(body, "/client_secret")),
        ]);
        let once = if body.get("client_secret").is_some() { "the secret is shown this once\n" } else { "" };
        format!("{done}{shown}{once}")
    })
}
