//! POST /v1/mfa/totp/challenge (EP062).

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::proof::required;
use crate::crypto::recovery_code::RecoveryCode;
use crate::crypto::secret::SecretString;
use crate::domain::mfa::{DEVICE_TTL, TotpCode};
use crate::http::ApiResult;
use crate::http::auth::TokensBody;
use crate::http::cookies::{self, CookieRules};
use crate::http::extract::JsonBody;
use crate::service::account::{AccountService, Challenge};
use crate::service::audit::Requester;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(alias = "mfaToken")]
    mfa_token: SecretString,
    #[serde(default)]
    code: Option<TotpCode>,
    #[serde(default, alias = "recoveryCode")]
    recovery_code: Option<RecoveryCode>,
    #[serde(default, alias = "rememberDevice")]
    remember_device: bool,
}

pub(super) async fn challenge(
    State(accounts): State<AccountService>,
    State(rules): State<CookieRules>,
    requester: Requester,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let Body { mfa_token, code, recovery_code, remember_device } = body;
    let challenge = Challenge { token: mfa_token, proof: required(code, recovery_code)?, remember_device };
    let passed = accounts.challenge(&requester, &challenge).await?;
    let mut response = Json(TokensBody::from(&passed.tokens)).into_response();
    if let Some(device) = &passed.device {
        let cookie = rules.set(cookies::DEVICE, device, DEVICE_TTL)?;
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
