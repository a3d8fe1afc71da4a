//! A statement that belongs to no unit of work.

use tokio::time::timeout;
use tracing::Instrument as _;

use crate::store::database::{Database, OPERATION};
use crate::store::error::{Error, Reason};

impl Database {
    /// Runs what belongs together on one connection, within the limit of an operation. The connection goes back only after
    /// success: with any other it is closed, and a transaction that `run` began and did not end is undone.
    ///
    /// # Errors
    /// What the database refuses; `Unavailable` where it does not answer in time.
    pub(super) async fn alone<T>(
        &self,
        operation: &'static str,
        run: impl AsyncFnOnce(&mut sqlx::postgres::PgConnection) -> sqlx::Result<T>,
    ) -> Result<T, Error> {
        let mut lease = self.lease(operation).await?;
        let span = tracing::debug_span!("db", operation);
        match timeout(OPERATION, run(lease.connection(operation)?)).instrument(span).await {
            Ok(Ok(value)) => {
                lease.give_back();
                Ok(value)
            }
            Ok(Err(error)) => Err(Error::from_sqlx(operation, &error)),
            Err(_) => Err(Error::unavailable(Reason::TimedOut, operation, "no answer within the limit")),
        }
    }
}
