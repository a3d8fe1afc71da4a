//! GET /v1/mfa: what an account has, without anything that opens it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hellojohn_control::Timestamp;
use serde::Serialize;

use crate::http::ApiResult;
use crate::http::extract::Caller;
use crate::service::account::AccountService;

#[derive(Serialize)]
struct Answer {
    totp_enabled: bool,
    totp_enabled_at: Option<Timestamp>,
    recovery_codes_left: u32,
    trusted_devices: u64,
}

pub(super) async fn status(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
) -> ApiResult<Response> {
    let status = accounts.mfa_status(&principal).await?;
    let answer = Answer {
        totp_enabled: status.totp_since.is_some(),
        totp_enabled_at: status.totp_since,
        recovery_codes_left: status.recovery_codes_left,
        trusted_devices: status.trusted_devices,
    };
    Ok(Json(answer).into_response())
}
