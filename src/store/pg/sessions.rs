//! The live sessions of an account, as its owner or an administrator looks at them. A session is a family of
//! refresh tokens (spec §13.11) or that of a browser (spec §13.8).

use hellojohn_control::{ClientId, Timestamp};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::browser_sessions;
use super::rows::{from_db, to_db};
use crate::domain::refresh_token::{FamilyId, RevocationReason, Session, SessionKind};
use crate::domain::user::UserId;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The sessions of the unit of work's tenant.
#[derive(Debug)]
pub struct Sessions<'a>(pub(in crate::store) &'a mut UnitOfWork);

// The newest token of a session was made at its last refresh.
const OF_USER: &str = "SELECT false AS browser, f.id, f.client_id, f.amr, f.created_at, f.expires_at, COALESCE( \
        (SELECT max(t.created_at) FROM refresh_tokens t WHERE t.tenant = f.tenant AND t.family_id = f.id), \
        f.created_at) AS last_used_at \
    FROM token_families f \
    WHERE f.tenant = $1 AND f.user_id = $2 AND f.revoked_at IS NULL AND f.expires_at > $3 \
        AND ($4::uuid IS NULL OR f.id > $4) \
    UNION ALL SELECT true, b.id, b.client_id, b.amr, b.created_at, b.expires_at, b.last_used_at \
    FROM browser_sessions b \
    WHERE b.tenant = $1 AND b.user_id = $2 AND b.revoked_at IS NULL AND b.expires_at > $3 \
        AND ($4::uuid IS NULL OR b.id > $4) \
    ORDER BY id LIMIT $5";

const END: &str = "UPDATE token_families SET revoked_at = $4, revoke_reason = $5 \
    WHERE tenant = $1 AND user_id = $2 AND id = $3 AND revoked_at IS NULL AND expires_at > $4";

#[derive(FromRow)]
struct Row {
    browser: bool,
    id: Uuid,
    client_id: Option<String>,
    amr: Vec<String>,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    last_used_at: OffsetDateTime,
}

impl Sessions<'_> {
    /// At most `limit` sessions of the account that are live at `now`, by identifier, after `after`.
    pub async fn of_user(
        &mut self,
        user: UserId,
        now: Timestamp,
        after: Option<FamilyId>,
        limit: usize,
    ) -> Result<Vec<Session>, Error> {
        const NAME: &str = "sessions.of_user";
        let (connection, tenant, call) = self.0.call(NAME)?;
        let query = sqlx::query_as(OF_USER)
            .bind(tenant.as_str())
            .bind(user.0)
            .bind(to_db(now))
            .bind(after.map(|after| after.0))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows: Vec<Row> = call.run(query.fetch_all(connection)).await?;
        rows.into_iter()
            .map(|row| {
                let client_id = row.client_id.as_deref().map(ClientId::parse).transpose();
                Ok(Session {
                    id: FamilyId(row.id),
                    kind: if row.browser { SessionKind::Browser } else { SessionKind::Tokens },
                    client_id: client_id
                        .map_err(|why| Error::internal(NAME, format!("column client_id: {why}")))?,
                    amr: row.amr,
                    created_at: from_db(row.created_at),
                    last_used_at: from_db(row.last_used_at),
                    expires_at: from_db(row.expires_at),
                })
            })
            .collect()
    }

    /// Ends a session of the account; false if it has no such one that is live at `now`.
    pub async fn end(
        &mut self,
        user: UserId,
        session: FamilyId,
        now: Timestamp,
        reason: RevocationReason,
    ) -> Result<bool, Error> {
        for statement in [END, browser_sessions::END_ONE] {
            let (connection, tenant, call) = self.0.call("sessions.end")?;
            let query = sqlx::query(statement)
                .bind(tenant.as_str())
                .bind(user.0)
                .bind(session.0)
                .bind(to_db(now))
                .bind(reason.as_str());
            if call.run(query.execute(connection)).await?.rows_affected() == 1 {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
