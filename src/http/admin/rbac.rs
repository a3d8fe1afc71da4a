//! Roles of people and permissions of roles (EP125-EP128). User plane: every node answers.

use axum::Json;
use axum::extract::{FromRef, State};
use serde::{Deserialize, Serialize};

use crate::domain::role::{Permission, Role};
use crate::domain::user::UserId;
use crate::http::extract::{InTenant, JsonBody, Segment};
use crate::http::{ApiResult, Auth, Plane, Surface, Verb};
use crate::service::account::{AccountService, Change};
use crate::service::audit::Administrator;

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    AccountService: FromRef<S>,
{
    const ROLES: &str = "/v1/admin/rbac/users/{user_id}/roles";
    const PERMISSIONS: &str = "/v1/admin/rbac/roles/{role}/perms";
    Surface::new()
        .route(Verb::Get, ROLES, Plane::User, Auth::Admin, roles)
        .route(Verb::Post, ROLES, Plane::User, Auth::Admin, change_roles)
        .route(Verb::Get, PERMISSIONS, Plane::User, Auth::Admin, permissions)
        .route(Verb::Post, PERMISSIONS, Plane::User, Auth::Admin, change_permissions)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<T> {
    #[serde(default = "Vec::new")]
    add: Vec<T>,
    #[serde(default = "Vec::new")]
    remove: Vec<T>,
}

impl<T> From<Body<T>> for Change<T> {
    fn from(Body { add, remove }: Body<T>) -> Self {
        Self { add, remove }
    }
}

#[derive(Serialize)]
struct Roles {
    roles: Vec<Role>,
}

#[derive(Serialize)]
struct Permissions {
    permissions: Vec<Permission>,
}

async fn roles(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(id): Segment<UserId>,
) -> ApiResult<Json<Roles>> {
    Ok(Json(Roles { roles: accounts.roles_of_user(&tenant, id).await? }))
}

async fn change_roles(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(id): Segment<UserId>,
    by: Administrator,
    JsonBody(body): JsonBody<Body<Role>>,
) -> ApiResult<Json<Roles>> {
    Ok(Json(Roles { roles: accounts.change_roles(&by, &tenant, id, &body.into()).await? }))
}

async fn permissions(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(role): Segment<Role>,
) -> ApiResult<Json<Permissions>> {
    Ok(Json(Permissions { permissions: accounts.permissions_of_role(&tenant, &role).await? }))
}

async fn change_permissions(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(role): Segment<Role>,
    by: Administrator,
    JsonBody(body): JsonBody<Body<Permission>>,
) -> ApiResult<Json<Permissions>> {
    let permissions = accounts.change_permissions(&by, &tenant, &role, &body.into()).await?;
    Ok(Json(Permissions { permissions }))
}
