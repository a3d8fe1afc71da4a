//! POST /v1/mfa/totp/enroll (EP060).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::proof::proof_of;
use super::qr::QrImage;
use crate::crypto::recovery_code::RecoveryCode;
use crate::crypto::secret::SecretString;
use crate::domain::mfa::TotpCode;
use crate::http::ApiResult;
use crate::http::extract::{Caller, OptionalJsonBody};
use crate::service::account::{AccountService, Reauthentication};
use crate::service::audit::Requester;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(default)]
    password: Option<SecretString>,
    #[serde(default)]
    code: Option<TotpCode>,
    #[serde(default, alias = "recoveryCode")]
    recovery_code: Option<RecoveryCode>,
}

#[derive(Serialize)]
struct Answer<'a> {
    secret_base32: &'a str,
    otpauth_url: &'a str,
    qr_svg: String,
    qr_png: String,
}

pub(super) async fn enroll(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
    requester: Requester,
    OptionalJsonBody(body): OptionalJsonBody<Body>,
) -> ApiResult<Response> {
    let said = Reauthentication { password: body.password, proof: proof_of(body.code, body.recovery_code)? };
    let enrolled = accounts.enrol_totp(&requester, &principal, &said).await?;
    let qr = QrImage::of(enrolled.otpauth_url.expose())?;
    let answer = Answer {
        secret_base32: enrolled.secret_base32.expose(),
        otpauth_url: enrolled.otpauth_url.expose(),
        qr_svg: qr.svg(),
        qr_png: STANDARD.encode(qr.png()?),
    };
    Ok(Json(answer).into_response())
}
