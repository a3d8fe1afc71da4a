//! Rows as the database gives them, and how they become domain types. A row that the domain refuses is a fault
//! of ours or of somebody's hand in the database, and named as such.

use std::fmt::Display;
use std::str::FromStr;

use hellojohn_control::{ClientId, ScopeName, Slug, Timestamp};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::domain::email::Email;
use crate::domain::refresh_token::{
    FamilyGrant, FamilyId, Overlap, RefreshToken, RefreshTokenId, Revocation, RevocationReason, TokenFamily,
    TokenHash,
};
use crate::domain::user::{PasswordHash, User, UserId, UserStatus};
use crate::store::error::Error;

/// A moment as `timestamptz`.
pub(super) fn to_db(moment: Timestamp) -> OffsetDateTime {
    // A Timestamp lies within the years 1970 to 9999, well inside the range.
    OffsetDateTime::UNIX_EPOCH + time::Duration::milliseconds(moment.millis())
}

/// A `timestamptz` as a moment; what is finer than a millisecond is cut off.
pub(super) fn from_db(moment: OffsetDateTime) -> Timestamp {
    let millis = moment.unix_timestamp_nanos() / 1_000_000;
    Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
}

fn bad(column: &'static str, why: impl Display) -> Error {
    Error::internal("decode", format!("column {column}: {why}"))
}

fn parse<T: FromStr<Err: Display>>(column: &'static str, text: &str) -> Result<T, Error> {
    text.parse().map_err(|why| bad(column, why))
}

#[derive(sqlx::FromRow)]
pub(super) struct UserRow {
    id: Uuid,
    email: String,
    password_hash: Option<String>,
    given_name: Option<String>,
    family_name: Option<String>,
    picture: Option<String>,
    locale: Option<String>,
    custom: Json<serde_json::Map<String, serde_json::Value>>,
    status: String,
    email_verified: bool,
    sys_admin: bool,
    failed_logins: i32,
    locked_until: Option<OffsetDateTime>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    last_login_at: Option<OffsetDateTime>,
}

impl TryFrom<UserRow> for User {
    type Error = Error;

    fn try_from(row: UserRow) -> Result<Self, Error> {
        Ok(Self {
            id: UserId(row.id),
            email: Email::parse(&row.email).map_err(|why| bad("users.email", why))?,
            password_hash: row.password_hash.map(PasswordHash::new),
            given_name: row.given_name,
            family_name: row.family_name,
            picture: row.picture,
            locale: row.locale,
            custom: row.custom.0,
            status: parse::<UserStatus>("users.status", &row.status)?,
            email_verified: row.email_verified,
            sys_admin: row.sys_admin,
            failed_logins: u32::try_from(row.failed_logins).map_err(|why| bad("users.failed_logins", why))?,
            locked_until: row.locked_until.map(from_db),
            created_at: from_db(row.created_at),
            updated_at: from_db(row.updated_at),
            last_login_at: row.last_login_at.map(from_db),
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct FamilyRow {
    #[sqlx(rename = "f_tenant")]
    tenant: String,
    #[sqlx(rename = "f_id")]
    id: Uuid,
    #[sqlx(rename = "f_user_id")]
    user_id: Uuid,
    #[sqlx(rename = "f_client_uuid")]
    client_uuid: Uuid,
    #[sqlx(rename = "f_client_id")]
    client_id: String,
    #[sqlx(rename = "f_amr")]
    amr: Vec<String>,
    #[sqlx(rename = "f_auth_time")]
    auth_time: OffsetDateTime,
    #[sqlx(rename = "f_created_at")]
    created_at: OffsetDateTime,
    #[sqlx(rename = "f_expires_at")]
    expires_at: OffsetDateTime,
    #[sqlx(rename = "f_revoked_at")]
    revoked_at: Option<OffsetDateTime>,
    #[sqlx(rename = "f_revoke_reason")]
    revoke_reason: Option<String>,
    #[sqlx(rename = "f_grant_type")]
    grant_type: String,
    #[sqlx(rename = "f_browser_session")]
    browser_session: Option<Uuid>,
    #[sqlx(rename = "f_resources")]
    resources: Vec<String>,
}

impl TryFrom<FamilyRow> for TokenFamily {
    type Error = Error;

    fn try_from(row: FamilyRow) -> Result<Self, Error> {
        let revoked = match (row.revoked_at, row.revoke_reason) {
            (Some(at), Some(reason)) => Some(Revocation {
                at: from_db(at),
                reason: parse::<RevocationReason>("token_families.revoke_reason", &reason)?,
            }),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => {
                return Err(bad("token_families.revoked_at", "half a revocation"));
            }
        };
        Ok(Self {
            id: FamilyId(row.id),
            tenant: parse::<Slug>("token_families.tenant", &row.tenant)?,
            user_id: UserId(row.user_id),
            client_uuid: row.client_uuid,
            client_id: parse::<ClientId>("token_families.client_id", &row.client_id)?,
            amr: row.amr,
            auth_time: from_db(row.auth_time),
            created_at: from_db(row.created_at),
            expires_at: from_db(row.expires_at),
            grant: parse::<FamilyGrant>("token_families.grant_type", &row.grant_type)?,
            browser_session: row.browser_session.map(FamilyId),
            resources: row.resources,
            revoked,
        })
    }
}

#[derive(sqlx::FromRow)]
pub(super) struct TokenRow {
    id: Uuid,
    family_id: Uuid,
    token_hash: Vec<u8>,
    scope: Vec<String>,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
    used_at: Option<OffsetDateTime>,
    replaced_by: Option<Uuid>,
    successor_sealed: Option<Vec<u8>>,
    overlap_until: Option<OffsetDateTime>,
}

impl TryFrom<TokenRow> for RefreshToken {
    type Error = Error;

    fn try_from(row: TokenRow) -> Result<Self, Error> {
        let hash = row.token_hash.try_into();
        let scope = row.scope.iter().map(|name| parse::<ScopeName>("refresh_tokens.scope", name));
        Ok(Self {
            id: RefreshTokenId(row.id),
            family_id: FamilyId(row.family_id),
            token_hash: TokenHash(hash.map_err(|_| bad("refresh_tokens.token_hash", "not 32 bytes"))?),
            scope: scope.collect::<Result<_, _>>()?,
            created_at: from_db(row.created_at),
            expires_at: from_db(row.expires_at),
            used_at: row.used_at.map(from_db),
            replaced_by: row.replaced_by.map(RefreshTokenId),
            overlap: row
                .successor_sealed
                .zip(row.overlap_until)
                .map(|(sealed, until)| Overlap { sealed, until: from_db(until) }),
        })
    }
}

/// A token together with its family, from one join.
#[derive(sqlx::FromRow)]
pub(super) struct PresentedRow {
    #[sqlx(flatten)]
    pub(super) token: TokenRow,
    #[sqlx(flatten)]
    pub(super) family: FamilyRow,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_survive_the_database() {
        for millis in [0, 1, 1_795_305_600_007, 253_402_300_799_999] {
            let moment = Timestamp::from_millis(millis);
            assert_eq!(from_db(to_db(moment)), moment);
        }
    }
}
