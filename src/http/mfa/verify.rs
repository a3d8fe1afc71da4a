//! POST /v1/mfa/totp/verify (EP061).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::crypto::secret::SecretString;
use crate::domain::mfa::TotpCode;
use crate::http::ApiResult;
use crate::http::extract::{Caller, JsonBody};
use crate::service::account::AccountService;
use crate::service::audit::Requester;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    code: TotpCode,
}

#[derive(Serialize)]
struct Answer<'a> {
    enabled: bool,
    recovery_codes: Vec<&'a str>,
}

pub(super) async fn verify(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
    requester: Requester,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let codes = accounts.verify_totp(&requester, &principal, &body.code).await?;
    let recovery_codes = codes.iter().map(SecretString::expose).collect();
    Ok(Json(Answer { enabled: true, recovery_codes }).into_response())
}
