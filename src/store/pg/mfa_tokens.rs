//! First halves of logins in PostgreSQL, by the hash of their token (S68).

use hellojohn_control::{ClientId, Timestamp};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{from_db, to_db};
use crate::domain::browser_session::ClientRef;
use crate::domain::mfa::{MAX_WRONG_CODES, PendingGoal, PendingLogin};
use crate::domain::refresh_token::TokenHash;
use crate::domain::return_to::ReturnTo;
use crate::domain::user::UserId;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The pending logins of the unit of work's tenant.
#[derive(Debug)]
pub struct MfaTokens<'a>(pub(in crate::store) &'a mut UnitOfWork);

// All live equally long, so the order of their ends is that of their beginnings.
const INSERT: &str = "WITH over AS ( \
        DELETE FROM mfa_tokens WHERE tenant = $1 AND token_hash IN ( \
            SELECT token_hash FROM mfa_tokens WHERE tenant = $1 AND user_id = $3 \
            ORDER BY expires_at DESC, token_hash OFFSET $8)) \
    INSERT INTO mfa_tokens (tenant, token_hash, user_id, client_uuid, client_id, password, \
        expires_at, browser, return_to) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $9, $10)";

/// Half logins of an account that can be finished.
const MAX_HALVES: i64 = 10;

const FIND: &str = "SELECT user_id, client_uuid, client_id, password, expires_at, browser, return_to \
    FROM mfa_tokens \
    WHERE tenant = $1 AND token_hash = $2 AND expires_at > $3 AND wrong_codes < $4";

// One statement, so that parallel tries all count.
const COUNT_WRONG: &str = "UPDATE mfa_tokens SET wrong_codes = wrong_codes + 1 \
    WHERE tenant = $1 AND token_hash = $2";

const USE: &str = "DELETE FROM mfa_tokens WHERE tenant = $1 AND token_hash = $2";

const DELETE: &str = "DELETE FROM mfa_tokens WHERE tenant = $1 AND user_id = $2";

#[derive(FromRow)]
struct Row {
    user_id: Uuid,
    client_uuid: Option<Uuid>,
    client_id: Option<String>,
    password: Vec<u8>,
    expires_at: OffsetDateTime,
    browser: bool,
    return_to: Option<String>,
}

const FIND_NAME: &str = "mfa_tokens.find";

impl TryFrom<Row> for PendingLogin {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let bad = |column: &str| Error::internal(FIND_NAME, format!("column mfa_tokens.{column}"));
        let client_id =
            row.client_id.map(|text| ClientId::parse(&text).map_err(|_| bad("client_id"))).transpose()?;
        let client = row.client_uuid.zip(client_id).map(|(uuid, client_id)| ClientRef { uuid, client_id });
        let goal = if row.browser {
            let return_to =
                row.return_to.map(|text| text.parse().map_err(|_| bad("return_to"))).transpose()?;
            PendingGoal::Browser { client, return_to }
        } else {
            PendingGoal::Tokens(client.ok_or_else(|| bad("client_uuid"))?)
        };
        Ok(Self {
            user_id: UserId(row.user_id),
            goal,
            password: row.password.try_into().map_err(|_| bad("password"))?,
            expires_at: from_db(row.expires_at),
        })
    }
}

impl MfaTokens<'_> {
    /// Keeps the first half of a login, and of the account's others the nine newest. The account's row must be locked.
    pub async fn insert(&mut self, hash: &TokenHash, login: &PendingLogin) -> Result<(), Error> {
        let client = login.goal.client();
        let (browser, return_to) = match &login.goal {
            PendingGoal::Tokens(_) => (false, None),
            PendingGoal::Browser { return_to, .. } => (true, return_to.as_ref()),
        };
        let (connection, tenant, call) = self.0.call("mfa_tokens.insert")?;
        let query = sqlx::query(INSERT)
            .bind(tenant.as_str())
            .bind(hash.0.as_slice())
            .bind(login.user_id.0)
            .bind(client.map(|client| client.uuid))
            .bind(client.map(|client| client.client_id.as_str()))
            .bind(login.password.as_slice())
            .bind(to_db(login.expires_at))
            .bind(MAX_HALVES - 1)
            .bind(browser)
            .bind(return_to.map(ReturnTo::as_str));
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// The login that the token stands for, if it can be finished at `now` and not too many wrong codes were tried.
    pub async fn find(&mut self, hash: &TokenHash, now: Timestamp) -> Result<Option<PendingLogin>, Error> {
        let (connection, tenant, call) = self.0.call(FIND_NAME)?;
        let query = sqlx::query_as(FIND)
            .bind(tenant.as_str())
            .bind(hash.0.as_slice())
            .bind(to_db(now))
            .bind(i32::try_from(MAX_WRONG_CODES).unwrap_or(i32::MAX));
        let row: Option<Row> = call.run(query.fetch_optional(connection)).await?;
        row.map(PendingLogin::try_from).transpose()
    }

    /// Counts a wrong code against the token.
    pub async fn count_wrong(&mut self, hash: &TokenHash) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("mfa_tokens.count_wrong")?;
        let query = sqlx::query(COUNT_WRONG).bind(tenant.as_str()).bind(hash.0.as_slice());
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// Uses the token up; false if somebody else did.
    pub async fn use_up(&mut self, hash: &TokenHash) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("mfa_tokens.use_up")?;
        let query = sqlx::query(USE).bind(tenant.as_str()).bind(hash.0.as_slice());
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }

    /// Removes all of an account.
    pub async fn delete_of_user(&mut self, user: UserId) -> Result<(), Error> {
        let (connection, tenant, call) = self.0.call("mfa_tokens.delete_of_user")?;
        call.run(sqlx::query(DELETE).bind(tenant.as_str()).bind(user.0).execute(connection)).await?;
        Ok(())
    }
}
