//! POST /v1/mfa/totp/challenge (EP062).

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use serde::Deserialize;

use super::proof::required;
use crate::crypto::recovery_code::RecoveryCode;
use crate::crypto::secret::SecretString;
use crate::domain::mfa::{DEVICE_TTL, TotpCode};
use crate::http::ApiResult;
use crate::http::auth::started;
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
    headers: HeaderMap,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let Body { mfa_token, code, recovery_code, remember_device } = body;
    let challenge = Challenge {
        token: mfa_token,
        proof: required(code, recovery_code)?,
        remember_device,
        cookie: rules.session_in(&headers),
        no_cookie: rules.pages().check(&headers).err(),
    };
    let passed = accounts.challenge(&requester, &challenge).await?;
    let mut response = started(&passed.started, &rules)?;
    if let Some(device) = &passed.device {
        let cookie = rules.set(cookies::DEVICE, device, DEVICE_TTL)?;
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}
