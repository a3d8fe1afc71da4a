//! Lives of tenants in PostgreSQL; `store::lives` says what they are for. The row is locked before any account's.

use hellojohn_control::Timestamp;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{from_db, to_db};
use crate::store::error::{Error, Reason};
use crate::store::lives::{KeptLife, Life};
use crate::store::ports::UnitOfWork;

/// The life of the unit of work's tenant.
#[derive(Debug)]
pub struct Lives<'a>(pub(in crate::store) &'a mut UnitOfWork);

const FIND: &str = "SELECT created_at, revision, cluster_id, ended FROM tenant_lives WHERE tenant = $1";
const FIND_FOR_UPDATE: &str =
    "SELECT created_at, revision, cluster_id, ended FROM tenant_lives WHERE tenant = $1 FOR UPDATE";

const NOTE: &str = "INSERT INTO tenant_lives (tenant, created_at, revision, cluster_id) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (tenant) DO UPDATE SET revision = excluded.revision, cluster_id = excluded.cluster_id \
    WHERE tenant_lives.created_at = excluded.created_at";

const REPLACE: &str = "UPDATE tenant_lives SET created_at = $2, revision = $3, cluster_id = $4, ended = false WHERE tenant = $1";

const END: &str = "INSERT INTO tenant_lives (tenant, created_at, revision, cluster_id, ended) VALUES ($1, $2, $3, $4, true) \
    ON CONFLICT (tenant) DO UPDATE SET revision = excluded.revision, cluster_id = excluded.cluster_id, ended = true \
    WHERE tenant_lives.created_at = excluded.created_at";

const HOLD: &str = "SELECT true FROM tenant_lives WHERE tenant = $1 AND created_at = $2 FOR SHARE";

/// A portion of each table that holds rows of a tenant; the others hang on `users`. Families before accounts, so that the
/// accounts of a portion have few rows left to take along. Locked, so that rows which somebody else removes at this moment do not
/// make a portion look like the last one. `audit_events` are kept: they are evidence, of deletions too.
const REMOVE: [(&str, i64); 5] = [
    (
        "DELETE FROM token_families WHERE tenant = $1 AND id IN \
            (SELECT id FROM token_families WHERE tenant = $1 LIMIT $2 FOR UPDATE)",
        100,
    ),
    (
        "DELETE FROM users WHERE tenant = $1 AND id IN (SELECT id FROM users WHERE tenant = $1 LIMIT $2 FOR UPDATE)",
        500,
    ),
    (
        "DELETE FROM role_permissions WHERE tenant = $1 AND (role, permission) IN \
            (SELECT role, permission FROM role_permissions WHERE tenant = $1 LIMIT $2 FOR UPDATE)",
        1000,
    ),
    (
        "DELETE FROM denied_jti WHERE tenant = $1 AND jti IN \
            (SELECT jti FROM denied_jti WHERE tenant = $1 LIMIT $2 FOR UPDATE)",
        1000,
    ),
    (
        "DELETE FROM client_assertions WHERE tenant = $1 AND (client_uuid, jti_hash) IN \
            (SELECT client_uuid, jti_hash FROM client_assertions WHERE tenant = $1 LIMIT $2 FOR UPDATE)",
        1000,
    ),
];

impl Lives<'_> {
    /// The life that the rows are of; `None` where nobody has noted it yet.
    pub async fn find(&mut self) -> Result<Option<KeptLife>, Error> {
        self.read("lives.find", FIND).await
    }

    /// As [`Lives::find`], and nobody makes an account or moves the tenant on until the unit of work ends.
    pub async fn find_for_update(&mut self) -> Result<Option<KeptLife>, Error> {
        self.read("lives.find_for_update", FIND_FOR_UPDATE).await
    }

    async fn read(&mut self, name: &'static str, statement: &'static str) -> Result<Option<KeptLife>, Error> {
        let (connection, tenant, call) = self.0.call(name)?;
        let query = sqlx::query_as(statement).bind(tenant.as_str());
        let row: Option<(OffsetDateTime, i64, Uuid, bool)> =
            call.run(query.fetch_optional(connection)).await?;
        row.map(|(created_at, revision, cluster, ended)| {
            let revision = u64::try_from(revision)
                .map_err(|why| Error::internal(name, format!("column tenant_lives.revision: {why}")))?;
            Ok(KeptLife { life: Life { created_at: from_db(created_at), revision, cluster }, ended })
        })
        .transpose()
    }

    /// Writes down that the rows are of this life, unless another one is written down already.
    pub async fn note(&mut self, life: &Life) -> Result<(), Error> {
        self.write("lives.note", NOTE, life).await
    }

    /// Writes down that this life is over, unless another one is written down already.
    pub async fn end(&mut self, life: &Life) -> Result<(), Error> {
        self.write("lives.end", END, life).await
    }

    /// Writes down that the rows are of this life from now on.
    pub async fn replace(&mut self, life: &Life) -> Result<(), Error> {
        self.write("lives.replace", REPLACE, life).await
    }

    async fn write(&mut self, name: &'static str, statement: &'static str, life: &Life) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call(name)?;
        let query = sqlx::query(statement)
            .bind(tenant.as_str())
            .bind(to_db(life.created_at))
            .bind(i64::try_from(life.revision).unwrap_or(i64::MAX))
            .bind(life.cluster);
        call.run(query.execute(connection)).await.map(drop)
    }

    /// Removes some rows of the tenant, whosever they are; how many, and 0 when there are none left. Only under
    /// [`Lives::find_for_update`].
    pub(in crate::store) async fn remove_portion(&mut self) -> Result<u64, Error> {
        for (statement, limit) in REMOVE {
            let (connection, tenant, call) = self.0.call("lives.remove_portion")?;
            let query = sqlx::query(statement).bind(tenant.as_str()).bind(limit);
            let removed = call.run(query.execute(connection)).await?.rows_affected();
            if removed > 0 {
                return Ok(removed);
            }
        }
        Ok(0)
    }
}

impl UnitOfWork {
    /// The life of the unit of work's tenant.
    pub fn lives(&mut self) -> Lives<'_> {
        Lives(self)
    }

    /// Holds the life that this unit of work was begun in until it ends: nobody moves the tenant on meanwhile. For whoever
    /// writes a row that hangs on no account. Does nothing in a unit of work that was begun in no life in particular.
    ///
    /// # Errors
    /// `Unavailable` (`OtherLife`) when the database is at another life already; the next request finds out at which.
    pub(in crate::store) async fn hold_life(&mut self) -> Result<(), Error> {
        const NAME: &str = "lives.hold";
        let Some(Life { created_at, .. }) = self.life(NAME)? else { return Ok(()) };
        if self.held(NAME, created_at).await? {
            return Ok(());
        }
        self.forget_life(NAME)?;
        Err(Error::unavailable(Reason::OtherLife, NAME, "the tenant was made again meanwhile"))
    }

    async fn held(&mut self, name: &'static str, created_at: Timestamp) -> Result<bool, Error> {
        let (connection, tenant, call) = self.call(name)?;
        let query = sqlx::query_scalar(HOLD).bind(tenant.as_str()).bind(to_db(created_at));
        let held: Option<bool> = call.run(query.fetch_optional(connection)).await?;
        Ok(held.is_some())
    }
}
