//! Assertions that clients have authenticated with, by the hash of their `jti`: each counts once (RFC 7523 §3, S44).

use hellojohn_control::Timestamp;
use uuid::Uuid;

use super::rows::to_db;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The used assertions of the unit of work's tenant.
#[derive(Debug)]
pub struct ClientAssertions<'a>(pub(in crate::store) &'a mut UnitOfWork);

const USE: &str = "INSERT INTO client_assertions (tenant, client_uuid, jti_hash, expires_at) VALUES ($1, $2, $3, $4) \
    ON CONFLICT DO NOTHING";

impl ClientAssertions<'_> {
    /// Uses an assertion up that expires at `expires_at`; false if somebody has used it before.
    pub async fn use_up(
        &mut self,
        client: Uuid,
        jti_hash: &[u8; 32],
        expires_at: Timestamp,
    ) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("client_assertions.use_up")?;
        let query = sqlx::query(USE)
            .bind(tenant.as_str())
            .bind(client)
            .bind(jti_hash.as_slice())
            .bind(to_db(expires_at));
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }
}
