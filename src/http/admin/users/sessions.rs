//! GET and DELETE /v1/admin/users/{user_id}/sessions (EP130).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::domain::user::UserId;
use crate::http::ApiResult;
use crate::http::extract::{InTenant, Page, Segment};
use crate::http::sessions::{SessionBody, after};
use crate::service::account::AccountService;
use crate::service::audit::Administrator;

#[derive(Serialize)]
struct Ended {
    ended: u64,
}

pub(super) async fn list(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(id): Segment<UserId>,
    page: Page,
) -> ApiResult<Response> {
    let sessions = accounts.sessions_of_user(&tenant, id, after(&page)?, page.limit + 1).await?;
    let items = sessions.into_iter().map(SessionBody::from).collect();
    Ok(Json(page.answer(items, SessionBody::id)).into_response())
}

pub(super) async fn end_all(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(id): Segment<UserId>,
    by: Administrator,
) -> ApiResult<Response> {
    let ended = accounts.end_sessions_of_user(&by, &tenant, id).await?;
    Ok(Json(Ended { ended }).into_response())
}
