//! `hellojohn migrate`: brings the schema of the global database up to this version.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::failure::{Exit, Failure};
use super::session::Session;
use crate::config::Config;
use crate::store::{Database, Dsn, MigrationError, PoolSettings, Pools};

/// How long the end of the connections may take.
const CLOSE: Duration = Duration::from_secs(5);

/// Bring the schema of the global database up to this version
///
/// Runs the migrations that the database at STORAGE_DSN lacks, under a lock, so several hosts may do it at once.
/// A database that a newer version has migrated is refused. FLAGS_MIGRATE=true does the same at each start; the
/// own database of a tenant is migrated by POST /v1/admin/tenants/{slug}/user-store/migrate.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  STORAGE_DSN=postgres://hj:…@db/hellojohn hellojohn --env migrate
  hellojohn --env-file .local/env migrate --output json")]
pub struct Migrate {}

impl Migrate {
    /// Runs the command.
    ///
    /// # Errors
    /// When no database is configured, or it cannot be migrated.
    pub async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let config = session.config()?.config;
        let pools = global_pool(&config)?;
        let ran = run(&pools).await;
        pools.close(CLOSE).await;
        let ran = ran?;
        session.terminal.show(&json!({ "migrations_run": ran }), || match ran {
            0 => "the schema is up to date".to_owned(),
            1 => "ran 1 migration; the schema is up to date".to_owned(),
            ran => format!("ran {ran} migrations; the schema is up to date"),
        })?;
        Ok(Exit::Ok)
    }
}

/// Runs what the global database lacks; how many migrations there were.
///
/// # Errors
/// When it cannot be migrated.
pub async fn run(pools: &Pools) -> Result<usize, Failure> {
    let database = global(pools)?;
    database.migrate().await.map_err(|error| {
        let exit = match &error {
            MigrationError::Unknown(_) | MigrationError::Altered(_) => Exit::Conflict,
            MigrationError::Failed(_) => Exit::Unavailable,
        };
        let failure = Failure::new(exit, error.to_string());
        match error {
            MigrationError::Failed(_) => {
                failure.remedy("start PostgreSQL, check STORAGE_DSN, and that its user may make tables")
            }
            MigrationError::Unknown(_) | MigrationError::Altered(_) => failure,
        }
    })
}

/// A pool on the global database.
///
/// # Errors
/// When there is none, or its address cannot be used.
pub fn global_pool(config: &Config) -> Result<Pools, Failure> {
    let Some(dsn) = &config.storage.dsn else { return Err(no_database()) };
    let dsn = Dsn::parse(dsn.expose())
        .map_err(|error| Failure::usage("STORAGE_DSN cannot be used").because(error.to_string()))?;
    Ok(Pools::new(PoolSettings::default(), Some(&dsn)))
}

/// The global database of the pools.
///
/// # Errors
/// When there is none.
pub fn global(pools: &Pools) -> Result<&Database, Failure> {
    pools.global().ok_or_else(no_database)
}

fn no_database() -> Failure {
    Failure::usage("no global database is configured")
        .remedy("set STORAGE_DSN, for example postgres://user:password@localhost:5432/hellojohn")
}
