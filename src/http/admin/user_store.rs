//! The user database of a tenant: test its connection, bring its schema up to date (EP107, EP108). User plane:
//! every node does it, leader or not (spec §13.9).

use axum::Json;
use axum::extract::{FromRef, State};
use hellojohn_control::Slug;
use serde::Serialize;

use crate::http::extract::Segment;
use crate::http::{ApiResult, Auth, Plane, Surface, Verb};
use crate::service::audit::Administrator;
use crate::service::user_store::UserStores;
use crate::store::MigrationState;

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    UserStores: FromRef<S>,
{
    const TEST: &str = "/v1/admin/tenants/{slug}/user-store/test-connection";
    const MIGRATE: &str = "/v1/admin/tenants/{slug}/user-store/migrate";
    Surface::new().route(Verb::Post, TEST, Plane::User, Auth::Admin, test_connection).route(
        Verb::Post,
        MIGRATE,
        Plane::User,
        Auth::Admin,
        migrate,
    )
}

#[derive(Debug, Serialize)]
struct Tested {
    ok: bool,
    server_version: String,
    /// `current`, `pending`, `unknown` or `altered`.
    migrations: &'static str,
    /// How many migrations are still to be run.
    pending: usize,
}

#[derive(Debug, Serialize)]
struct Migrated {
    applied: usize,
}

async fn test_connection(
    State(stores): State<UserStores>,
    Segment(slug): Segment<Slug>,
    by: Administrator,
) -> ApiResult<Json<Tested>> {
    let tested = stores.test_connection(&by, &slug).await?;
    let (migrations, pending) = match tested.migrations {
        MigrationState::Current => ("current", 0),
        MigrationState::Pending(count) => ("pending", count),
        MigrationState::Unknown(_) => ("unknown", 0),
        MigrationState::Altered(_) => ("altered", 0),
    };
    Ok(Json(Tested { ok: true, server_version: tested.server_version, migrations, pending }))
}

async fn migrate(
    State(stores): State<UserStores>,
    Segment(slug): Segment<Slug>,
    by: Administrator,
) -> ApiResult<Json<Migrated>> {
    Ok(Json(Migrated { applied: stores.migrate(&by, &slug).await? }))
}
