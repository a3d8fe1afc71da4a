//! From what an account was used before, and when its owner was told of something new.
//!
//! Lock the account's row first: of two logins at once each must see what the other has written.

use std::time::Duration;

use hellojohn_control::Timestamp;
use sqlx::FromRow;
use time::OffsetDateTime;

use super::rows::{from_db, to_db};
use crate::domain::user::UserId;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The known devices of the unit of work's tenant.
#[derive(Debug)]
pub struct KnownDevices<'a>(pub(in crate::store) &'a mut UnitOfWork);

/// What is known about a device of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromRow)]
pub struct Known {
    /// The account was used from this device before.
    pub this: bool,
    /// It was used from any.
    pub any: bool,
}

// A row that is over counts for nothing, also where no sweep has come by yet.
const LOOK_UP: &str = "SELECT COALESCE(bool_or(device = $3), false) AS this, count(*) > 0 AS \"any\" \
    FROM known_devices WHERE tenant = $1 AND user_id = $2 AND expires_at > $4";

// Beyond the limit those go that were not seen for longest.
const REMEMBER: &str = "WITH over AS ( \
        DELETE FROM known_devices WHERE tenant = $1 AND user_id = $2 AND device IN ( \
            SELECT device FROM known_devices WHERE tenant = $1 AND user_id = $2 AND device <> $3 \
            ORDER BY seen_at DESC, device OFFSET $6)) \
    INSERT INTO known_devices (tenant, user_id, device, seen_at, expires_at) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (tenant, user_id, device) DO UPDATE SET seen_at = $4, expires_at = $5";

// The last notice was long ago: now. It was a moment ago: one more, when the pause is over. That one waits already: none. A
// moment beyond two pauses was written by a clock that was wrong, and must not silence notices until it comes.
const NEXT_NOTICE: &str = "UPDATE users SET device_notice_at = CASE \
        WHEN device_notice_at <= $3::timestamptz AND device_notice_at + $4::bigint * interval '1 second' > $3::timestamptz \
            THEN device_notice_at + $4::bigint * interval '1 second' \
        ELSE $3::timestamptz END \
    WHERE tenant = $1 AND id = $2 AND (device_notice_at IS NULL OR device_notice_at <= $3::timestamptz \
        OR device_notice_at > $3::timestamptz + 2 * $4::bigint * interval '1 second') \
    RETURNING device_notice_at";

/// Devices of an account that are remembered.
const MAX_DEVICES: i64 = 50;

impl KnownDevices<'_> {
    /// What is known about `device` at `now`.
    pub async fn look_up(&mut self, user: UserId, device: &[u8; 32], now: Timestamp) -> Result<Known, Error> {
        let (connection, tenant, call) = self.0.call("known_devices.look_up")?;
        let query = sqlx::query_as(LOOK_UP)
            .bind(tenant.as_str())
            .bind(user.0)
            .bind(device.as_slice())
            .bind(to_db(now));
        call.run(query.fetch_one(connection)).await
    }

    /// Remembers that the account was used from `device`, until `until`, with the 49 others that were seen last.
    pub async fn remember(
        &mut self,
        user: UserId,
        device: &[u8; 32],
        now: Timestamp,
        until: Timestamp,
    ) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("known_devices.remember")?;
        let query = sqlx::query(REMEMBER)
            .bind(tenant.as_str())
            .bind(user.0)
            .bind(device.as_slice())
            .bind(to_db(now))
            .bind(to_db(until))
            .bind(MAX_DEVICES - 1);
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// When a notice that is written at `now` may go to the account's owner, if there is to be a pause of `pause` (whole
    /// seconds) between any two; taken by asking. `None`, and no notice is due, while one waits for the end of a pause.
    pub async fn next_notice(
        &mut self,
        user: UserId,
        now: Timestamp,
        pause: Duration,
    ) -> Result<Option<Timestamp>, Error> {
        let (connection, tenant, call) = self.0.call("known_devices.next_notice")?;
        let query = sqlx::query_scalar(NEXT_NOTICE)
            .bind(tenant.as_str())
            .bind(user.0)
            .bind(to_db(now))
            .bind(i64::try_from(pause.as_secs()).unwrap_or(i64::MAX));
        let due: Option<OffsetDateTime> = call.run(query.fetch_optional(connection)).await?;
        Ok(due.map(from_db))
    }
}
