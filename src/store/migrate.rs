//! The schema of a user database and how it comes to be the one of this version.
//!
//! Migrations are embedded in the program. A database that has one that this program does not know, or knows
//! otherwise, is refused: it belongs to a newer version or was tampered with.

use std::time::Duration;

use sqlx::migrate::{Migrate as _, MigrateError, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Executor as _};
use tokio::time::timeout;

use super::database::{Database, dial};
use super::dsn::Dsn;
use super::error::{Error, Reason};

static MIGRATOR: Migrator = sqlx::migrate!("src/store/migrations");

/// For one migration run as a whole, waiting for another node's run included.
const RUN: Duration = Duration::from_secs(10 * 60);

/// A migration may take longer than a request, and waits for other nodes that migrate at the same moment.
const SESSION: &str = "SET statement_timeout = '5min'; SET lock_timeout = '1min'";

/// For the connection test of EP107, each step.
const TEST: Duration = Duration::from_secs(5);

/// How a database's schema stands to the one of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MigrationState {
    /// Equal.
    Current,
    /// So many migrations are still to be run.
    Pending(usize),
    /// It has a migration that this version does not know.
    Unknown(i64),
    /// It has a migration whose text was another one.
    Altered(i64),
}

/// Why a database was not migrated.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// See [`MigrationState::Unknown`].
    #[error(
        "the user database has migration {0}, which this version does not know; \
         run the version that made it, or restore the database from a backup"
    )]
    Unknown(i64),
    /// See [`MigrationState::Altered`].
    #[error(
        "migration {0} of the user database is not the one of this version; \
         restore the database from a backup"
    )]
    Altered(i64),
    /// The database could not be asked, or refused a migration.
    #[error("the user database could not be migrated: {0}")]
    Failed(Error),
}

/// What a test of a connection found (EP107).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestedConnection {
    /// PostgreSQL's version, such as `15.14`.
    pub server_version: String,
    /// How its schema stands.
    pub migrations: MigrationState,
}

impl Database {
    /// Runs the migrations that are missing, in order, under PostgreSQL's advisory lock; returns how many there
    /// were. Nodes that do so at the same moment wait for one another.
    pub async fn migrate(&self) -> Result<usize, MigrationError> {
        // A connection of its own: an interrupted run must not leave its lock in the pool.
        let mut connection = self.dial("migrate").await.map_err(MigrationError::Failed)?;
        let run = async {
            connection.execute(SESSION).await.map_err(|error| failed(&error))?;
            // The lock counts; the run takes it once more and gives it back once.
            connection.lock().await?;
            connection.ensure_migrations_table(&MIGRATOR.table_name).await?;
            let before = connection.list_applied_migrations(&MIGRATOR.table_name).await?.len();
            MIGRATOR.run_direct(None, &mut connection, false).await?;
            let after = connection.list_applied_migrations(&MIGRATOR.table_name).await?.len();
            Ok(after.saturating_sub(before))
        };
        let result = timeout(RUN, run).await.unwrap_or_else(|_| {
            Err(MigrationError::Failed(Error::unavailable(
                Reason::TimedOut,
                "migrate",
                "the run took too long",
            )))
        });
        // Ends the session and with it the advisory lock; if the server does not listen, so does the drop.
        drop(timeout(TEST, connection.close()).await);
        result
    }

    /// How the schema stands, without changing it.
    pub async fn migration_state(&self) -> Result<MigrationState, Error> {
        let mut lease = self.lease("migration_state").await?;
        let state = match timeout(TEST, state(lease.connection("migration_state")?)).await {
            Ok(state) => state?,
            Err(_) => {
                return Err(Error::unavailable(Reason::TimedOut, "migration_state", "no answer in time"));
            }
        };
        lease.give_back();
        Ok(state)
    }
}

/// Connects with a DSN, asks for version and schema, and disconnects (EP107). Takes at most ten seconds.
pub async fn test_connection(dsn: &Dsn) -> Result<TestedConnection, Error> {
    const NAME: &str = "test_connection";
    let mut connection = dial(dsn.options(), TEST, NAME).await?;
    let ask = async {
        let version: sqlx::Result<String> =
            sqlx::query_scalar("SHOW server_version").fetch_one(&mut connection).await;
        let server_version = version.map_err(|error| Error::from_sqlx(NAME, &error))?;
        Ok(TestedConnection { server_version, migrations: state(&mut connection).await? })
    };
    let result = timeout(TEST, ask).await;
    result.unwrap_or_else(|_| Err(Error::unavailable(Reason::TimedOut, NAME, "no answer in time")))
}

async fn state(connection: &mut PgConnection) -> Result<MigrationState, Error> {
    let to_error = |error: &sqlx::Error| Error::from_sqlx("migration_state", error);
    // The read that follows would be an error, and this must not create the table.
    let exists: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| to_error(&error))?;
    if !exists {
        return Ok(MigrationState::Pending(MIGRATOR.iter().count()));
    }
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations ORDER BY version")
            .fetch_all(connection)
            .await
            .map_err(|error| to_error(&error))?;
    for (version, checksum) in &applied {
        match MIGRATOR.iter().find(|migration| migration.version == *version) {
            None => return Ok(MigrationState::Unknown(*version)),
            Some(ours) if ours.checksum.as_ref() != checksum.as_slice() => {
                return Ok(MigrationState::Altered(*version));
            }
            Some(_) => {}
        }
    }
    match MIGRATOR.iter().count() - applied.len() {
        0 => Ok(MigrationState::Current),
        missing => Ok(MigrationState::Pending(missing)),
    }
}

fn failed(error: &sqlx::Error) -> MigrationError {
    MigrationError::Failed(Error::from_sqlx("migrate", error))
}

impl From<MigrateError> for MigrationError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => Self::Unknown(version),
            MigrateError::VersionMismatch(version) => Self::Altered(version),
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => failed(&error),
            // The enum is not ours; what is left cannot come from embedded migrations on PostgreSQL.
            other => Self::Failed(Error::internal("migrate", other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The compiler re-reads a changed migration but does not notice a new file.
    #[test]
    fn every_file_is_embedded_and_named_by_the_rule() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/migrations");
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        let embedded: Vec<String> = MIGRATOR
            .iter()
            .map(|migration| format!("{}_{}.sql", migration.version, migration.description.replace(' ', "_")))
            .collect();
        assert_eq!(names, embedded, "touch src/store/migrate.rs");
        for name in names {
            let (version, rest) = name.split_once('_').unwrap();
            assert!(version.len() == 14 && version.bytes().all(|b| b.is_ascii_digit()), "{name}");
            assert!(rest.contains('_'), "{name}: verb and object");
        }
    }
}
