//! The schema of the global database at start (spec §4): migrated where `FLAGS_MIGRATE` says so, refused where it
//! is of another version, awaited while the database is away. Meanwhile the node serves the control plane.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::service::health::Schema;
use crate::store::{Database, MigrationError, MigrationState};

/// Pause after a look that found no end; doubled up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Looks at the schema until it is this version's, then ends.
///
/// # Errors
/// When the schema has migrations that this version does not know, or knows otherwise: the process must end.
pub async fn tend(
    database: Database,
    migrate: bool,
    schema: Arc<Schema>,
    stop: CancellationToken,
) -> Result<(), MigrationError> {
    let mut pause = PAUSE;
    let mut told = None;
    loop {
        let problem = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            looked = look(&database, migrate) => looked?,
        };
        schema.set(problem.clone());
        if problem != told {
            match &problem {
                Some(problem) => {
                    tracing::warn!(
                        problem,
                        "the database of STORAGE_DSN cannot be used yet; accounts wait for it, tenants, keys and \
                         discovery are served meanwhile"
                    );
                }
                None => tracing::info!("the schema of the global database is up to date"),
            }
            told.clone_from(&problem);
        }
        if problem.is_none() {
            return Ok(());
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What is wrong with the schema now, in words for anybody; `None` when it is this version's.
async fn look(database: &Database, migrate: bool) -> Result<Option<String>, MigrationError> {
    if migrate {
        return match database.migrate().await {
            Ok(count) => {
                tracing::info!(count, "migrations of the global database");
                Ok(None)
            }
            Err(MigrationError::Failed(error)) => Ok(Some(error.to_string())),
            Err(error @ (MigrationError::Unknown(_) | MigrationError::Altered(_))) => Err(error),
        };
    }
    match database.migration_state().await {
        Ok(MigrationState::Current) => Ok(None),
        Ok(MigrationState::Pending(count)) => Ok(Some(format!(
            "its schema lacks {count} migrations; run `hellojohn migrate` or start with FLAGS_MIGRATE=1"
        ))),
        Ok(MigrationState::Unknown(version)) => Err(MigrationError::Unknown(version)),
        Ok(MigrationState::Altered(version)) => Err(MigrationError::Altered(version)),
        Err(error) => Ok(Some(error.to_string())),
    }
}
