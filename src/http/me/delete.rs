//! DELETE /v1/me (EP010).

use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;

use crate::crypto::recovery_code::RecoveryCode;
use crate::crypto::secret::SecretString;
use crate::domain::mfa::TotpCode;
use crate::http::ApiResult;
use crate::http::extract::{Caller, JsonBody};
use crate::http::mfa::proof_of;
use crate::service::account::AccountService;
use crate::service::audit::Requester;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    password: SecretString,
    #[serde(default, alias = "mfaCode")]
    mfa_code: Option<TotpCode>,
    #[serde(default, alias = "recoveryCode")]
    recovery_code: Option<RecoveryCode>,
}

pub(super) async fn delete(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
    requester: Requester,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<StatusCode> {
    let proof = proof_of(body.mfa_code, body.recovery_code)?;
    accounts.delete_own(&requester, &principal, &body.password, proof.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT)
}
