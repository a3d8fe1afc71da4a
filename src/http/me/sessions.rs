//! GET /v1/me/sessions, DELETE /v1/me/sessions/{session_id} (EP010).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hellojohn_control::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::refresh_token::{FamilyId, Session};
use crate::http::ApiResult;
use crate::http::extract::{Caller, Page, Segment};
use crate::service::account::AccountService;
use crate::service::audit::Requester;
use crate::service::{Code, Error};

#[derive(Serialize)]
struct SessionBody {
    id: String,
    client_id: String,
    amr: Vec<String>,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    /// Whether it is the one of the token that asks.
    current: bool,
}

pub(super) async fn list(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
    page: Page,
) -> ApiResult<Response> {
    let after = page
        .after
        .as_deref()
        .map(Uuid::try_parse)
        .transpose()
        .map_err(|_| Error::bad_input(Code::InvalidParameter, "cursor is not one that this API gave"))?;
    let sessions = accounts.own_sessions(&principal, after.map(FamilyId), page.limit + 1).await?;
    let current = principal.session_id.as_deref();
    let items = sessions.into_iter().map(|session| body(session, current)).collect();
    Ok(Json(page.answer(items, |item: &SessionBody| &item.id)).into_response())
}

pub(super) async fn end(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
    requester: Requester,
    Segment(session): Segment<FamilyId>,
) -> ApiResult<StatusCode> {
    accounts.end_own_session(&requester, &principal, session).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn body(session: Session, current: Option<&str>) -> SessionBody {
    let id = session.id.0.to_string();
    SessionBody {
        current: current == Some(&id),
        id,
        client_id: session.client_id.to_string(),
        amr: session.amr,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        expires_at: session.expires_at,
    }
}
