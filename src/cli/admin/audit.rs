//! `hellojohn admin audit` (EP132).

use clap::{Args, ValueEnum};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::cli::connection::Connection;
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::terminal::{cell, table};

/// How an event ended.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Outcome {
    /// Done.
    Ok,
    /// Refused.
    Refused,
}

/// Show security events, the newest first
///
/// One page; with --output json it has the `next_cursor` of the next one.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  hellojohn admin audit --tenant acme --action user.login --outcome refused
  hellojohn admin audit --actor local/$ID --from 2026-01-01T00:00:00Z
  hellojohn admin audit --tenant acme --limit 200 --output json --cursor \"$NEXT\"")]
pub struct Audit {
    /// Whose events; _system for the cluster. Without it everything in the global database
    #[arg(long, value_name = "SLUG")]
    tenant: Option<String>,
    /// Who did it: tenant/subject
    #[arg(long, value_name = "ACTOR")]
    actor: Option<String>,
    /// What was done, such as user.login
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// To what it was done: the id of an account, a client
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// How it ended
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<Outcome>,
    /// Not before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Most events to show
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
    limit: u32,
    /// The next_cursor of the page before
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Audit {
    pub(super) async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let body = self.connection.authorised(session).await?.get(&self.path()).await?.body;
        session.terminal.show(&body, || {
            let columns = [
                "/at",
                "/tenant_id",
                "/action",
                "/outcome",
                "/reason",
                "/actor",
                "/target",
                "/client_id",
                "/ip",
            ];
            let items = body.get("items").and_then(Value::as_array).into_iter().flatten();
            let row = |item: &Value| columns.iter().map(|column| cell(item, column)).collect();
            let rows: Vec<Vec<String>> = items.map(row).collect();
            let headings =
                ["TIME", "TENANT", "ACTION", "OUTCOME", "REASON", "ACTOR", "TARGET", "CLIENT", "ADDRESS"];
            table(&headings, &rows, "no events")
        })?;
        Ok(Exit::Ok)
    }

    fn path(&self) -> String {
        let outcome = self.outcome.map(|outcome| match outcome {
            Outcome::Ok => "ok",
            Outcome::Refused => "refused",
        });
        let given = [
            ("tenant_id", self.tenant.as_deref()),
            ("actor", self.actor.as_deref()),
            ("action", self.action.as_deref()),
            ("target", self.target.as_deref()),
            ("outcome", outcome),
            ("from", self.from.as_deref()),
            ("to", self.to.as_deref()),
            ("cursor", self.cursor.as_deref()),
        ];
        let mut path = format!("/v1/admin/audit?limit={}", self.limit);
        for (name, value) in given {
            if let Some(value) = value {
                path.push_str(&format!("&{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        audit: Audit,
    }

    fn path(args: &[&str]) -> String {
        Line::try_parse_from([&["audit"], args].concat()).unwrap().audit.path()
    }

    #[test]
    fn options_become_parameters_that_arrive_as_they_were_typed() {
        assert_eq!(path(&[]), "/v1/admin/audit?limit=50");
        let asked =
            path(&["--tenant", "_system", "--outcome", "refused", "--from", "2026-01-01T00:00:00+01:00"]);
        assert_eq!(
            asked,
            "/v1/admin/audit?limit=50&tenant_id=%5Fsystem&outcome=refused&from=2026%2D01%2D01T00%3A00%3A00%2B01%3A00"
        );
        assert!(Line::try_parse_from(["audit", "--limit", "201"]).is_err());
    }
}
