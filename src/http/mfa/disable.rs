//! POST /v1/mfa/totp/disable (EP063).

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use super::proof::required;
use crate::crypto::recovery_code::RecoveryCode;
use crate::crypto::secret::SecretString;
use crate::domain::mfa::TotpCode;
use crate::http::ApiResult;
use crate::http::extract::{Caller, JsonBody};
use crate::service::account::AccountService;
use crate::service::audit::Requester;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    pub(super) password: SecretString,
    #[serde(default)]
    pub(super) code: Option<TotpCode>,
    #[serde(default, alias = "recoveryCode")]
    pub(super) recovery_code: Option<RecoveryCode>,
}

pub(super) async fn disable(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
    requester: Requester,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<StatusCode> {
    let proof = required(body.code, body.recovery_code)?;
    accounts.disable_totp(&requester, &principal, &body.password, &proof).await?;
    Ok(StatusCode::NO_CONTENT)
}
