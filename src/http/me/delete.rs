//! DELETE /v1/me (EP010).

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::crypto::secret::SecretString;
use crate::http::ApiResult;
use crate::http::extract::{Caller, JsonBody};
use crate::service::account::AccountService;
use crate::service::audit::Requester;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    password: SecretString,
}

pub(super) async fn delete(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
    requester: Requester,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<StatusCode> {
    accounts.delete_own(&requester, &principal, &body.password).await?;
    Ok(StatusCode::NO_CONTENT)
}
