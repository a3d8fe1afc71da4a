//! TOTP secrets in PostgreSQL: active ones, and those that wait for their first code (S65, S66).
//!
//! Order of locks of everything about second factors: the account's row first ([`Users::find_for_update`]), then these.
//!
//! [`Users::find_for_update`]: super::users::Users::find_for_update

use hellojohn_control::Timestamp;
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{from_db, to_db};
use crate::domain::mfa::{Enrolment, FactorId, MAX_WRONG_CODES, SealedSecret, TotpFactor};
use crate::domain::user::UserId;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The TOTP secrets of the unit of work's tenant.
#[derive(Debug)]
pub struct Totp<'a>(pub(in crate::store) &'a mut UnitOfWork);

const FIND: &str = "SELECT id, secret, last_step, created_at, \
    (SELECT count(*) FROM recovery_codes r WHERE r.tenant = $1 AND r.user_id = $2) AS recovery_codes \
    FROM totp_factors WHERE tenant = $1 AND user_id = $2";

// A factor that replaces one is as trustworthy as that one: whoever enrolled it has shown it.
const ACTIVATE: &str = "INSERT INTO totp_factors AS f (tenant, user_id, id, secret, last_step, created_at, address_verified) \
    SELECT $1, $2, $3, $4, $5, $6, email_verified FROM users WHERE tenant = $1 AND id = $2 \
    ON CONFLICT (tenant, user_id) DO UPDATE SET id = $3, secret = $4, last_step = $5, created_at = $6, \
        address_verified = f.address_verified";

// The condition is the replay memory: of all that accept a step, at whatever node, one changes the row.
const USE_STEP: &str = "UPDATE totp_factors SET last_step = $4 \
    WHERE tenant = $1 AND user_id = $2 AND id = $3 AND last_step < $4";

const DELETE: &str = "DELETE FROM totp_factors WHERE tenant = $1 AND user_id = $2";

const OF_NOBODY_KNOWN: &str =
    "SELECT EXISTS (SELECT 1 FROM totp_factors WHERE tenant = $1 AND user_id = $2 AND NOT address_verified)";

const ENROL: &str = "INSERT INTO totp_enrolments (tenant, user_id, id, secret, replaces, expires_at) \
    VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, user_id) DO UPDATE \
    SET id = $3, secret = $4, replaces = $5, expires_at = $6, wrong_codes = 0";

const FIND_ENROLMENT: &str = "SELECT id, secret, replaces, expires_at FROM totp_enrolments \
    WHERE tenant = $1 AND user_id = $2 AND expires_at > $3 AND wrong_codes < $4";

const COUNT_WRONG: &str = "UPDATE totp_enrolments SET wrong_codes = wrong_codes + 1 \
    WHERE tenant = $1 AND user_id = $2 AND id = $3";

const DELETE_ENROLMENT: &str = "DELETE FROM totp_enrolments WHERE tenant = $1 AND user_id = $2";

#[derive(FromRow)]
struct FactorRow {
    id: Uuid,
    secret: String,
    last_step: i64,
    created_at: OffsetDateTime,
    recovery_codes: i64,
}

#[derive(FromRow)]
struct EnrolmentRow {
    id: Uuid,
    secret: String,
    replaces: Option<Uuid>,
    expires_at: OffsetDateTime,
}

impl Totp<'_> {
    /// The active secret of an account.
    pub async fn find(&mut self, user: UserId) -> Result<Option<TotpFactor>, Error> {
        let (connection, tenant, call) = self.0.call("totp.find")?;
        let row: Option<FactorRow> = call
            .run(sqlx::query_as(FIND).bind(tenant.as_str()).bind(user.0).fetch_optional(connection))
            .await?;
        Ok(row.map(|row| TotpFactor {
            id: FactorId(row.id),
            secret: SealedSecret::new(row.secret),
            last_step: row.last_step,
            created_at: from_db(row.created_at),
            recovery_codes: u32::try_from(row.recovery_codes).unwrap_or(u32::MAX),
        }))
    }

    /// Makes a secret the active one, in place of the one that there may be. `step` is that of its first code.
    pub async fn activate(
        &mut self,
        user: UserId,
        id: FactorId,
        secret: &SealedSecret,
        step: i64,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("totp.activate")?;
        let query = sqlx::query(ACTIVATE)
            .bind(tenant.as_str())
            .bind(user.0)
            .bind(id.0)
            .bind(secret.as_str())
            .bind(step)
            .bind(to_db(now));
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// Uses up a step and all before it; false if it, or a newer one, was used before.
    pub async fn use_step(&mut self, user: UserId, id: FactorId, step: i64) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("totp.use_step")?;
        let query = sqlx::query(USE_STEP).bind(tenant.as_str()).bind(user.0).bind(id.0).bind(step);
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }

    /// Whether the active secret was enrolled before anybody had shown that the account's address is theirs.
    pub async fn is_of_nobody_known(&mut self, user: UserId) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("totp.is_of_nobody_known")?;
        call.run(sqlx::query_scalar(OF_NOBODY_KNOWN).bind(tenant.as_str()).bind(user.0).fetch_one(connection))
            .await
    }

    /// Removes the active secret.
    pub async fn delete(&mut self, user: UserId) -> Result<(), Error> {
        self.of_user("totp.delete", DELETE, user).await
    }

    /// Keeps a new secret until its first code, in place of the one that waits.
    pub async fn enrol(&mut self, user: UserId, enrolment: &Enrolment) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("totp.enrol")?;
        let query = sqlx::query(ENROL)
            .bind(tenant.as_str())
            .bind(user.0)
            .bind(enrolment.id.0)
            .bind(enrolment.secret.as_str())
            .bind(enrolment.replaces.map(|id| id.0))
            .bind(to_db(enrolment.expires_at));
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// The secret that waits at `now`, unless too many wrong codes were tried.
    pub async fn find_enrolment(&mut self, user: UserId, now: Timestamp) -> Result<Option<Enrolment>, Error> {
        let (connection, tenant, call) = self.0.call("totp.find_enrolment")?;
        let query = sqlx::query_as(FIND_ENROLMENT)
            .bind(tenant.as_str())
            .bind(user.0)
            .bind(to_db(now))
            .bind(i32::try_from(MAX_WRONG_CODES).unwrap_or(i32::MAX));
        let row: Option<EnrolmentRow> = call.run(query.fetch_optional(connection)).await?;
        Ok(row.map(|row| Enrolment {
            id: FactorId(row.id),
            secret: SealedSecret::new(row.secret),
            replaces: row.replaces.map(FactorId),
            expires_at: from_db(row.expires_at),
        }))
    }

    /// Counts a wrong code against the secret that waits.
    pub async fn count_wrong(&mut self, user: UserId, id: FactorId) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("totp.count_wrong")?;
        let query = sqlx::query(COUNT_WRONG).bind(tenant.as_str()).bind(user.0).bind(id.0);
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// Removes the secret that waits.
    pub async fn delete_enrolment(&mut self, user: UserId) -> Result<(), Error> {
        self.of_user("totp.delete_enrolment", DELETE_ENROLMENT, user).await
    }

    async fn of_user(
        &mut self,
        name: &'static str,
        statement: &'static str,
        user: UserId,
    ) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call(name)?;
        call.run(sqlx::query(statement).bind(tenant.as_str()).bind(user.0).execute(connection)).await?;
        Ok(())
    }
}
