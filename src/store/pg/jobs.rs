//! Whose turn it is: jobs that every node may run and one node at a time does.
//!
//! A job has a row. Who runs a portion of the job holds the row's lock for as long as the portion's transaction lasts, and
//! writes into it when the job is due again. The lock goes with the connection: a node that dies, or loses its way to the
//! database, undoes its portion and leaves the job due, for the next node that looks.
//!
//! When a job is due is told by the database's clock and by no node's, so that nodes whose clocks differ neither do a job
//! twice nor keep it from each other. Only what is *over* is judged by the clock of the node, as everywhere: a node whose
//! clock is wrong already refuses what is good, and has to be put right anyway (docs/decisions/0018).

use std::time::Duration;

use sqlx::Executor as _;
use sqlx::postgres::PgConnection;

use crate::store::database::Database;
use crate::store::error::Error;

// No job rests as long as an hour: a row that says so was written before the database's clock was set back.
const DUE: &str = "SELECT job.name FROM unnest($1::text[]) AS job (name) LEFT JOIN jobs ON jobs.name = job.name \
    WHERE jobs.next_at IS NULL OR jobs.next_at <= clock_timestamp() OR jobs.next_at > clock_timestamp() + interval '1 hour'";

const ENROL: &str = "INSERT INTO jobs (name, next_at) SELECT name, '-infinity' FROM unnest($1::text[]) AS job (name) \
    ON CONFLICT (name) DO NOTHING";

const TAKE: &str = "SELECT true FROM jobs WHERE name = $1 \
    AND (next_at <= clock_timestamp() OR next_at > clock_timestamp() + interval '1 hour') FOR UPDATE SKIP LOCKED";

const REST: &str = "UPDATE jobs SET next_at = clock_timestamp() + make_interval(secs => $2) WHERE name = $1";

/// What became of an attempt to run a portion of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Another node has it in hand, or has done it meanwhile.
    NotOurs,
    /// A portion was done.
    Done {
        /// Rows that it touched.
        rows: u64,
        /// Whether it was a full one, so that there may be more: the job is due again at once.
        more: bool,
    },
}

/// A job as its row sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job {
    /// Its row.
    pub(super) name: &'static str,
    /// How long it rests after a portion that was not full; under an hour.
    pub(super) every: Duration,
    /// Rows of a full portion.
    pub(super) portion: u64,
}

impl Database {
    /// Those of the jobs whose turn has come. Jobs that the database does not know yet are made known to it.
    ///
    /// # Errors
    /// `Unavailable`, also for a database that lacks the migration.
    pub(super) async fn due_jobs(&self, names: &[&'static str]) -> Result<Vec<String>, Error> {
        self.alone("jobs.due", async |connection| {
            let due: Vec<String> = sqlx::query_scalar(DUE).bind(names).fetch_all(&mut *connection).await?;
            if !due.is_empty() {
                connection.execute(sqlx::query(ENROL).bind(&due)).await?;
            }
            Ok(due)
        })
        .await
    }

    /// Runs one portion of the job if it is due and nobody else has it in hand. `work` gets the connection within the
    /// transaction, and gives the number of rows that it touched. Everything is undone if any part of it fails.
    ///
    /// # Errors
    /// What the database refuses; the job stays due.
    pub(super) async fn in_turn(
        &self,
        job: Job,
        work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<u64>,
    ) -> Result<Turn, Error> {
        // Where anything fails the connection is closed, and with it go the transaction and the lock.
        self.alone(job.name, async |connection| {
            connection.execute("BEGIN").await?;
            let ours: Option<bool> =
                sqlx::query_scalar(TAKE).bind(job.name).fetch_optional(&mut *connection).await?;
            if ours.is_none() {
                connection.execute("ROLLBACK").await?;
                return Ok(Turn::NotOurs);
            }
            let rows = work(&mut *connection).await?;
            let more = rows >= job.portion;
            let rest = if more { Duration::ZERO } else { job.every };
            connection.execute(sqlx::query(REST).bind(job.name).bind(rest.as_secs_f64())).await?;
            connection.execute("COMMIT").await?;
            Ok(Turn::Done { rows, more })
        })
        .await
    }
}
