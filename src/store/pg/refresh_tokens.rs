//! Refresh tokens and their families in PostgreSQL (spec §13.11; S32-S35).
//!
//! Order of locks: family, then token; of several families, by id. A revocation touches the family alone; a rotation holds family and token
//! from the look-up to the commit. So one of two rotations of a token waits for the other and sees its outcome,
//! and a revocation reaches a successor that is just being made.
//!
//! Whatever revokes more than one family ends the browser sessions that it is about as well, after the families, so that no
//! caller can forget them.

use hellojohn_control::{ClientId, ScopeName, Timestamp};
use uuid::Uuid;

use super::browser_sessions;
use super::rows::{FamilyRow, PresentedRow, TokenRow, to_db};
use crate::domain::refresh_token::{
    FamilyId, Overlap, RefreshToken, RefreshTokenId, RevocationReason, TokenFamily, TokenHash,
};
use crate::domain::user::UserId;
use crate::store::error::{Context, Error};
use crate::store::ports::UnitOfWork;

/// The refresh tokens of the unit of work's tenant.
#[derive(Debug)]
pub struct RefreshTokens<'a>(pub(in crate::store) &'a mut UnitOfWork);

/// A token that somebody presented, with its family. Neither is judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The token.
    pub token: RefreshToken,
    /// Its family.
    pub family: TokenFamily,
}

macro_rules! family_columns {
    () => {
        "f.tenant AS f_tenant, f.id AS f_id, f.user_id AS f_user_id, f.client_uuid AS f_client_uuid, \
         f.client_id AS f_client_id, f.amr AS f_amr, f.auth_time AS f_auth_time, f.created_at AS f_created_at, \
         f.expires_at AS f_expires_at, f.revoked_at AS f_revoked_at, f.revoke_reason AS f_revoke_reason, \
         f.grant_type AS f_grant_type, f.browser_session AS f_browser_session, f.resources AS f_resources"
    };
}

macro_rules! token_columns {
    () => {
        "t.id, t.family_id, t.token_hash, t.scope, t.created_at, t.expires_at, t.used_at, t.replaced_by, \
         t.successor_sealed, t.overlap_until"
    };
}

const INSERT_FAMILY: &str = "INSERT INTO token_families (tenant, id, user_id, client_uuid, client_id, amr, \
    auth_time, created_at, expires_at, grant_type, browser_session, resources) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";

const INSERT: &str = "INSERT INTO refresh_tokens (tenant, id, family_id, token_hash, scope, created_at, expires_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";

// Both rows are locked: a waiting rotation re-reads exactly the locked rows when it is let through.
const FIND_BY_HASH_FOR_UPDATE: &str = concat!(
    "SELECT ",
    token_columns!(),
    ", ",
    family_columns!(),
    " FROM refresh_tokens t JOIN token_families f ON f.tenant = t.tenant AND f.id = t.family_id \
     WHERE t.tenant = $1 AND t.token_hash = $2 FOR UPDATE OF f, t"
);

const FIND_BY_HASH: &str = concat!(
    "SELECT ",
    token_columns!(),
    ", ",
    family_columns!(),
    " FROM refresh_tokens t JOIN token_families f ON f.tenant = t.tenant AND f.id = t.family_id \
     WHERE t.tenant = $1 AND t.token_hash = $2"
);

const FIND: &str =
    concat!("SELECT ", token_columns!(), " FROM refresh_tokens t WHERE t.tenant = $1 AND t.id = $2");

const FIND_FAMILY: &str =
    concat!("SELECT ", family_columns!(), " FROM token_families f WHERE f.tenant = $1 AND f.id = $2");

const MARK_USED: &str = "UPDATE refresh_tokens SET used_at = $3, replaced_by = $4, successor_sealed = $5, overlap_until = $6 \
    WHERE tenant = $1 AND id = $2 AND used_at IS NULL";

const REVOKE_FAMILY: &str = "UPDATE token_families SET revoked_at = $3, revoke_reason = $4 \
    WHERE tenant = $1 AND id = $2 AND revoked_at IS NULL";

// Whoever ends several sessions locks them by id and then writes, whatever it finds them by, so that two of them cannot lock
// each other out. Those of a client or a tenant go in portions, each well within the statement time-out.
macro_rules! revoke_several {
    ($now:literal, $reason:literal, $condition:literal) => {
        concat!(
            "WITH locked AS (SELECT id FROM token_families WHERE tenant = $1 AND revoked_at IS NULL",
            $condition,
            " FOR UPDATE) UPDATE token_families f SET revoked_at = ",
            $now,
            ", revoke_reason = ",
            $reason,
            " FROM locked WHERE f.tenant = $1 AND f.id = locked.id"
        )
    };
}

const REVOKE_ALL_OF_USER: &str = revoke_several!("$3", "$4", " AND user_id = $2 ORDER BY id");

const REVOKE_OTHERS_OF_USER: &str = revoke_several!("$3", "$4", " AND user_id = $2 AND id <> $5 ORDER BY id");

const REVOKE_OF_PAIR: &str = revoke_several!("$4", "$5", " AND user_id = $2 AND client_id = $3 ORDER BY id");

const REVOKE_BY_CLIENT: &str = revoke_several!("$3", "$4", " AND client_uuid = $2 ORDER BY id LIMIT 5000");

// What was granted for longer than the browser's session goes on without it (OpenID Connect Core §11).
const REVOKE_OF_BROWSER_SESSION: &str = revoke_several!(
    "$3",
    "$4",
    " AND browser_session = $2 AND NOT EXISTS (SELECT 1 FROM refresh_tokens t WHERE t.tenant = token_families.tenant \
        AND t.family_id = token_families.id AND t.scope @> ARRAY['offline_access']) ORDER BY id"
);

const REVOKE_BY_TENANT: &str = revoke_several!("$2", "$3", " ORDER BY id LIMIT 5000");

impl RefreshTokens<'_> {
    /// Starts a family. It must belong to the unit of work's tenant and not be revoked.
    pub async fn insert_family(&mut self, family: &TokenFamily) -> Result<(), Error> {
        const NAME: &str = "refresh_tokens.insert_family";
        let (connection, tenant, call) = self.0.call(NAME)?;
        if family.tenant != *tenant || family.revoked.is_some() {
            return Err(Error::internal(NAME, "a family of another tenant, or one that is revoked already"));
        }
        let query = sqlx::query(INSERT_FAMILY)
            .bind(tenant.as_str())
            .bind(family.id.0)
            .bind(family.user_id.0)
            .bind(family.client_uuid)
            .bind(family.client_id.as_str())
            .bind(&family.amr)
            .bind(to_db(family.auth_time))
            .bind(to_db(family.created_at))
            .bind(to_db(family.expires_at))
            .bind(family.grant.as_str())
            .bind(family.browser_session.map(|session| session.0))
            .bind(&family.resources);
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// Adds an unused token to a family.
    pub async fn insert(&mut self, token: &RefreshToken) -> Result<(), Error> {
        let scope: Vec<&str> = token.scope.iter().map(ScopeName::as_str).collect();
        let (connection, tenant, call) = self.0.call("refresh_tokens.insert")?;
        let query = sqlx::query(INSERT)
            .bind(tenant.as_str())
            .bind(token.id.0)
            .bind(token.family_id.0)
            .bind(token.token_hash.0.as_slice())
            .bind(scope)
            .bind(to_db(token.created_at))
            .bind(to_db(token.expires_at));
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// The token with this hash and its family, used, expired or revoked as they may be. Both rows are locked
    /// until the unit of work ends.
    pub async fn find_by_hash_for_update(&mut self, hash: &TokenHash) -> Result<Option<Presented>, Error> {
        let (connection, tenant, call) = self.0.call("refresh_tokens.find_by_hash_for_update")?;
        let query = sqlx::query_as(FIND_BY_HASH_FOR_UPDATE).bind(tenant.as_str()).bind(hash.0.as_slice());
        let row: Option<PresentedRow> = call.run(query.fetch_optional(connection)).await?;
        row.map(|row| Ok(Presented { token: row.token.try_into()?, family: row.family.try_into()? }))
            .transpose()
    }

    /// As [`Self::find_by_hash_for_update`], for whoever only looks.
    pub async fn find_by_hash(&mut self, hash: &TokenHash) -> Result<Option<Presented>, Error> {
        let (connection, tenant, call) = self.0.call("refresh_tokens.find_by_hash")?;
        let query = sqlx::query_as(FIND_BY_HASH).bind(tenant.as_str()).bind(hash.0.as_slice());
        let row: Option<PresentedRow> = call.run(query.fetch_optional(connection)).await?;
        row.map(|row| Ok(Presented { token: row.token.try_into()?, family: row.family.try_into()? }))
            .transpose()
    }

    /// A token by its row's identifier: the successor, to see whether it was used.
    pub async fn find(&mut self, id: RefreshTokenId) -> Result<Option<RefreshToken>, Error> {
        let (connection, tenant, call) = self.0.call("refresh_tokens.find")?;
        let row: Option<TokenRow> = call
            .run(sqlx::query_as(FIND).bind(tenant.as_str()).bind(id.0).fetch_optional(connection))
            .await?;
        row.map(RefreshToken::try_from).transpose()
    }

    /// A family by its identifier, the `sid` of an access token.
    pub async fn find_family(&mut self, id: FamilyId) -> Result<Option<TokenFamily>, Error> {
        let (connection, tenant, call) = self.0.call("refresh_tokens.find_family")?;
        let row: Option<FamilyRow> = call
            .run(sqlx::query_as(FIND_FAMILY).bind(tenant.as_str()).bind(id.0).fetch_optional(connection))
            .await?;
        row.map(TokenFamily::try_from).transpose()
    }

    /// Marks a token as exchanged for `successor`, which must have been inserted, and keeps the sealed successor
    /// for the overlap, until a sweep clears it. `Conflict` if it was used before.
    pub async fn mark_used_with_successor(
        &mut self,
        used: RefreshTokenId,
        successor: RefreshTokenId,
        overlap: &Overlap,
        now: Timestamp,
    ) -> Result<(), Error> {
        const NAME: &str = "refresh_tokens.mark_used_with_successor";
        let (connection, tenant, call) = self.0.call(NAME)?;
        let query = sqlx::query(MARK_USED)
            .bind(tenant.as_str())
            .bind(used.0)
            .bind(to_db(now))
            .bind(successor.0)
            .bind(overlap.sealed.as_slice())
            .bind(to_db(overlap.until));
        if call.run(query.execute(connection)).await?.rows_affected() == 1 {
            Ok(())
        } else {
            Err(Error::Conflict(Context::new(NAME, "the token was used before")))
        }
    }

    /// Revokes one family; false if it is unknown or was revoked before.
    pub async fn revoke_family(
        &mut self,
        id: FamilyId,
        now: Timestamp,
        reason: RevocationReason,
    ) -> Result<bool, Error> {
        Ok(self.revoke("refresh_tokens.revoke_family", REVOKE_FAMILY, id.0, now, reason).await? == 1)
    }

    /// Revokes every family and every browser session of an account; how many there were.
    ///
    /// Change the account's row first in the same unit of work: then a login that is under way either is seen
    /// here or sees the change (see `Users::record_login`).
    pub async fn revoke_all_of_user(
        &mut self,
        user: UserId,
        now: Timestamp,
        reason: RevocationReason,
    ) -> Result<u64, Error> {
        let families =
            self.revoke("refresh_tokens.revoke_all_of_user", REVOKE_ALL_OF_USER, user.0, now, reason).await?;
        Ok(families + self.end_browsers_of(user, now, reason).await?)
    }

    /// Revokes every family of an account but one, and every browser session; how many there were. Lock the account's row before, as for
    /// [`RefreshTokens::revoke_all_of_user`].
    pub async fn revoke_others_of_user(
        &mut self,
        user: UserId,
        kept: FamilyId,
        now: Timestamp,
        reason: RevocationReason,
    ) -> Result<u64, Error> {
        let (connection, tenant, call) = self.0.call("refresh_tokens.revoke_others_of_user")?;
        let query = sqlx::query(REVOKE_OTHERS_OF_USER)
            .bind(tenant.as_str())
            .bind(user.0)
            .bind(to_db(now))
            .bind(reason.as_str())
            .bind(kept.0);
        let families = call.run(query.execute(connection)).await?.rows_affected();
        Ok(families + self.end_browsers_of(user, now, reason).await?)
    }

    async fn end_browsers_of(
        &mut self,
        user: UserId,
        now: Timestamp,
        reason: RevocationReason,
    ) -> Result<u64, Error> {
        self.revoke("browser_sessions.end_of_user", browser_sessions::END_OF_USER, user.0, now, reason).await
    }

    /// Revokes every family and browser session of an account at the clients of this name; how many there were.
    pub async fn revoke_of_pair(
        &mut self,
        user: UserId,
        client: &ClientId,
        now: Timestamp,
        reason: RevocationReason,
    ) -> Result<u64, Error> {
        let mut total = 0;
        for statement in [REVOKE_OF_PAIR, browser_sessions::END_OF_PAIR] {
            let (connection, tenant, call) = self.0.call("refresh_tokens.revoke_of_pair")?;
            let query = sqlx::query(statement)
                .bind(tenant.as_str())
                .bind(user.0)
                .bind(client.as_str())
                .bind(to_db(now))
                .bind(reason.as_str());
            total += call.run(query.execute(connection)).await?.rows_affected();
        }
        Ok(total)
    }

    /// Revokes the families that go with the session of a browser; how many there were. Lock the account's row before.
    pub async fn revoke_of_browser_session(
        &mut self,
        session: FamilyId,
        now: Timestamp,
        reason: RevocationReason,
    ) -> Result<u64, Error> {
        const NAME: &str = "refresh_tokens.revoke_of_browser_session";
        self.revoke(NAME, REVOKE_OF_BROWSER_SESSION, session.0, now, reason).await
    }

    /// Revokes every family and browser session of a client's document; how many there were. The nil UUID is that of the
    /// browser sessions that go through no client.
    pub async fn revoke_by_client(
        &mut self,
        client_uuid: Uuid,
        now: Timestamp,
        reason: RevocationReason,
    ) -> Result<u64, Error> {
        let mut total = 0;
        for statement in [REVOKE_BY_CLIENT, browser_sessions::END_BY_CLIENT] {
            loop {
                let some = self
                    .revoke("refresh_tokens.revoke_by_client", statement, client_uuid, now, reason)
                    .await?;
                if some == 0 {
                    break;
                }
                total += some;
            }
        }
        Ok(total)
    }

    /// Revokes every family and browser session of the tenant; how many there were.
    pub async fn revoke_by_tenant(&mut self, now: Timestamp, reason: RevocationReason) -> Result<u64, Error> {
        let mut total = 0;
        for statement in [REVOKE_BY_TENANT, browser_sessions::END_BY_TENANT] {
            loop {
                let (connection, tenant, call) = self.0.call("refresh_tokens.revoke_by_tenant")?;
                let query =
                    sqlx::query(statement).bind(tenant.as_str()).bind(to_db(now)).bind(reason.as_str());
                let some = call.run(query.execute(connection)).await?.rows_affected();
                if some == 0 {
                    break;
                }
                total += some;
            }
        }
        Ok(total)
    }

    async fn revoke(
        &mut self,
        name: &'static str,
        statement: &'static str,
        whose: Uuid,
        now: Timestamp,
        reason: RevocationReason,
    ) -> Result<u64, Error> {
        let (connection, tenant, call) = self.0.call(name)?;
        let query =
            sqlx::query(statement).bind(tenant.as_str()).bind(whose).bind(to_db(now)).bind(reason.as_str());
        Ok(call.run(query.execute(connection)).await?.rows_affected())
    }
}
