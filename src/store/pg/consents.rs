//! Consents in PostgreSQL (EP120-EP124).

use hellojohn_control::{ClientId, ScopeName, Timestamp};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{from_db, to_db};
use crate::domain::consent::Consent;
use crate::domain::user::UserId;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The consents of the unit of work's tenant.
#[derive(Debug)]
pub struct Consents<'a>(pub(in crate::store) &'a mut UnitOfWork);

/// Whose consents are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentsOf {
    /// Everybody's.
    Tenant,
    /// A person's.
    User(UserId),
    /// Those for a client's document.
    Client(Uuid),
}

macro_rules! columns {
    () => {
        "user_id, client_uuid, client_id, scopes, granted_at, updated_at, revoked_at"
    };
}

// The account is looked at and kept from being deleted in the same statement. What was revoked is not revived: only what is
// consented to now counts.
const UPSERT: &str = concat!(
    "INSERT INTO consents AS c (tenant, user_id, client_uuid, client_id, scopes, granted_at, updated_at) \
     SELECT $1, id, $3, $4, $5, $6, $6 FROM users WHERE tenant = $1 AND id = $2 FOR KEY SHARE \
     ON CONFLICT (tenant, user_id, client_uuid) DO UPDATE SET \
        scopes = CASE WHEN c.revoked_at IS NULL THEN \
            ARRAY(SELECT DISTINCT s COLLATE \"C\" FROM unnest(c.scopes || EXCLUDED.scopes) AS s ORDER BY 1) \
            ELSE EXCLUDED.scopes END, \
        granted_at = CASE WHEN c.revoked_at IS NULL THEN c.granted_at ELSE EXCLUDED.granted_at END, \
        updated_at = EXCLUDED.updated_at, revoked_at = NULL RETURNING ",
    columns!()
);

const OF_TENANT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM consents WHERE tenant = $1 AND (user_id, client_uuid) > ($2, $3) ORDER BY user_id, client_uuid LIMIT $4"
);

const OF_USER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM consents WHERE tenant = $1 AND user_id = $5 AND (user_id, client_uuid) > ($2, $3) \
      ORDER BY user_id, client_uuid LIMIT $4"
);

const OF_CLIENT: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM consents WHERE tenant = $1 AND client_uuid = $5 AND (user_id, client_uuid) > ($2, $3) \
      ORDER BY user_id, client_uuid LIMIT $4"
);

const FIND: &str =
    concat!("SELECT ", columns!(), " FROM consents WHERE tenant = $1 AND user_id = $2 AND client_uuid = $3");

// By the client's name: also a consent to a client that was deleted can be revoked.
const REVOKE: &str = "UPDATE consents SET revoked_at = $4, updated_at = $4 \
    WHERE tenant = $1 AND user_id = $2 AND client_id = $3 AND revoked_at IS NULL";

const DELETE: &str = "DELETE FROM consents WHERE tenant = $1 AND user_id = $2 AND client_id = $3";

const IN_USE: &str = "SELECT s FROM consents CROSS JOIN LATERAL unnest(scopes) AS s \
    WHERE tenant = $1 AND revoked_at IS NULL AND scopes && $2 AND s = ANY($2) LIMIT 1";

#[derive(FromRow)]
struct Row {
    user_id: Uuid,
    client_uuid: Uuid,
    client_id: String,
    scopes: Vec<String>,
    granted_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
}

impl Row {
    fn read(self, name: &'static str) -> Result<Consent, Error> {
        let bad =
            |column: &str, why: String| Error::internal(name, format!("column consents.{column}: {why}"));
        let scopes = self.scopes.iter().map(|scope| ScopeName::parse(scope));
        Ok(Consent {
            user_id: UserId(self.user_id),
            client_uuid: self.client_uuid,
            client_id: ClientId::parse(&self.client_id).map_err(|why| bad("client_id", why.to_string()))?,
            scopes: scopes.collect::<Result<_, _>>().map_err(|why| bad("scopes", why.to_string()))?,
            granted_at: from_db(self.granted_at),
            updated_at: from_db(self.updated_at),
            revoked_at: self.revoked_at.map(from_db),
        })
    }
}

fn names(scopes: &[ScopeName]) -> Vec<&str> {
    scopes.iter().map(ScopeName::as_str).collect()
}

impl Consents<'_> {
    /// Adds the scopes to what the person lets the client have, and gives what that is then; `None` without such an account.
    pub async fn upsert(
        &mut self,
        user: UserId,
        client: (Uuid, &ClientId),
        scopes: &[ScopeName],
        now: Timestamp,
    ) -> Result<Option<Consent>, Error> {
        const NAME: &str = "consents.upsert";
        let (connection, tenant, call) = self.0.call(NAME)?;
        let query = sqlx::query_as::<_, Row>(UPSERT)
            .bind(tenant.as_str())
            .bind(user.0)
            .bind(client.0)
            .bind(client.1.as_str())
            .bind(names(scopes))
            .bind(to_db(now));
        call.run(query.fetch_optional(connection)).await?.map(|row| row.read(NAME)).transpose()
    }

    /// What the person lets the client's document have, or let it once.
    pub async fn find(&mut self, user: UserId, client: Uuid) -> Result<Option<Consent>, Error> {
        const NAME: &str = "consents.find";
        let (connection, tenant, call) = self.0.call(NAME)?;
        let query = sqlx::query_as::<_, Row>(FIND).bind(tenant.as_str()).bind(user.0).bind(client);
        call.run(query.fetch_optional(connection)).await?.map(|row| row.read(NAME)).transpose()
    }

    /// At most `limit` consents, revoked ones too, by account and client document, after `after`.
    pub async fn list(
        &mut self,
        of: ConsentsOf,
        after: Option<(UserId, Uuid)>,
        limit: usize,
    ) -> Result<Vec<Consent>, Error> {
        const NAME: &str = "consents.list";
        let (statement, whose) = match of {
            ConsentsOf::Tenant => (OF_TENANT, None),
            ConsentsOf::User(user) => (OF_USER, Some(user.0)),
            ConsentsOf::Client(client) => (OF_CLIENT, Some(client)),
        };
        let (user, client) = after.unwrap_or((UserId(Uuid::nil()), Uuid::nil()));
        let (connection, tenant, call) = self.0.call(NAME)?;
        let query = sqlx::query_as::<_, Row>(statement)
            .bind(tenant.as_str())
            .bind(user.0)
            .bind(client)
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let query = match whose {
            Some(whose) => query.bind(whose),
            None => query,
        };
        let rows = call.run(query.fetch_all(connection)).await?;
        rows.into_iter().map(|row| row.read(NAME)).collect()
    }

    /// Revokes what the person lets the client have; whether there was anything.
    pub async fn revoke(&mut self, user: UserId, client: &ClientId, now: Timestamp) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("consents.revoke")?;
        let query =
            sqlx::query(REVOKE).bind(tenant.as_str()).bind(user.0).bind(client.as_str()).bind(to_db(now));
        Ok(call.run(query.execute(connection)).await?.rows_affected() > 0)
    }

    /// Forgets that the person ever let the client have anything; whether there was a row.
    pub async fn delete(&mut self, user: UserId, client: &ClientId) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("consents.delete")?;
        let query = sqlx::query(DELETE).bind(tenant.as_str()).bind(user.0).bind(client.as_str());
        Ok(call.run(query.execute(connection)).await?.rows_affected() > 0)
    }

    /// One of `scopes` that somebody lets a client have now, if there is one.
    pub async fn in_use(&mut self, scopes: &[ScopeName]) -> Result<Option<String>, Error> {
        let (connection, tenant, call) = self.0.call("consents.in_use")?;
        let query = sqlx::query_scalar(IN_USE).bind(tenant.as_str()).bind(names(scopes));
        call.run(query.fetch_optional(connection)).await
    }
}
