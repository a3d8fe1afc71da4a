//! GET /v1/profile (EP009): the account for an application that was granted `profile:read`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hellojohn_control::Timestamp;
use serde::Serialize;

use crate::domain::user::UserId;
use crate::http::ApiResult;
use crate::http::extract::Caller;
use crate::service::account::AccountService;

#[derive(Serialize)]
struct Answer<'a> {
    sub: UserId,
    email: &'a str,
    email_verified: bool,
    name: Option<String>,
    given_name: Option<&'a str>,
    family_name: Option<&'a str>,
    picture: Option<&'a str>,
    updated_at: Timestamp,
}

pub(super) async fn profile(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
) -> ApiResult<Response> {
    let user = accounts.profile(&principal).await?;
    let answer = Answer {
        sub: user.id,
        email: user.email.as_str(),
        email_verified: user.email_verified,
        name: user.name(),
        given_name: user.given_name.as_deref(),
        family_name: user.family_name.as_deref(),
        picture: user.picture.as_deref(),
        updated_at: user.updated_at,
    };
    Ok(Json(answer).into_response())
}
