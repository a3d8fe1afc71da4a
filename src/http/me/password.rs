//! POST /v1/me/password (EP010).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::crypto::recovery_code::RecoveryCode;
use crate::crypto::secret::SecretString;
use crate::domain::mfa::TotpCode;
use crate::http::ApiResult;
use crate::http::auth::TokensBody;
use crate::http::extract::{Caller, JsonBody};
use crate::http::mfa::proof_of;
use crate::service::account::{AccountService, PasswordChange};
use crate::service::audit::Requester;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(alias = "currentPassword")]
    current_password: SecretString,
    #[serde(alias = "newPassword")]
    new_password: SecretString,
    #[serde(default, alias = "mfaCode")]
    mfa_code: Option<TotpCode>,
    #[serde(default, alias = "recoveryCode")]
    recovery_code: Option<RecoveryCode>,
}

pub(super) async fn change(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
    requester: Requester,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let proof = proof_of(body.mfa_code, body.recovery_code)?;
    let change = PasswordChange { current: body.current_password, new: body.new_password, proof };
    let tokens = accounts.change_password(&requester, &principal, &change).await?;
    Ok(Json(TokensBody::from(&tokens)).into_response())
}
