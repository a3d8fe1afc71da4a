//! From what an account was used before.

use hellojohn_control::Timestamp;

use super::rows::to_db;
use crate::domain::user::UserId;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The known devices of the unit of work's tenant.
#[derive(Debug)]
pub struct KnownDevices<'a>(pub(in crate::store) &'a mut UnitOfWork);

// `xmax` is 0 in a row that this statement has inserted; the look for others sees the table as it was before. A row that is
// over counts for nothing, also where no sweep has come by yet. Beyond the limit nothing more is remembered, and whatever is not is
// new each time.
const SEEN: &str = "WITH seen AS ( \
        INSERT INTO known_devices AS d (tenant, user_id, device, seen_at, expires_at) \
        SELECT $1, $2, $3, $4, $5 FROM (SELECT count(*) AS others FROM known_devices \
            WHERE tenant = $1 AND user_id = $2 AND device <> $3) AS o WHERE o.others < $6 \
        ON CONFLICT (tenant, user_id, device) DO UPDATE SET seen_at = $4, expires_at = $5 \
        RETURNING xmax = 0 AS inserted) \
    SELECT COALESCE((SELECT inserted FROM seen), true) AND EXISTS (SELECT 1 FROM known_devices \
        WHERE tenant = $1 AND user_id = $2 AND expires_at > $4)";

/// Devices of an account that are remembered.
const MAX_DEVICES: i64 = 100;

impl KnownDevices<'_> {
    /// Remembers that the account was used from `device`, until `until`. True if it is a new one for an account that was
    /// used from others before.
    pub async fn seen(
        &mut self,
        user: UserId,
        device: &[u8; 32],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("known_devices.seen")?;
        let query = sqlx::query_scalar(SEEN)
            .bind(tenant.as_str())
            .bind(user.0)
            .bind(device.as_slice())
            .bind(to_db(now))
            .bind(to_db(until))
            .bind(MAX_DEVICES);
        call.run(query.fetch_one(connection)).await
    }
}
