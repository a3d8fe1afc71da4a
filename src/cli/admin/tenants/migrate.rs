//! `hellojohn admin tenants migrate` (EP108, for one tenant after the other).

use clap::Args;
use hellojohn_control::Slug;
use serde_json::{Value, json};

use super::path;
use crate::cli::api::ApiError;
use crate::cli::connection::Connection;
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::terminal::{cell, table};

/// Options of `migrate`.
#[derive(Debug, Args)]
pub struct Migrate {
    /// Tenants; all that have a database of their own without any
    #[arg(value_name = "SLUG", value_parser = Slug::parse)]
    slugs: Vec<Slug>,
    #[command(flatten)]
    connection: Connection,
}

impl Migrate {
    pub(super) async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let api = self.connection.authorised(session).await?;
        let mut slugs = self.slugs.clone();
        if slugs.is_empty() {
            let tenants = api.list("/v1/admin/tenants").await?;
            let own = tenants
                .iter()
                .filter(|tenant| tenant.pointer("/settings/userStore/dsnSet") == Some(&json!(true)));
            for tenant in own {
                let slug = tenant.get("slug").and_then(Value::as_str).unwrap_or_default();
                let slug =
                    Slug::parse(slug).map_err(|_| ApiError::Strange("a tenant has no slug".to_owned()))?;
                slugs.push(slug);
            }
        }
        let (mut items, mut failed) = (Vec::new(), 0_usize);
        for (number, slug) in slugs.iter().enumerate() {
            session.terminal.note(&format!("{slug} ({} of {})", number + 1, slugs.len()));
            match api.post(&format!("{}/user-store/migrate", path(slug)), &json!({})).await {
                Ok(answer) => {
                    items.push(json!({ "slug": slug, "applied": answer.body.get("applied"), "error": null }));
                }
                Err(error) => {
                    failed += 1;
                    let told = Failure::from(error).to_json();
                    items.push(json!({ "slug": slug, "applied": null, "error": told.get("error") }));
                }
            }
        }
        session.terminal.show(&json!({ "items": items }), || {
            let row =
                |item: &Value| ["/slug", "/applied", "/error/what"].map(|member| cell(item, member)).to_vec();
            let rows: Vec<Vec<String>> = items.iter().map(row).collect();
            table(&["TENANT", "MIGRATIONS", "ERROR"], &rows, "no tenant has a database of its own")
        })?;
        if failed == 0 {
            return Ok(Exit::Ok);
        }
        let what = format!("{failed} of {} databases were not brought to this version", slugs.len());
        Err(Failure::failed(what)
            .remedy("mend what the table names, and run this again: what is done stays done"))
    }
}
