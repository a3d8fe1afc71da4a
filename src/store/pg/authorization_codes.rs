//! Authorization codes in PostgreSQL, by the hash of the code (S30, S31).
//!
//! Order of locks: account, then code. Whoever redeems one holds the account's row, so of many at the same moment one finds it
//! unused.

use hellojohn_control::{ClientId, ScopeName, Timestamp};
use sqlx::FromRow;
use time::OffsetDateTime;
use uuid::Uuid;

use super::rows::{from_db, to_db};
use crate::domain::authorization_code::{AuthorizationCode, Authorizer, CodeUse};
use crate::domain::browser_session::ClientRef;
use crate::domain::refresh_token::{FamilyId, TokenHash};
use crate::domain::user::UserId;
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// The codes of the unit of work's tenant.
#[derive(Debug)]
pub struct AuthorizationCodes<'a>(pub(in crate::store) &'a mut UnitOfWork);

const INSERT: &str = "INSERT INTO authorization_codes (tenant, code_hash, user_id, browser_session, family, client_uuid, \
    client_id, redirect_uri, redirect_uri_sent, scope, resources, nonce, challenge, created_at, expires_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";

const FIND: &str = "SELECT user_id, browser_session, family, client_uuid, client_id, redirect_uri, redirect_uri_sent, \
    scope, resources, nonce, challenge, created_at, expires_at, used_at, yielded FROM authorization_codes \
    WHERE tenant = $1 AND code_hash = $2";

const USE: &str = "UPDATE authorization_codes SET used_at = $3, yielded = $4 \
    WHERE tenant = $1 AND code_hash = $2 AND used_at IS NULL";

#[derive(FromRow)]
struct Row {
    user_id: Uuid,
    browser_session: Option<Uuid>,
    family: Option<Uuid>,
    client_uuid: Uuid,
    client_id: String,
    redirect_uri: String,
    redirect_uri_sent: bool,
    scope: Vec<String>,
    resources: Vec<String>,
    nonce: Option<String>,
    challenge: Option<Vec<u8>>,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    used_at: Option<OffsetDateTime>,
    yielded: Option<Uuid>,
}

const FIND_NAME: &str = "authorization_codes.find";

impl Row {
    fn read(self) -> Result<(AuthorizationCode, CodeUse), Error> {
        let bad = |column: &str| Error::internal(FIND_NAME, format!("column authorization_codes.{column}"));
        let authorizer = match (self.browser_session, self.family) {
            (Some(session), None) => Authorizer::Browser(FamilyId(session)),
            (None, Some(family)) => Authorizer::Family(FamilyId(family)),
            (Some(_), Some(_)) | (None, None) => return Err(bad("family")),
        };
        let client_id = ClientId::parse(&self.client_id).map_err(|_| bad("client_id"))?;
        let scope = self.scope.iter().map(|scope| ScopeName::parse(scope)).collect::<Result<_, _>>();
        let challenge = self.challenge.map(|bytes| bytes.try_into().map_err(|_| bad("challenge")));
        let code = AuthorizationCode {
            user_id: UserId(self.user_id),
            authorizer,
            client: ClientRef { uuid: self.client_uuid, client_id },
            redirect_uri: self.redirect_uri,
            redirect_uri_sent: self.redirect_uri_sent,
            scope: scope.map_err(|_| bad("scope"))?,
            resources: self.resources,
            nonce: self.nonce,
            challenge: challenge.transpose()?,
            created_at: from_db(self.created_at),
            expires_at: from_db(self.expires_at),
        };
        let used = self.used_at.map_or(CodeUse::Unused, |_| CodeUse::Used(self.yielded.map(FamilyId)));
        Ok((code, used))
    }
}

impl AuthorizationCodes<'_> {
    /// Keeps a new code.
    pub async fn insert(&mut self, hash: &TokenHash, code: &AuthorizationCode) -> Result<(), Error> {
        let (browser, family) = match code.authorizer {
            Authorizer::Browser(session) => (Some(session.0), None),
            Authorizer::Family(family) => (None, Some(family.0)),
        };
        let scope: Vec<&str> = code.scope.iter().map(ScopeName::as_str).collect();
        let (connection, tenant, call) = self.0.call("authorization_codes.insert")?;
        let query = sqlx::query(INSERT)
            .bind(tenant.as_str())
            .bind(hash.0.as_slice())
            .bind(code.user_id.0)
            .bind(browser)
            .bind(family)
            .bind(code.client.uuid)
            .bind(code.client.client_id.as_str())
            .bind(&code.redirect_uri)
            .bind(code.redirect_uri_sent)
            .bind(scope)
            .bind(&code.resources)
            .bind(&code.nonce)
            .bind(code.challenge.as_ref().map(<[u8; 32]>::as_slice))
            .bind(to_db(code.created_at))
            .bind(to_db(code.expires_at));
        call.run(query.execute(connection)).await?;
        Ok(())
    }

    /// The code of this hash, used and expired as it may be.
    pub async fn find(&mut self, hash: &TokenHash) -> Result<Option<(AuthorizationCode, CodeUse)>, Error> {
        let (connection, tenant, call) = self.0.call(FIND_NAME)?;
        let query = sqlx::query_as(FIND).bind(tenant.as_str()).bind(hash.0.as_slice());
        let row: Option<Row> = call.run(query.fetch_optional(connection)).await?;
        row.map(Row::read).transpose()
    }

    /// Uses the code up for what it `yielded`, or for nothing; false if it was used before.
    pub async fn use_up(
        &mut self,
        hash: &TokenHash,
        yielded: Option<FamilyId>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let (connection, tenant, call) = self.0.call("authorization_codes.use_up")?;
        let query = sqlx::query(USE)
            .bind(tenant.as_str())
            .bind(hash.0.as_slice())
            .bind(to_db(now))
            .bind(yielded.map(|family| family.0));
        Ok(call.run(query.execute(connection)).await?.rows_affected() == 1)
    }
}
