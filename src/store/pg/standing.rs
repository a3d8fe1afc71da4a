//! Whether what an access token speaks for is still live: one question, one statement (spec §13.12, S40, S80).

use sqlx::FromRow;
use uuid::Uuid;

use crate::domain::refresh_token::FamilyId;
use crate::domain::role::Role;
use crate::domain::user::{UserId, UserStatus};
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// How token, session and account stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The token itself was denied.
    pub denied: bool,
    /// The session exists, is this account's and was not revoked.
    pub session_live: bool,
    /// Identity of the client document that the session was started for.
    pub client_uuid: Option<Uuid>,
    /// What an administrator decided about the account; `None`: there is none.
    pub status: Option<UserStatus>,
    /// Whether the account is a system administrator.
    pub sys_admin: bool,
    /// Whether it has the role that makes one.
    pub admin_role: bool,
}

#[derive(FromRow)]
struct Row {
    denied: bool,
    session_live: bool,
    client_uuid: Option<Uuid>,
    status: Option<String>,
    sys_admin: bool,
    admin_role: bool,
}

const STANDING: &str = "SELECT \
    EXISTS (SELECT 1 FROM denied_jti WHERE tenant = $1 AND jti = $2) AS denied, \
    f.id IS NOT NULL AND f.revoked_at IS NULL AS session_live, f.client_uuid, u.status, \
    COALESCE(u.sys_admin, false) AS sys_admin, \
    EXISTS (SELECT 1 FROM user_roles WHERE tenant = $1 AND user_id = $4 AND role = $5) AS admin_role \
    FROM (VALUES (1)) AS one \
    LEFT JOIN users u ON u.tenant = $1 AND u.id = $4 \
    LEFT JOIN token_families f ON f.tenant = $1 AND f.id = $3 AND f.user_id = $4";

impl UnitOfWork {
    /// How the access token `jti` of `session` and `user` stands. On an error the caller must refuse it.
    pub async fn standing(&mut self, jti: &str, session: FamilyId, user: UserId) -> Result<Standing, Error> {
        const NAME: &str = "standing";
        let (connection, tenant, call) = self.call(NAME)?;
        let query = sqlx::query_as(STANDING)
            .bind(tenant.as_str())
            .bind(jti)
            .bind(session.0)
            .bind(user.0)
            .bind(Role::ADMIN);
        let row: Row = call.run(query.fetch_one(connection)).await?;
        let status = row.status.map(|status| status.parse::<UserStatus>()).transpose();
        Ok(Standing {
            denied: row.denied,
            session_live: row.session_live,
            client_uuid: row.client_uuid,
            status: status.map_err(|why| Error::internal(NAME, format!("column users.status: {why}")))?,
            sys_admin: row.sys_admin,
            admin_role: row.admin_role,
        })
    }
}
