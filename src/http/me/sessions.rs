//! GET /v1/me/sessions, DELETE /v1/me/sessions/{session_id} (EP010).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::domain::refresh_token::FamilyId;
use crate::http::ApiResult;
use crate::http::cookies::CookieRules;
use crate::http::extract::{Caller, Page, Segment};
use crate::http::sessions::{SessionBody, after};
use crate::service::account::AccountService;
use crate::service::audit::Requester;

pub(super) async fn list(
    State(accounts): State<AccountService>,
    State(rules): State<CookieRules>,
    Caller(principal): Caller,
    headers: HeaderMap,
    page: Page,
) -> ApiResult<Response> {
    let sessions = accounts.own_sessions(&principal, after(&page)?, page.limit + 1).await?;
    let current = principal.session_id.as_deref();
    let browser = match rules.session_in(&headers) {
        // Whose database is away is not looked for: the cookie may be of another tenant.
        Some(cookie) => accounts.session_of(&cookie).await.ok().flatten().map(|session| session.id),
        None => None,
    };
    let items = sessions.into_iter().map(|session| SessionBody::own(session, current, browser)).collect();
    Ok(Json(page.answer(items, SessionBody::id)).into_response())
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
