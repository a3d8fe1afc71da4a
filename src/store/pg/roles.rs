//! Roles of people and the permissions of roles (EP125-EP128).

use hellojohn_control::Timestamp;

use super::rows::to_db;
use crate::domain::role::{Permission, Role};
use crate::domain::user::UserId;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The roles of the unit of work's tenant.
#[derive(Debug)]
pub struct Roles<'a>(pub(in crate::store) &'a mut UnitOfWork);

// Whoever changes what an account or a role has, locks it: limits are counted under the lock. Accounts have a row; roles are
// names, for which an advisory lock stands, until the commit.
const LOCK_USER: &str = "SELECT 1 FROM users WHERE tenant = $1 AND id = $2 FOR NO KEY UPDATE";
const LOCK_ROLE: &str =
    "SELECT 1 FROM pg_advisory_xact_lock(hashtextextended('role:' || $1 || ':' || $2, 0))";

const OF_USER: &str =
    "SELECT role FROM user_roles WHERE tenant = $1 AND user_id = $2 ORDER BY role COLLATE \"C\"";
const GRANT: &str = "INSERT INTO user_roles (tenant, user_id, role, granted_at) \
    SELECT $1, $2, role, $4 FROM unnest($3::text[]) AS role ON CONFLICT DO NOTHING";
const WITHDRAW: &str = "DELETE FROM user_roles WHERE tenant = $1 AND user_id = $2 AND role = ANY($3)";

const OF_ROLE: &str = "SELECT permission FROM role_permissions WHERE tenant = $1 AND role = $2 ORDER BY permission COLLATE \"C\"";
const ALLOW: &str = "INSERT INTO role_permissions (tenant, role, permission, granted_at) \
    SELECT $1, $2, permission, $4 FROM unnest($3::text[]) AS permission ON CONFLICT DO NOTHING";
const DISALLOW: &str =
    "DELETE FROM role_permissions WHERE tenant = $1 AND role = $2 AND permission = ANY($3)";

const PERMISSIONS_OF_USER: &str = "SELECT DISTINCT p.permission COLLATE \"C\" AS permission FROM user_roles r \
    JOIN role_permissions p ON p.tenant = r.tenant AND p.role = r.role \
    WHERE r.tenant = $1 AND r.user_id = $2 ORDER BY permission LIMIT $3";

impl Roles<'_> {
    /// The account's roles, by name.
    pub async fn of_user(&mut self, user: UserId) -> Result<Vec<Role>, Error> {
        const NAME: &str = "roles.of_user";
        let (connection, tenant, call) = self.0.call(NAME)?;
        let query = sqlx::query_scalar(OF_USER).bind(tenant.as_str()).bind(user.0);
        let rows: Vec<String> = call.run(query.fetch_all(connection)).await?;
        rows.iter()
            .map(|row| Role::parse(row).map_err(|why| Error::internal(NAME, why.to_string())))
            .collect()
    }

    /// What the account may do by all its roles, by name; at most `limit`.
    pub async fn permissions_of_user(
        &mut self,
        user: UserId,
        limit: usize,
    ) -> Result<Vec<Permission>, Error> {
        const NAME: &str = "roles.permissions_of_user";
        let (connection, tenant, call) = self.0.call(NAME)?;
        let query = sqlx::query_scalar(PERMISSIONS_OF_USER)
            .bind(tenant.as_str())
            .bind(user.0)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let rows: Vec<String> = call.run(query.fetch_all(connection)).await?;
        rows.iter()
            .map(|row| Permission::parse(row).map_err(|why| Error::internal(NAME, why.to_string())))
            .collect()
    }

    /// Gives the account roles and takes others from it, and gives those that it has then; `None` without such an account.
    /// The account's row is locked until the unit of work ends.
    pub async fn change_user(
        &mut self,
        user: UserId,
        add: &[Role],
        remove: &[Role],
        now: Timestamp,
    ) -> Result<Option<Vec<Role>>, Error> {
        let (connection, tenant, call) = self.0.call("roles.lock_user")?;
        let query = sqlx::query(LOCK_USER).bind(tenant.as_str()).bind(user.0);
        if call.run(query.fetch_optional(connection)).await?.is_none() {
            return Ok(None);
        }
        let names = |roles: &[Role]| roles.iter().map(|role| role.as_str().to_owned()).collect::<Vec<_>>();
        let (connection, tenant, call) = self.0.call("roles.withdraw")?;
        let query = sqlx::query(WITHDRAW).bind(tenant.as_str()).bind(user.0).bind(names(remove));
        call.run(query.execute(connection)).await?;
        let (connection, tenant, call) = self.0.call("roles.grant")?;
        let query = sqlx::query(GRANT).bind(tenant.as_str()).bind(user.0).bind(names(add)).bind(to_db(now));
        call.run(query.execute(connection)).await?;
        self.of_user(user).await.map(Some)
    }

    /// What a role may do, by name.
    pub async fn of_role(&mut self, role: &Role) -> Result<Vec<Permission>, Error> {
        const NAME: &str = "roles.of_role";
        let (connection, tenant, call) = self.0.call(NAME)?;
        let query = sqlx::query_scalar(OF_ROLE).bind(tenant.as_str()).bind(role.as_str());
        let rows: Vec<String> = call.run(query.fetch_all(connection)).await?;
        rows.iter()
            .map(|row| Permission::parse(row).map_err(|why| Error::internal(NAME, why.to_string())))
            .collect()
    }

    /// Gives a role permissions and takes others from it, and gives those that it has then.
    pub async fn change_role(
        &mut self,
        role: &Role,
        add: &[Permission],
        remove: &[Permission],
        now: Timestamp,
    ) -> Result<Vec<Permission>, Error> {
        // What a role may do hangs on no account.
        self.0.hold_life().await?;
        let (connection, tenant, call) = self.0.call("roles.lock_role")?;
        let query = sqlx::query(LOCK_ROLE).bind(tenant.as_str()).bind(role.as_str());
        call.run(query.execute(connection)).await?;
        let names =
            |list: &[Permission]| list.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>();
        let (connection, tenant, call) = self.0.call("roles.disallow")?;
        let query = sqlx::query(DISALLOW).bind(tenant.as_str()).bind(role.as_str()).bind(names(remove));
        call.run(query.execute(connection)).await?;
        let (connection, tenant, call) = self.0.call("roles.allow")?;
        let query =
            sqlx::query(ALLOW).bind(tenant.as_str()).bind(role.as_str()).bind(names(add)).bind(to_db(now));
        call.run(query.execute(connection)).await?;
        self.of_role(role).await
    }
}
