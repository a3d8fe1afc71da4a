//! POST /v1/session/login (EP020).

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use hellojohn_control::{ClientId, Slug};
use serde::Deserialize;

use crate::crypto::recovery_code::RecoveryCode;
use crate::crypto::secret::SecretString;
use crate::domain::mfa::TotpCode;
use crate::domain::return_to::ReturnTo;
use crate::http::ApiResult;
use crate::http::auth::logged_in;
use crate::http::cookies::{self, CookieRules};
use crate::http::extract::JsonBody;
use crate::http::mfa::proof_of;
use crate::http::own_page::OwnPage;
use crate::service::account::{AccountService, BrowserLogin, Credentials};
use crate::service::audit::Requester;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(alias = "tenantId")]
    tenant_id: Slug,
    #[serde(default, alias = "clientId")]
    client_id: Option<ClientId>,
    email: String,
    password: SecretString,
    #[serde(default, alias = "mfaCode")]
    mfa_code: Option<TotpCode>,
    #[serde(default, alias = "recoveryCode")]
    recovery_code: Option<RecoveryCode>,
    #[serde(default, alias = "returnTo")]
    return_to: Option<ReturnTo>,
}

pub(super) async fn login(
    State(accounts): State<AccountService>,
    State(rules): State<CookieRules>,
    requester: Requester,
    headers: HeaderMap,
    _: OwnPage,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let Body { tenant_id, client_id, email, password, mfa_code, recovery_code, return_to } = body;
    let proof = proof_of(mfa_code, recovery_code)?;
    let device = cookies::value_of(&headers, cookies::DEVICE);
    let credentials = Credentials { tenant: tenant_id, email, password, proof, device };
    let login = BrowserLogin { credentials, client_id, return_to, cookie: rules.session_in(&headers) };
    Ok(logged_in(&accounts.log_in_browser(&requester, &login).await?, &rules)?)
}
