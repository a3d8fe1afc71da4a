//! Trusted devices in PostgreSQL, by the hash of what they hold (S69).

use hellojohn_control::Timestamp;

use super::rows::to_db;
use crate::domain::refresh_token::TokenHash;
use crate::domain::user::UserId;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The trusted devices of the unit of work's tenant.
#[derive(Debug)]
pub struct TrustedDevices<'a>(pub(in crate::store) &'a mut UnitOfWork);

const INSERT: &str = "WITH over AS ( \
        DELETE FROM trusted_devices WHERE tenant = $1 AND token_hash IN ( \
            SELECT token_hash FROM trusted_devices WHERE tenant = $1 AND user_id = $3 \
            ORDER BY created_at DESC, token_hash OFFSET $6)) \
    INSERT INTO trusted_devices (tenant, token_hash, user_id, created_at, expires_at) \
    VALUES ($1, $2, $3, $4, $5)";

/// Devices that an account trusts.
const MAX_DEVICES: i64 = 20;

const TRUSTS: &str = "SELECT EXISTS (SELECT 1 FROM trusted_devices \
    WHERE tenant = $1 AND token_hash = $2 AND user_id = $3 AND expires_at > $4)";

const COUNT: &str =
    "SELECT count(*) FROM trusted_devices WHERE tenant = $1 AND user_id = $2 AND expires_at > $3";

const DELETE: &str = "DELETE FROM trusted_devices WHERE tenant = $1 AND user_id = $2";

impl TrustedDevices<'_> {
    /// Trusts a device until `expires_at`, and of the account's others the 19 newest. The account's row must be locked.
    pub async fn insert(
        &mut self,
        hash: &TokenHash,
        user: UserId,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("trusted_devices.insert")?;
        let query = sqlx::query(INSERT)
            .bind(tenant.as_str())
            .bind(hash.0.as_slice())
            .bind(user.0)
            .bind(to_db(now))
            .bind(to_db(expires_at))
            .bind(MAX_DEVICES - 1);
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// Whether this account trusts the device at `now`.
    pub async fn trusts(&mut self, hash: &TokenHash, user: UserId, now: Timestamp) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("trusted_devices.trusts")?;
        let query = sqlx::query_scalar(TRUSTS)
            .bind(tenant.as_str())
            .bind(hash.0.as_slice())
            .bind(user.0)
            .bind(to_db(now));
        call.run(query.fetch_one(connection)).await
    }

    /// How many devices the account trusts at `now`.
    pub async fn count(&mut self, user: UserId, now: Timestamp) -> Result<u64, Error> {
        let (connection, tenant, call) = self.0.call("trusted_devices.count")?;
        let query = sqlx::query_scalar(COUNT).bind(tenant.as_str()).bind(user.0).bind(to_db(now));
        let count: i64 = call.run(query.fetch_one(connection)).await?;
        Ok(count.unsigned_abs())
    }

    /// Trusts none of the account's devices any more.
    pub async fn delete_of_user(&mut self, user: UserId) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("trusted_devices.delete_of_user")?;
        call.run(sqlx::query(DELETE).bind(tenant.as_str()).bind(user.0).execute(connection)).await?;
        Ok(())
    }
}
