//! Accounts from another system, many in one statement.

use std::collections::HashSet;

use hellojohn_control::Timestamp;
use sqlx::types::Json;
use uuid::Uuid;

use super::rows::to_db;
use crate::domain::user::{PasswordHash, User, UserId, name_key};
use crate::store::error::Error;
use crate::store::ports::UnitOfWork;

/// Imported accounts of the unit of work's tenant.
#[derive(Debug)]
pub struct Imports<'a>(pub(in crate::store) &'a mut UnitOfWork);

/// An account that is to be there.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The account. Counters, holds and the administrator's flag are not taken over.
    pub user: User,
    /// What it was made from.
    pub digest: Digest,
}

/// SHA-256 of what an account was made from.
pub type Digest = [u8; 32];

impl Arrival {
    /// What tells it from the others of its batch; equal only for equal lines.
    pub fn key(&self) -> (UserId, Digest) {
        (self.user.id, self.digest)
    }
}

/// An account that has the identifier or the address of an arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Identifier.
    pub id: UserId,
    /// Comparison key of its address.
    pub email_key: String,
    /// What it was made from; absent for an account that was not imported.
    pub digest: Option<Digest>,
}

// In the order of addresses, so that two imports of the same people wait for each other and do not deadlock. An
// account whose id or address is there, also earlier in this statement, is left out.
const INSERT: &str = "INSERT INTO users (tenant, id, email, email_key, password_hash, given_name, family_name, \
    picture, locale, custom, status, email_verified, created_at, updated_at, import_digest, given_key, family_key) \
    SELECT $1, id, email, email_key, password_hash, given_name, family_name, picture, locale, custom, status, \
    email_verified, created_at, $14, import_digest, given_key, family_key \
    FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], \
    $10::jsonb[], $11::text[], $12::boolean[], $13::timestamptz[], $15::bytea[], $16::text[], $17::text[]) \
    WITH ORDINALITY AS arrival (id, email, email_key, password_hash, given_name, family_name, picture, locale, \
    custom, status, email_verified, created_at, import_digest, given_key, family_key, line) \
    ORDER BY email_key COLLATE \"C\", line ON CONFLICT DO NOTHING RETURNING id, import_digest";

const FIND: &str = "SELECT id, email_key, import_digest FROM users \
    WHERE tenant = $1 AND (id = ANY($2::uuid[]) OR email_key = ANY($3::text[]))";

impl Imports<'_> {
    /// Adds the accounts of which the tenant has neither the identifier nor the address; gives [`Arrival::key`] of
    /// those that it added.
    pub async fn insert(
        &mut self,
        arrivals: &[&Arrival],
        now: Timestamp,
    ) -> Result<HashSet<(UserId, Digest)>, Error> {
        const NAME: &str = "imports.insert";
        if arrivals.is_empty() {
            return Ok(HashSet::new());
        }
        self.0.hold_life().await?;
        let users = || arrivals.iter().map(|arrival| &arrival.user);
        let texts = |text: fn(&User) -> &str| users().map(text).collect::<Vec<_>>();
        let options = |text: fn(&User) -> Option<&str>| users().map(text).collect::<Vec<_>>();
        let keys = |name: fn(&User) -> Option<&str>| {
            users().map(|user| name(user).map(name_key)).collect::<Vec<_>>()
        };
        let (connection, tenant, call) = self.0.call(NAME)?;
        let query = sqlx::query_as(INSERT)
            .bind(tenant.as_str())
            .bind(users().map(|user| user.id.0).collect::<Vec<_>>())
            .bind(texts(|user| user.email.as_str()))
            .bind(texts(|user| user.email.key()))
            .bind(options(|user| user.password_hash.as_ref().map(PasswordHash::as_str)))
            .bind(options(|user| user.given_name.as_deref()))
            .bind(options(|user| user.family_name.as_deref()))
            .bind(options(|user| user.picture.as_deref()))
            .bind(options(|user| user.locale.as_deref()))
            .bind(users().map(|user| Json(&user.custom)).collect::<Vec<_>>())
            .bind(texts(|user| user.status.as_str()))
            .bind(users().map(|user| user.email_verified).collect::<Vec<_>>())
            .bind(users().map(|user| to_db(user.created_at)).collect::<Vec<_>>())
            .bind(to_db(now))
            .bind(arrivals.iter().map(|arrival| arrival.digest.as_slice()).collect::<Vec<_>>())
            .bind(keys(|user| user.given_name.as_deref()))
            .bind(keys(|user| user.family_name.as_deref()));
        let added: Vec<(Uuid, Vec<u8>)> = call.run(query.fetch_all(connection)).await?;
        let key = |(id, digest): (Uuid, Vec<u8>)| Ok((UserId(id), parsed(NAME, digest)?));
        added.into_iter().map(key).collect()
    }

    /// The accounts that have one of these identifiers or addresses, those of transactions that
    /// [`Imports::insert`] waited for among them.
    pub async fn find(&mut self, ids: &[UserId], email_keys: &[&str]) -> Result<Vec<Known>, Error> {
        const NAME: &str = "imports.find";
        let (connection, tenant, call) = self.0.call(NAME)?;
        let query = sqlx::query_as(FIND)
            .bind(tenant.as_str())
            .bind(ids.iter().map(|id| id.0).collect::<Vec<_>>())
            .bind(email_keys);
        let rows: Vec<(Uuid, String, Option<Vec<u8>>)> = call.run(query.fetch_all(connection)).await?;
        let known = |(id, email_key, digest): (Uuid, String, Option<Vec<u8>>)| {
            let digest = digest.map(|digest| parsed(NAME, digest)).transpose()?;
            Ok(Known { id: UserId(id), email_key, digest })
        };
        rows.into_iter().map(known).collect()
    }
}

fn parsed(operation: &'static str, digest: Vec<u8>) -> Result<Digest, Error> {
    digest.try_into().map_err(|_| Error::internal(operation, "column users.import_digest"))
}
