//! Recovery codes in PostgreSQL, by their hashes (S67).

use crate::domain::user::UserId;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The recovery codes of the unit of work's tenant.
#[derive(Debug)]
pub struct RecoveryCodes<'a>(pub(in crate::store) &'a mut UnitOfWork);

const INSERT: &str = "INSERT INTO recovery_codes (tenant, user_id, code_hash) \
    SELECT $1, $2, hash FROM unnest($3::bytea[]) AS hash";

const USE: &str = "DELETE FROM recovery_codes WHERE tenant = $1 AND user_id = $2 AND code_hash = $3";

const DELETE: &str = "DELETE FROM recovery_codes WHERE tenant = $1 AND user_id = $2";

impl RecoveryCodes<'_> {
    /// Puts new codes in place of all that there are.
    pub async fn replace(&mut self, user: UserId, hashes: &[[u8; 32]]) -> Result<(), Error> {
        self.delete(user).await?;
        let (connection, tenant, call) = self.0.call("recovery_codes.replace")?;
        let hashes: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
        let query = sqlx::query(INSERT).bind(tenant.as_str()).bind(user.0).bind(hashes);
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// Uses a code up; false if the account has no such one any more. Of many at the same moment one is told true.
    pub async fn use_up(&mut self, user: UserId, hash: &[u8; 32]) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("recovery_codes.use_up")?;
        let query = sqlx::query(USE).bind(tenant.as_str()).bind(user.0).bind(hash.as_slice());
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }

    /// Removes all of an account.
    pub async fn delete(&mut self, user: UserId) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("recovery_codes.delete")?;
        call.run(sqlx::query(DELETE).bind(tenant.as_str()).bind(user.0).execute(connection)).await?;
        Ok(())
    }
}
