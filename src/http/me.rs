//! GET /v1/me (EP007): the account, and what the token says.

use axum::Json;
use axum::extract::{FromRef, State};
use axum::response::{IntoResponse, Response};
use hellojohn_control::Timestamp;
use serde::Serialize;

use super::auth::UserBody;
use crate::http::extract::Caller;
use crate::http::{ApiResult, Auth, Plane, Surface, Verb};
use crate::service::account::AccountService;

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    AccountService: FromRef<S>,
{
    Surface::new().route(Verb::Get, "/v1/me", Plane::User, Auth::User, me)
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
    let user = accounts.me(&principal).await?;
    let token = TokenBody {
        sub: &principal.subject,
        tid: &principal.tenant,
        client_id: principal.client_id.as_deref(),
        sid: principal.session_id.as_deref(),
        jti: &principal.token_id,
        scope: principal.scopes.join(" "),
        expires_at: principal.expires_at,
    };
    Ok(Json(Answer { user: UserBody::from(&user), token }).into_response())
}
