//! Accounts in PostgreSQL.

use std::time::Duration;

use hellojohn_control::Timestamp;
use sqlx::types::Json;
use uuid::Uuid;

use super::rows::{UserRow, from_db, to_db};
use crate::domain::email::Email;
use crate::domain::user::{PasswordHash, User, UserId, name_key};
use crate::store::error::{Context, Error};
use crate::store::ports::UnitOfWork;

/// The accounts of the unit of work's tenant.
#[derive(Debug)]
pub struct Users<'a>(pub(in crate::store) &'a mut UnitOfWork);

/// Where an account stands after one more failed login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedLogins {
    /// Failures in a row.
    pub count: u32,
    /// Until when the account is held back.
    pub locked_until: Option<Timestamp>,
}

macro_rules! user_columns {
    () => {
        "id, email, password_hash, given_name, family_name, picture, locale, custom, status, email_verified, sys_admin, \
         failed_logins, locked_until, created_at, updated_at, last_login_at"
    };
}
pub(super) use user_columns;

macro_rules! select {
    ($condition:literal) => {
        concat!("SELECT ", user_columns!(), " FROM users WHERE ", $condition)
    };
}

const FIND_BY_ID: &str = select!("tenant = $1 AND id = $2");
// As an update of the row would lock it: other tables may go on referring to it.
const FIND_FOR_UPDATE: &str = select!("tenant = $1 AND id = $2 FOR NO KEY UPDATE");
const FIND_BY_EMAIL: &str = select!("tenant = $1 AND email_key = $2");

macro_rules! insert {
    ($conflict:literal) => {
        concat!(
            "INSERT INTO users (tenant, id, email, email_key, password_hash, given_name, family_name, picture, ",
            "locale, custom, status, email_verified, failed_logins, locked_until, created_at, updated_at, ",
            "last_login_at, sys_admin, given_key, family_key) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, ",
            "$12, $13, $14, $15, $16, $17, $18, $19, $20)",
            $conflict
        )
    };
}

const INSERT: &str = insert!("");
const INSERT_UNLESS_TAKEN: &str = insert!(" ON CONFLICT (tenant, email_key) DO NOTHING");

// The version is the moment of the last change; it always moves, also within one millisecond.
const UPDATE: &str = "UPDATE users SET email = $3, email_key = $4, given_name = $5, family_name = $6, \
    picture = $7, locale = $8, custom = $9, status = $10, email_verified = $11, given_key = $14, family_key = $15, \
    updated_at = GREATEST($13, updated_at + interval '1 millisecond') \
    WHERE tenant = $1 AND id = $2 AND updated_at = $12 RETURNING updated_at";

// One statement, so that parallel failures all count. The first failure after a hold begins a new count, and a
// failure within a hold does not lengthen it: nobody can be kept out for ever (S61).
const FAIL: &str = "UPDATE users SET \
    failed_logins = CASE WHEN locked_until <= $3 THEN 1 ELSE LEAST(failed_logins, 2147483646) + 1 END, \
    locked_until = CASE WHEN locked_until > $3 THEN locked_until \
        WHEN (CASE WHEN locked_until <= $3 THEN 1 ELSE LEAST(failed_logins, 2147483646) + 1 END) >= $4 THEN $5 \
        ELSE NULL END \
    WHERE tenant = $1 AND id = $2 RETURNING failed_logins, locked_until";

const SUCCEED: &str = "UPDATE users SET failed_logins = 0, locked_until = NULL, last_login_at = $4 \
    WHERE tenant = $1 AND id = $2 AND status = 'active' AND password_hash IS NOT DISTINCT FROM $3 \
    AND (locked_until IS NULL OR locked_until <= $4)";

const DELETE: &str = "DELETE FROM users WHERE tenant = $1 AND id = $2 AND status = 'active' \
    AND password_hash IS NOT DISTINCT FROM $3 AND (locked_until IS NULL OR locked_until <= $4)";

const REPLACE_PASSWORD_HASH: &str = "UPDATE users SET password_hash = $4 \
    WHERE tenant = $1 AND id = $2 AND password_hash IS NOT DISTINCT FROM $3";

impl Users<'_> {
    /// The account with this identifier.
    pub async fn find_by_id(&mut self, id: UserId) -> Result<Option<User>, Error> {
        let (connection, tenant, call) = self.0.call("users.find_by_id")?;
        let row: Option<UserRow> = call
            .run(sqlx::query_as(FIND_BY_ID).bind(tenant.as_str()).bind(id.0).fetch_optional(connection))
            .await?;
        row.map(User::try_from).transpose()
    }

    /// As [`Users::find_by_id`], and the account's row is locked until the unit of work ends: whoever changes the
    /// account, its password or its second factors meanwhile waits, or was waited for.
    pub async fn find_for_update(&mut self, id: UserId) -> Result<Option<User>, Error> {
        let (connection, tenant, call) = self.0.call("users.find_for_update")?;
        let row: Option<UserRow> = call
            .run(sqlx::query_as(FIND_FOR_UPDATE).bind(tenant.as_str()).bind(id.0).fetch_optional(connection))
            .await?;
        row.map(User::try_from).transpose()
    }

    /// The account with this address, whatever its letter case.
    pub async fn find_by_email(&mut self, email: &Email) -> Result<Option<User>, Error> {
        let (connection, tenant, call) = self.0.call("users.find_by_email")?;
        let row: Option<UserRow> = call
            .run(
                sqlx::query_as(FIND_BY_EMAIL)
                    .bind(tenant.as_str())
                    .bind(email.key())
                    .fetch_optional(connection),
            )
            .await?;
        row.map(User::try_from).transpose()
    }

    /// Adds an account. `EmailTaken` if the tenant has one with this address; the database decides, so of two
    /// registrations at the same moment one wins.
    pub async fn insert(&mut self, user: &User) -> Result<(), Error> {
        self.insert_with(INSERT, user).await?;
        Ok(())
    }

    /// As [`Users::insert`], but false if the address is taken, and the unit of work goes on.
    pub async fn insert_unless_taken(&mut self, user: &User) -> Result<bool, Error> {
        self.insert_with(INSERT_UNLESS_TAKEN, user).await
    }

    async fn insert_with(&mut self, statement: &'static str, user: &User) -> Result<bool, Error> {
        let failed_logins = i32::try_from(user.failed_logins)
            .map_err(|_| Error::internal("users.insert", "failed_logins"))?;
        self.0.hold_life().await?;
        let (connection, tenant, call) = self.0.call("users.insert")?;
        let query = sqlx::query(statement)
            .bind(tenant.as_str())
            .bind(user.id.0)
            .bind(user.email.as_str())
            .bind(user.email.key())
            .bind(user.password_hash.as_ref().map(PasswordHash::as_str))
            .bind(&user.given_name)
            .bind(&user.family_name)
            .bind(&user.picture)
            .bind(&user.locale)
            .bind(Json(&user.custom))
            .bind(user.status.as_str())
            .bind(user.email_verified)
            .bind(failed_logins)
            .bind(user.locked_until.map(to_db))
            .bind(to_db(user.created_at))
            .bind(to_db(user.updated_at))
            .bind(user.last_login_at.map(to_db))
            .bind(user.sys_admin)
            .bind(user.given_name.as_deref().map(name_key))
            .bind(user.family_name.as_deref().map(name_key));
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }

    /// Writes address, names, picture, locale, custom attributes, status and verification of an account that was
    /// read before, and returns its new `updated_at`. `Conflict` if it was changed or deleted since;
    /// `EmailTaken` as for [`Users::insert`]. The password, the login counters
    /// and the administrator's flag are not among them.
    pub async fn update(&mut self, user: &User, now: Timestamp) -> Result<Timestamp, Error> {
        let (connection, tenant, call) = self.0.call("users.update")?;
        let query = sqlx::query_scalar(UPDATE)
            .bind(tenant.as_str())
            .bind(user.id.0)
            .bind(user.email.as_str())
            .bind(user.email.key())
            .bind(&user.given_name)
            .bind(&user.family_name)
            .bind(&user.picture)
            .bind(&user.locale)
            .bind(Json(&user.custom))
            .bind(user.status.as_str())
            .bind(user.email_verified)
            .bind(to_db(user.updated_at))
            .bind(to_db(now))
            .bind(user.given_name.as_deref().map(name_key))
            .bind(user.family_name.as_deref().map(name_key));
        match call.run(query.fetch_optional(connection)).await? {
            Some(updated_at) => Ok(from_db(updated_at)),
            None => {
                Err(Error::Conflict(Context::new("users.update", "changed or deleted since it was read")))
            }
        }
    }

    /// Counts a failed login; the one that makes `max` holds the account back for `hold`. `None` if there is no
    /// such account any more.
    pub async fn record_failed_login(
        &mut self,
        id: UserId,
        now: Timestamp,
        max: u32,
        hold: Duration,
    ) -> Result<Option<FailedLogins>, Error> {
        let (connection, tenant, call) = self.0.call("users.record_failed_login")?;
        let query = sqlx::query_as(FAIL)
            .bind(tenant.as_str())
            .bind(id.0)
            .bind(to_db(now))
            .bind(i32::try_from(max).unwrap_or(i32::MAX))
            .bind(to_db(now.plus(hold)));
        let row: Option<(i32, Option<time::OffsetDateTime>)> =
            call.run(query.fetch_optional(connection)).await?;
        Ok(row.map(|(count, until)| FailedLogins {
            count: u32::try_from(count).unwrap_or(0),
            locked_until: until.map(from_db),
        }))
    }

    /// Records a login with the password whose hash was `verified`, and clears the failures.
    ///
    /// False, and nothing is written, if the account is not the one that was verified any more: another
    /// password, disabled, locked or held back meanwhile. Holds the account's row until the commit, so that a
    /// password change that revokes the account's tokens sees the family that this login starts.
    pub async fn record_login(
        &mut self,
        id: UserId,
        verified: Option<&PasswordHash>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("users.record_login")?;
        let query = sqlx::query(SUCCEED)
            .bind(tenant.as_str())
            .bind(id.0)
            .bind(verified.map(PasswordHash::as_str))
            .bind(to_db(now));
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }

    /// Replaces the password's hash if it still is `expected` (S64: a rehash never undoes a password change).
    pub async fn replace_password_hash(
        &mut self,
        id: UserId,
        expected: Option<&PasswordHash>,
        new: &PasswordHash,
    ) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("users.replace_password_hash")?;
        let query = sqlx::query(REPLACE_PASSWORD_HASH)
            .bind(tenant.as_str())
            .bind::<Uuid>(id.0)
            .bind(expected.map(PasswordHash::as_str))
            .bind(new.as_str());
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }

    /// Removes an account, with its sessions, after the password whose hash was `verified`.
    ///
    /// False, and nothing is removed, if the account is not the one that was verified any more: another password, disabled,
    /// locked or held back meanwhile.
    pub async fn delete(
        &mut self,
        id: UserId,
        verified: Option<&PasswordHash>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("users.delete")?;
        let query = sqlx::query(DELETE)
            .bind(tenant.as_str())
            .bind(id.0)
            .bind(verified.map(PasswordHash::as_str))
            .bind(to_db(now));
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }
}
