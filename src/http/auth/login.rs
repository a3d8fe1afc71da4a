//! POST /v1/auth/login (EP002).

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use hellojohn_control::{ClientId, Slug};
use serde::Deserialize;

use super::answer::logged_in;
use crate::crypto::recovery_code::RecoveryCode;
use crate::crypto::secret::SecretString;
use crate::domain::mfa::TotpCode;
use crate::http::ApiResult;
use crate::http::cookies::{self, CookieRules};
use crate::http::extract::JsonBody;
use crate::http::mfa::proof_of;
use crate::service::account::{AccountService, Credentials};
use crate::service::audit::Requester;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(alias = "tenantId")]
    tenant_id: Slug,
    #[serde(alias = "clientId")]
    client_id: ClientId,
    email: String,
    password: SecretString,
    #[serde(default, alias = "mfaCode")]
    mfa_code: Option<TotpCode>,
    #[serde(default, alias = "recoveryCode")]
    recovery_code: Option<RecoveryCode>,
}

pub(super) async fn login(
    State(accounts): State<AccountService>,
    requester: Requester,
    State(rules): State<CookieRules>,
    headers: HeaderMap,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let Body { tenant_id, client_id, email, password, mfa_code, recovery_code } = body;
    let proof = proof_of(mfa_code, recovery_code)?;
    let device = cookies::value_of(&headers, cookies::DEVICE);
    let credentials = Credentials { tenant: tenant_id, email, password, proof, device };
    let reached = accounts.login(&requester, &client_id, &credentials).await?;
    Ok(logged_in(&reached, &rules)?)
}
