//! What people control about their own account (EP007-EP010). Translates bodies and answers, decides nothing.
//!
//! Unknown fields are refused by name, so that nobody sets what is not theirs to set (S102).

mod delete;
mod edit;
mod password;
mod profile;
mod sessions;

use axum::Json;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use hellojohn_control::Timestamp;
use serde::Serialize;

use super::auth::UserBody;
use crate::domain::user::User;
use crate::http::cookies::CookieRules;
use crate::http::extract::Caller;
use crate::http::{ApiResult, Auth, Plane, Surface, Verb};
use crate::service::Principal;
use crate::service::account::AccountService;

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    AccountService: FromRef<S>,
    CookieRules: FromRef<S>,
{
    const SESSION: &str = "/v1/me/sessions/{session_id}";
    Surface::new()
        .route(Verb::Get, "/v1/me", Plane::User, Auth::User, me)
        .route(Verb::Put, "/v1/me", Plane::User, Auth::User, edit::edit)
        .route(Verb::Delete, "/v1/me", Plane::User, Auth::User, delete::delete)
        .route(Verb::Post, "/v1/me/password", Plane::User, Auth::User, password::change)
        .route(Verb::Get, "/v1/me/sessions", Plane::User, Auth::User, sessions::list)
        .route(Verb::Delete, SESSION, Plane::User, Auth::User, sessions::end)
        .route(Verb::Get, "/v1/profile", Plane::User, Auth::User, profile::profile)
}

#[derive(Serialize)]
struct Answer<'a> {
    user: UserBody<'a>,
    token: TokenBody<'a>,
}

/// The claims of the token that the caller holds, by their names in it (spec §7).
#[derive(Serialize)]
struct TokenBody<'a> {
    sub: &'a str,
    tid: &'a str,
    client_id: Option<&'a str>,
    sid: Option<&'a str>,
    jti: &'a str,
    scope: String,
    expires_at: Timestamp,
}

async fn me(State(accounts): State<AccountService>, Caller(principal): Caller) -> ApiResult<Response> {
    Ok(shown(&accounts.me(&principal).await?, &principal))
}

fn shown(user: &User, principal: &Principal) -> Response {
    let token = TokenBody {
        sub: &principal.subject,
        tid: &principal.tenant,
        client_id: principal.client_id.as_deref(),
        sid: principal.session_id.as_deref(),
        jti: &principal.token_id,
        scope: principal.scopes.join(" "),
        expires_at: principal.expires_at,
    };
    Json(Answer { user: UserBody::from(user), token }).into_response()
}
