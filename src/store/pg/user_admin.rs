//! What administrators do with accounts, beside what their owners do (EP129, EP130).
//!
//! Each statement changes the account's row first; whoever revokes the account's sessions does so after it, in the same unit of
//! work, so that a login that is under way either is seen or sees the change (see `Users::record_login`).

use hellojohn_control::Timestamp;

use super::rows::to_db;
use super::users::Users;
use crate::domain::user::{PasswordHash, UserId, UserStatus};
use crate::store::error::Error;

const SET_STATUS: &str = "UPDATE users SET status = $4, \
    updated_at = GREATEST($5, updated_at + interval '1 millisecond') \
    WHERE tenant = $1 AND id = $2 AND status = ANY($3)";

const UNLOCK: &str = "UPDATE users SET failed_logins = 0, locked_until = NULL, \
    status = CASE WHEN status = 'locked' THEN 'active' ELSE status END, \
    updated_at = GREATEST($3, updated_at + interval '1 millisecond') WHERE tenant = $1 AND id = $2";

const SET_PASSWORD_HASH: &str = "UPDATE users SET password_hash = $3, \
    updated_at = GREATEST($4, updated_at + interval '1 millisecond') WHERE tenant = $1 AND id = $2";

const REMOVE: &str = "DELETE FROM users WHERE tenant = $1 AND id = $2";

impl Users<'_> {
    /// Gives the account another status if it has one of `from`; whether it had.
    pub async fn set_status(
        &mut self,
        id: UserId,
        from: &[UserStatus],
        to: UserStatus,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let from: Vec<&str> = from.iter().map(|status| status.as_str()).collect();
        let (connection, tenant, call) = self.0.call("users.set_status")?;
        let query = sqlx::query(SET_STATUS)
            .bind(tenant.as_str())
            .bind(id.0)
            .bind(from)
            .bind(to.as_str())
            .bind(to_db(now));
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }

    /// Ends every lock: the hold after failed logins, their count, and the status `locked`. False without such an account.
    pub async fn unlock(&mut self, id: UserId, now: Timestamp) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("users.unlock")?;
        let query = sqlx::query(UNLOCK).bind(tenant.as_str()).bind(id.0).bind(to_db(now));
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }

    /// Gives the account another password, whatever the present one is. False without such an account.
    pub async fn set_password_hash(
        &mut self,
        id: UserId,
        new: &PasswordHash,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("users.set_password_hash")?;
        let query = sqlx::query(SET_PASSWORD_HASH)
            .bind(tenant.as_str())
            .bind(id.0)
            .bind(new.as_str())
            .bind(to_db(now));
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }

    /// Removes the account with everything of it. False without such an account.
    pub async fn remove(&mut self, id: UserId) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("users.remove")?;
        let query = sqlx::query(REMOVE).bind(tenant.as_str()).bind(id.0);
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }
}
