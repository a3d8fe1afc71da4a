//! One user database: a bounded pool, a short memory of failure, and the clean-up of what callers leave behind.
//!
//! Owns how a connection is made, set up, handed out and taken back. Connecting happens in the task of the
//! caller that needs it, so that a dead database delays nobody who did not ask for it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hellojohn_control::Slug;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, PgPool, Postgres};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::breaker::{Admission, Breaker};
use super::dsn::Dsn;
use super::error::{Error, Reason};
use super::lives::KnownLives;
use super::ports::UnitOfWork;

/// What every connection is told first, so that nothing the server does for us lasts for ever.
const SESSION: &str = "SET statement_timeout = '10s'; SET lock_timeout = '5s'; \
    SET idle_in_transaction_session_timeout = '15s'";

/// How long one statement may take as seen from here: the server's own limit and some way to answer. Only a
/// server that hangs or a broken network reaches it.
pub(super) const OPERATION: Duration = Duration::from_secs(12);

/// How long a connection may take to come back to its pool before it is thrown away.
const RELEASE: Duration = Duration::from_secs(2);

/// How a pool is sized and how patient it is.
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) max_open: u32,
    pub(super) min_idle: u32,
    pub(super) max_lifetime: Option<Duration>,
    pub(super) idle_timeout: Duration,
    pub(super) acquire: Duration,
}

/// A handle on one user database; cloning it is cheap. Making it does not connect.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    pool: PgPool,
    options: PgConnectOptions,
    limits: Limits,
    breaker: Breaker,
    lives: KnownLives,
    in_use: AtomicU32,
    /// When the pool was made, and how many milliseconds later a connection came back last whose work was done.
    made: Instant,
    worked: AtomicU64,
    tasks: TaskTracker,
}

/// Counts a connection as handed out for as long as it lives.
#[derive(Debug)]
struct InUse(Database);

/// A connection on loan. Given back by [`Lease::give_back`]; merely dropped, it is closed.
#[derive(Debug)]
pub(super) struct Lease {
    connection: Option<PoolConnection<Postgres>>,
    in_use: InUse,
}

impl Database {
    /// A pool for `dsn` that connects when it is first needed. Must be called within a Tokio runtime.
    pub(super) fn lazy(dsn: &Dsn, limits: Limits) -> Self {
        let options = dsn.options().clone();
        let pool = PgPoolOptions::new()
            .max_connections(limits.max_open)
            .min_connections(limits.min_idle.min(limits.max_open))
            .max_lifetime(limits.max_lifetime)
            .idle_timeout(limits.idle_timeout)
            .acquire_timeout(limits.acquire)
            .after_connect(|connection, _| Box::pin(set_up(connection)))
            .connect_lazy_with(options.clone());
        Self(Arc::new(Inner {
            pool,
            options,
            limits,
            breaker: Breaker::default(),
            lives: KnownLives::default(),
            in_use: AtomicU32::new(0),
            made: Instant::now(),
            worked: AtomicU64::new(0),
            tasks: TaskTracker::new(),
        }))
    }

    /// Begins a transaction on the data of `tenant`, of whichever of its lives ([`Database::begin_in`] is for requests).
    ///
    /// Takes at most the acquire time-out and one statement's time-out; about a second long after a failure it
    /// is refused at once.
    pub async fn begin(&self, tenant: &Slug) -> Result<UnitOfWork, Error> {
        let lease = self.lease("begin").await?;
        UnitOfWork::begin(lease, tenant.clone(), None).await
    }

    /// Asks the database for an answer, within `deadline`.
    pub async fn ping(&self, deadline: Duration) -> Result<(), Error> {
        let ask = async {
            let mut lease = self.lease("ping").await?;
            lease.connection("ping")?.ping().await.map_err(|error| Error::from_sqlx("ping", &error))?;
            lease.give_back();
            Ok(())
        };
        timeout(deadline, ask)
            .await
            .unwrap_or_else(|_| Err(Error::unavailable(Reason::TimedOut, "ping", "the deadline has passed")))
    }

    /// What is known of the lives of its tenants.
    pub(super) fn lives(&self) -> &KnownLives {
        &self.0.lives
    }

    /// Whether two handles are on the same pool.
    #[cfg(test)]
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Connections that are handed out now.
    pub fn in_use(&self) -> u32 {
        self.0.in_use.load(Ordering::Relaxed)
    }

    /// Connections that are open now, in use or idle.
    pub fn open(&self) -> u32 {
        self.0.pool.size()
    }

    /// Closes the pool: nobody gets a connection any more; waits for those on loan, at most `deadline`.
    pub async fn close(&self, deadline: Duration) {
        self.0.tasks.close();
        let all = async {
            self.0.pool.close().await;
            self.0.tasks.wait().await;
        };
        if timeout(deadline, all).await.is_err() {
            tracing::warn!(
                in_use = self.in_use(),
                "connections to a user database were still in use at shutdown"
            );
        }
    }

    pub(super) async fn lease(&self, operation: &'static str) -> Result<Lease, Error> {
        let inner = &self.0;
        let _probe = match inner.breaker.admit(Instant::now()) {
            Admission::Go => None,
            Admission::Refused => {
                return Err(Error::unavailable(Reason::FailedRecently, operation, "not asked again yet"));
            }
            // The pool would go on dialling until its time-out; one direct call tells at once.
            Admission::Probe(probe) => {
                drop(self.dial(operation).await.inspect_err(|error| self.failed(error))?);
                Some(probe)
            }
        };
        match inner.pool.acquire().await {
            Ok(connection) => {
                inner.breaker.succeeded();
                inner.in_use.fetch_add(1, Ordering::Relaxed);
                Ok(Lease { connection: Some(connection), in_use: InUse(self.clone()) })
            }
            // Every connection is working, or work was done until shortly before this one was wanted: the database is well, and we (or
            // whoever lets new connections in) have too much to do.
            Err(sqlx::Error::PoolTimedOut)
                if self.in_use() >= inner.limits.max_open || self.worked_within(2 * inner.limits.acquire) =>
            {
                Err(Error::unavailable(Reason::Busy, operation, "no connection came back in time"))
            }
            Err(error) => {
                let error = Error::from_sqlx(operation, &error);
                self.failed(&error);
                Err(error)
            }
        }
    }

    /// Whether a connection has come back in that time whose work was done.
    fn worked_within(&self, time: Duration) -> bool {
        let inner = &self.0;
        let worked = inner.worked.load(Ordering::Relaxed);
        worked > 0 && inner.made.elapsed().saturating_sub(Duration::from_millis(worked)) < time
    }

    /// Remembers that no connection could be had. Comes at most once a second once the first callers know.
    fn failed(&self, error: &Error) {
        self.0.breaker.failed(Instant::now());
        tracing::warn!(error = %error, context = ?error.context(), "no connection to a user database");
    }

    /// A connection of its own, outside the pool.
    pub(super) async fn dial(&self, operation: &'static str) -> Result<PgConnection, Error> {
        dial(&self.0.options, self.0.limits.acquire, operation).await
    }
}

/// Connects within `limit` and sets the session up.
pub(super) async fn dial(
    options: &PgConnectOptions,
    limit: Duration,
    operation: &'static str,
) -> Result<PgConnection, Error> {
    let connect = async {
        let mut connection = options.connect().await?;
        set_up(&mut connection).await?;
        Ok(connection)
    };
    match timeout(limit, connect).await {
        Ok(result) => result.map_err(|error| Error::from_sqlx(operation, &error)),
        Err(_) => Err(Error::unavailable(Reason::TimedOut, operation, "no connection in time")),
    }
}

async fn set_up(connection: &mut PgConnection) -> sqlx::Result<()> {
    connection.execute(SESSION).await?;
    Ok(())
}

impl Lease {
    /// Where the connection is from.
    pub(super) fn database(&self) -> &Database {
        &self.in_use.0
    }

    pub(super) fn connection(&mut self, operation: &'static str) -> Result<&mut PgConnection, Error> {
        match &mut self.connection {
            Some(connection) => Ok(connection),
            None => Err(Error::internal(operation, "the connection was given back already")),
        }
    }

    /// Gives the connection back in the background. It must not be within a transaction.
    pub(super) fn give_back(mut self) {
        let inner = &self.in_use.0.0;
        let now = u64::try_from(inner.made.elapsed().as_millis()).unwrap_or(u64::MAX);
        inner.worked.store(now.max(1), Ordering::Relaxed);
        if let Some(mut connection) = self.connection.take() {
            self.spawn(async move { take_back(&mut connection).await });
        }
    }

    /// Ends the transaction in the background, without effect, and gives the connection back.
    pub(super) fn roll_back(mut self) {
        if let Some(mut connection) = self.connection.take() {
            self.spawn(async move {
                match timeout(RELEASE, connection.execute("ROLLBACK")).await {
                    Ok(Ok(_)) => take_back(&mut connection).await,
                    Ok(Err(_)) | Err(_) => connection.close_on_drop(),
                }
            });
        }
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // Without a runtime the process is ending, and dropping the task closes the connection.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            self.in_use.0.0.tasks.spawn_on(task, &runtime);
        }
    }
}

/// Returns a connection to its pool. The driver asks it for a sign of life first and would wait for ever; given
/// up, the connection is closed and its place in the pool is free again.
async fn take_back(connection: &mut PoolConnection<Postgres>) {
    if timeout(RELEASE, connection.return_to_pool()).await.is_err() {
        tracing::warn!("a connection to a user database hung and was thrown away");
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.close_on_drop();
        }
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.0.in_use.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("open", &self.open())
            .field("in_use", &self.in_use())
            .finish_non_exhaustive()
    }
}
