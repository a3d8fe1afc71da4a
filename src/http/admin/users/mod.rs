//! The accounts of a tenant, for administrators (EP129, EP130). User plane: every node answers.

mod create;
mod edit;
mod list;
mod mfa;
mod sessions;
mod status;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hellojohn_control::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::domain::user::{User, UserId, UserStatus};
use crate::http::extract::{InTenant, Segment};
use crate::http::{ApiResult, Auth, Plane, Surface, Verb};
use crate::service::account::AccountService;
use crate::service::audit::Administrator;

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    AccountService: FromRef<S>,
{
    use Auth::Admin;
    use Plane::User;
    use Verb::{Delete, Get, Patch, Post};
    const USERS: &str = "/v1/admin/users";
    const USER: &str = "/v1/admin/users/{user_id}";
    const SESSIONS: &str = "/v1/admin/users/{user_id}/sessions";
    Surface::new()
        .route(Get, USERS, User, Admin, list::list)
        .route(Post, USERS, User, Admin, create::create)
        .route(Get, USER, User, Admin, get)
        .route(Patch, USER, User, Admin, edit::edit)
        .route(Delete, USER, User, Admin, delete)
        .route(Post, "/v1/admin/users/{user_id}/disable", User, Admin, status::disable)
        .route(Post, "/v1/admin/users/{user_id}/enable", User, Admin, status::enable)
        .route(Post, "/v1/admin/users/{user_id}/unlock", User, Admin, status::unlock)
        .route(Delete, "/v1/admin/users/{user_id}/mfa", User, Admin, mfa::reset)
        .route(Get, SESSIONS, User, Admin, sessions::list)
        .route(Delete, SESSIONS, User, Admin, sessions::end_all)
}

/// An account, as an administrator may see it.
#[derive(Debug, Serialize)]
struct UserBody {
    id: UserId,
    email: String,
    email_verified: bool,
    given_name: Option<String>,
    family_name: Option<String>,
    picture: Option<String>,
    locale: Option<String>,
    custom: Map<String, Value>,
    status: UserStatus,
    has_password: bool,
    sys_admin: bool,
    failed_logins: u32,
    locked_until: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    last_login_at: Option<Timestamp>,
}

impl From<User> for UserBody {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email.as_str().to_owned(),
            email_verified: user.email_verified,
            given_name: user.given_name,
            family_name: user.family_name,
            picture: user.picture,
            locale: user.locale,
            custom: user.custom,
            status: user.status,
            has_password: user.password_hash.is_some(),
            sys_admin: user.sys_admin,
            failed_logins: user.failed_logins,
            locked_until: user.locked_until,
            created_at: user.created_at,
            updated_at: user.updated_at,
            last_login_at: user.last_login_at,
        }
    }
}

#[derive(Serialize)]
struct Answer {
    user: UserBody,
}

fn shown(user: User) -> Response {
    Json(Answer { user: user.into() }).into_response()
}

async fn get(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(id): Segment<UserId>,
) -> ApiResult<Response> {
    Ok(shown(accounts.user(&tenant, id).await?))
}

async fn delete(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(id): Segment<UserId>,
    by: Administrator,
) -> ApiResult<StatusCode> {
    accounts.delete_user(&by, &tenant, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
