//! `hellojohn users reset-mfa` (EP130).

use clap::Args;
use hellojohn_control::Slug;
use serde_json::json;

use crate::cli::connection::Connection;
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::domain::user::UserId;

/// Remove the second factor of somebody who has lost it, with its recovery codes
///
/// Be sure of the person first: from here on the password alone logs in. Every session of the account ends, and no
/// device is trusted any more.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  hellojohn users reset-mfa 6f1c2a54-0000-4000-8000-000000000001 --tenant acme")]
pub struct ResetMfa {
    /// Id of the account
    #[arg(value_name = "USER_ID")]
    user: UserId,
    /// Whose account it is
    #[arg(long, value_name = "SLUG", value_parser = Slug::parse)]
    tenant: Slug,
    #[command(flatten)]
    connection: Connection,
}

impl ResetMfa {
    pub(super) async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let Self { user, tenant, connection } = self;
        let api = connection.authorised(session).await?;
        api.delete(&format!("/v1/admin/users/{user}/mfa?tenant_id={tenant}")).await.map_err(|error| {
            Failure::from(error).while_doing(format!("cannot reset the second factor of {user}"))
        })?;
        let done = json!({ "user_id": user, "mfa": "removed" });
        session.terminal.show(&done, || format!("removed the second factor of {user}\n"))?;
        Ok(Exit::Ok)
    }
}
