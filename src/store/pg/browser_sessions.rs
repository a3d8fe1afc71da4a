//! Sessions of browsers in PostgreSQL, by the hash of what the cookie holds (spec §13.8; S77, S80).
//!
//! Order of locks: account, tokens of mailed links, families of tokens, then these. The statements that end many of them are
//! run by `RefreshTokens` with those that revoke families.

use hellojohn_control::{ClientId, Slug, Timestamp};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{from_db, to_db};
use crate::domain::browser_session::{BrowserSession, ClientRef};
use crate::domain::refresh_token::{FamilyId, RevocationReason, TokenHash};
use crate::domain::user::{UserId, UserStatus};
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The browser sessions of the unit of work's tenant.
#[derive(Debug)]
pub struct BrowserSessions<'a>(pub(in crate::store) &'a mut UnitOfWork);

/// A session that was not ended, and how its account stands. Neither is judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The session.
    pub session: BrowserSession,
    /// What an administrator decided about the account.
    pub status: UserStatus,
}

const INSERT: &str = "INSERT INTO browser_sessions (tenant, id, token_hash, user_id, client_uuid, client_id, amr, \
    auth_time, created_at, expires_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9)";

const FIND: &str = "SELECT b.id, b.user_id, b.client_uuid, b.client_id, b.amr, b.auth_time, b.created_at, \
    b.expires_at, u.status FROM browser_sessions b JOIN users u ON u.tenant = b.tenant AND u.id = b.user_id \
    WHERE b.tenant = $1 AND b.token_hash = $2 AND b.revoked_at IS NULL AND b.expires_at > $3";

// Held until the end of the unit of work: a logout at this moment waits, and finds what was made in the meantime.
const FIND_LIVE: &str = "SELECT b.id, b.user_id, b.client_uuid, b.client_id, b.amr, b.auth_time, b.created_at, \
    b.expires_at, u.status FROM browser_sessions b JOIN users u ON u.tenant = b.tenant AND u.id = b.user_id \
    WHERE b.tenant = $1 AND b.id = $2 AND b.revoked_at IS NULL AND b.expires_at > $3 FOR SHARE OF b";

const TOUCH: &str = "UPDATE browser_sessions SET last_used_at = $3 \
    WHERE tenant = $1 AND id = $2 AND last_used_at <= $4";

const END: &str = "UPDATE browser_sessions SET revoked_at = $3, revoke_reason = $4 \
    WHERE tenant = $1 AND token_hash = $2 AND revoked_at IS NULL AND expires_at > $3 RETURNING id, user_id";

pub(super) const END_ONE: &str = "UPDATE browser_sessions SET revoked_at = $4, revoke_reason = $5 \
    WHERE tenant = $1 AND user_id = $2 AND id = $3 AND revoked_at IS NULL AND expires_at > $4";

// Whoever ends several locks them by id, like families, so that nobody waits in a circle.
pub(super) const END_OF_USER: &str = "UPDATE browser_sessions SET revoked_at = $3, revoke_reason = $4 \
    WHERE tenant = $1 AND id IN (SELECT id FROM browser_sessions \
        WHERE tenant = $1 AND user_id = $2 AND revoked_at IS NULL ORDER BY id FOR UPDATE)";

pub(super) const END_OF_PAIR: &str = "UPDATE browser_sessions SET revoked_at = $4, revoke_reason = $5 \
    WHERE tenant = $1 AND id IN (SELECT id FROM browser_sessions \
        WHERE tenant = $1 AND user_id = $2 AND client_id = $3 AND revoked_at IS NULL ORDER BY id FOR UPDATE)";

// In portions and in one order, like those of families.
pub(super) const END_BY_CLIENT: &str = "UPDATE browser_sessions SET revoked_at = $3, revoke_reason = $4 \
    WHERE tenant = $1 AND id IN (SELECT id FROM browser_sessions \
        WHERE tenant = $1 AND client_uuid = $2 AND revoked_at IS NULL ORDER BY id LIMIT 5000 FOR UPDATE)";

pub(super) const END_BY_TENANT: &str = "UPDATE browser_sessions SET revoked_at = $2, revoke_reason = $3 \
    WHERE tenant = $1 AND id IN (SELECT id FROM browser_sessions \
        WHERE tenant = $1 AND revoked_at IS NULL ORDER BY id LIMIT 5000 FOR UPDATE)";

#[derive(FromRow)]
struct Row {
    id: Uuid,
    user_id: Uuid,
    client_uuid: Uuid,
    client_id: Option<String>,
    amr: Vec<String>,
    auth_time: OffsetDateTime,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    status: String,
}

impl Row {
    fn read(self, name: &'static str, tenant: Slug) -> Result<Found, Error> {
        let bad = |column: &str, why: &dyn std::fmt::Display| {
            Error::internal(name, format!("column browser_sessions.{column}: {why}"))
        };
        let client_id = self.client_id.as_deref().map(ClientId::parse).transpose();
        let client_id = client_id.map_err(|why| bad("client_id", &why))?;
        let session = BrowserSession {
            id: FamilyId(self.id),
            tenant,
            user_id: UserId(self.user_id),
            client: client_id.map(|client_id| ClientRef { uuid: self.client_uuid, client_id }),
            amr: self.amr,
            auth_time: from_db(self.auth_time),
            created_at: from_db(self.created_at),
            expires_at: from_db(self.expires_at),
        };
        let status = self.status.parse().map_err(|why| bad("status", &why))?;
        Ok(Found { session, status })
    }
}

impl BrowserSessions<'_> {
    /// Starts a session that a cookie of this hash stands for. It must belong to the unit of work's tenant.
    pub async fn insert(&mut self, hash: &TokenHash, session: &BrowserSession) -> Result<(), Error> {
        const NAME: &str = "browser_sessions.insert";
        let (connection, tenant, call) = self.0.call(NAME)?;
        if session.tenant != *tenant {
            return Err(Error::internal(NAME, "a session of another tenant"));
        }
        let client = session.client.as_ref();
        let query = sqlx::query(INSERT)
            .bind(tenant.as_str())
            .bind(session.id.0)
            .bind(hash.0.as_slice())
            .bind(session.user_id.0)
            .bind(client.map_or(Uuid::nil(), |client| client.uuid))
            .bind(client.map(|client| client.client_id.as_str()))
            .bind(&session.amr)
            .bind(to_db(session.auth_time))
            .bind(to_db(session.created_at))
            .bind(to_db(session.expires_at));
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// The session that the cookie stands for, if it was not ended and lives at `now`.
    pub async fn find(&mut self, hash: &TokenHash, now: Timestamp) -> Result<Option<Found>, Error> {
        const NAME: &str = "browser_sessions.find";
        let (connection, tenant, call) = self.0.call(NAME)?;
        let tenant = tenant.clone();
        let query = sqlx::query_as(FIND).bind(tenant.as_str()).bind(hash.0.as_slice()).bind(to_db(now));
        let row: Option<Row> = call.run(query.fetch_optional(connection)).await?;
        row.map(|row| row.read(NAME, tenant)).transpose()
    }

    /// The session, if it was not ended and lives at `now`. Nobody ends it until the unit of work is over.
    pub async fn find_live(&mut self, id: FamilyId, now: Timestamp) -> Result<Option<Found>, Error> {
        const NAME: &str = "browser_sessions.find_live";
        let (connection, tenant, call) = self.0.call(NAME)?;
        let tenant = tenant.clone();
        let query = sqlx::query_as(FIND_LIVE).bind(tenant.as_str()).bind(id.0).bind(to_db(now));
        let row: Option<Row> = call.run(query.fetch_optional(connection)).await?;
        row.map(|row| row.read(NAME, tenant)).transpose()
    }

    /// Notes a use at `now`, if the last one that is noted was at `before` or earlier.
    pub async fn touch(&mut self, id: FamilyId, now: Timestamp, before: Timestamp) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("browser_sessions.touch")?;
        let query = sqlx::query(TOUCH).bind(tenant.as_str()).bind(id.0).bind(to_db(now)).bind(to_db(before));
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// Ends the session that the cookie stands for; which and whose it was, if it was live at `now`.
    pub async fn end(
        &mut self,
        hash: &TokenHash,
        now: Timestamp,
        reason: RevocationReason,
    ) -> Result<Option<(FamilyId, UserId)>, Error> {
        let (connection, tenant, call) = self.0.call("browser_sessions.end")?;
        let query = sqlx::query_as(END)
            .bind(tenant.as_str())
            .bind(hash.0.as_slice())
            .bind(to_db(now))
            .bind(reason.as_str());
        let row: Option<(Uuid, Uuid)> = call.run(query.fetch_optional(connection)).await?;
        Ok(row.map(|(id, user)| (FamilyId(id), UserId(user))))
    }
}
