//! POST /v1/auth/login (EP002).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hellojohn_control::{ClientId, Slug};
use serde::Deserialize;

use super::answer::TokensBody;
use crate::crypto::secret::SecretString;
use crate::http::ApiResult;
use crate::http::extract::JsonBody;
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
}

pub(super) async fn login(
    State(accounts): State<AccountService>,
    requester: Requester,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let Body { tenant_id, client_id, email, password } = body;
    let credentials = Credentials { tenant: tenant_id, client_id, email, password };
    let tokens = accounts.login(&requester, &credentials).await?;
    Ok(Json(TokensBody::from(&tokens)).into_response())
}
