//! POST /v1/auth/refresh (EP004).

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use hellojohn_control::{ClientId, Slug};
use serde::Deserialize;

use super::answer::TokensBody;
use crate::crypto::secret::SecretString;
use crate::http::ApiResult;
use crate::http::extract::JsonBody;
use crate::service::account::{AccountService, Exchange};
use crate::service::audit::Requester;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(alias = "refreshToken")]
    refresh_token: SecretString,
    #[serde(default, alias = "tenantId")]
    tenant_id: Option<Slug>,
    #[serde(default, alias = "clientId")]
    client_id: Option<ClientId>,
}

pub(super) async fn refresh(
    State(accounts): State<AccountService>,
    requester: Requester,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let exchange = Exchange {
        token: body.refresh_token,
        tenant: body.tenant_id,
        client_id: body.client_id,
        at_token_endpoint: None,
    };
    let tokens = accounts.refresh(&requester, &exchange).await?;
    Ok(Json(TokensBody::from(&tokens)).into_response())
}
