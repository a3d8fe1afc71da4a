//! Access tokens that were denied before their end, by their `jti` (spec §6 EP004-6, S40).

use hellojohn_control::Timestamp;

use super::rows::to_db;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The denied access tokens of the unit of work's tenant.
#[derive(Debug)]
pub struct DeniedJtis<'a>(pub(in crate::store) &'a mut UnitOfWork);

const INSERT: &str = "INSERT INTO denied_jti (tenant, jti, expires_at) VALUES ($1, $2, $3) \
    ON CONFLICT (tenant, jti) DO NOTHING";

const CONTAINS: &str = "SELECT EXISTS (SELECT 1 FROM denied_jti WHERE tenant = $1 AND jti = $2)";

impl DeniedJtis<'_> {
    /// Denies the access token `jti`; `expires_at` is its end, after which the row may go. Denying it again
    /// changes nothing.
    pub async fn insert(&mut self, jti: &str, expires_at: Timestamp) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("denied_jtis.insert")?;
        let query = sqlx::query(INSERT).bind(tenant.as_str()).bind(jti).bind(to_db(expires_at));
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// Whether the access token `jti` is denied. On an error the caller must refuse the token (S40).
    pub async fn contains(&mut self, jti: &str) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("denied_jtis.contains")?;
        call.run(sqlx::query_scalar(CONTAINS).bind(tenant.as_str()).bind(jti).fetch_one(connection)).await
    }
}
