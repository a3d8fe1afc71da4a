//! POST /v1/mfa/recovery/rotate (EP064).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::disable::Body;
use super::proof::required;
use crate::crypto::secret::SecretString;
use crate::http::ApiResult;
use crate::http::extract::{Caller, JsonBody};
use crate::service::account::AccountService;
use crate::service::audit::Requester;

#[derive(Serialize)]
struct Answer<'a> {
    recovery_codes: Vec<&'a str>,
}

pub(super) async fn rotate(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
    requester: Requester,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let proof = required(body.code, body.recovery_code)?;
    let codes = accounts.rotate_recovery_codes(&requester, &principal, &body.password, &proof).await?;
    let recovery_codes = codes.iter().map(SecretString::expose).collect();
    Ok(Json(Answer { recovery_codes }).into_response())
}
