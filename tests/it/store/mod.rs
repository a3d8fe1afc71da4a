//! The user database against a real PostgreSQL.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

mod audit;
mod migrations;
mod outages;
mod private_postgres;
mod refresh_tokens;
mod units;
mod users;

use std::time::Duration;

use hellojohn::domain::email::Email;
use hellojohn::domain::refresh_token::{
    FamilyGrant, FamilyId, RefreshToken, RefreshTokenId, TokenFamily, TokenHash,
};
use hellojohn::domain::user::{PasswordHash, User, UserId};
use hellojohn::store::Database;
use hellojohn_control::{ClientId, ScopeName, Slug, Timestamp};
use uuid::Uuid;

fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

fn after(duration: Duration) -> Timestamp {
    now().plus(duration)
}

fn tenant(slug: &str) -> Slug {
    Slug::parse(slug).unwrap()
}

fn user(email: &str) -> User {
    let hash = PasswordHash::new("$argon2id$v=19$one".to_owned());
    User::new(UserId(Uuid::new_v4()), Email::parse(email).unwrap(), Some(hash), now())
}

fn family(slug: &str, user: &User) -> TokenFamily {
    TokenFamily {
        id: FamilyId(Uuid::new_v4()),
        tenant: tenant(slug),
        user_id: user.id,
        client_uuid: Uuid::new_v4(),
        client_id: ClientId::parse("local-web").unwrap(),
        amr: vec!["pwd".to_owned()],
        auth_time: now(),
        created_at: now(),
        expires_at: after(Duration::from_secs(7 * 24 * 3600)),
        grant: FamilyGrant::Login,
        browser_session: None,
        resources: Vec::new(),
        revoked: None,
    }
}

fn token(family: &TokenFamily, created_at: Timestamp) -> RefreshToken {
    let mut hash = [0; 32];
    hash[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    RefreshToken {
        id: RefreshTokenId(Uuid::new_v4()),
        family_id: family.id,
        token_hash: TokenHash(hash),
        scope: vec![ScopeName::parse("openid").unwrap(), ScopeName::parse("profile:read").unwrap()],
        created_at,
        expires_at: family.expires_at,
        used_at: None,
        replaced_by: None,
        overlap: None,
    }
}

/// An account in the database.
async fn registered(database: &Database, slug: &str, email: &str) -> User {
    let user = user(email);
    let mut work = database.begin(&tenant(slug)).await.unwrap();
    work.users().insert(&user).await.unwrap();
    work.commit().await.unwrap();
    user
}

/// A family with its first token in the database.
async fn logged_in(database: &Database, slug: &str, user: &User) -> (TokenFamily, RefreshToken) {
    let family = family(slug, user);
    let first = token(&family, now());
    let mut work = database.begin(&tenant(slug)).await.unwrap();
    work.refresh_tokens().insert_family(&family).await.unwrap();
    work.refresh_tokens().insert(&first).await.unwrap();
    work.commit().await.unwrap();
    (family, first)
}

/// Waits until `condition` holds, at most ten seconds.
async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let wait = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Waits until a query answers true.
async fn eventually_sql(connection: &mut sqlx::PgConnection, query: &'static str) {
    let wait = async {
        while !sqlx::query_scalar::<_, bool>(query).fetch_one(&mut *connection).await.unwrap() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.unwrap_or_else(|_| panic!("never: {query}"));
}
