//! POST /v1/session/logout (EP021): 204 whatever the cookie is still good for.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::http::ApiResult;
use crate::http::cookies::CookieRules;
use crate::http::extract::OptionalJsonBody;
use crate::http::own_page::OwnPage;
use crate::service::account::AccountService;
use crate::service::audit::Requester;

/// There is nothing to say: the cookie says it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {}

pub(super) async fn logout(
    State(accounts): State<AccountService>,
    State(rules): State<CookieRules>,
    requester: Requester,
    headers: HeaderMap,
    _: OwnPage,
    OptionalJsonBody(Body {}): OptionalJsonBody<Body>,
) -> ApiResult<Response> {
    accounts.leave(&requester, rules.session_in(&headers).as_ref()).await?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, rules.clear_session()?)]).into_response())
}
