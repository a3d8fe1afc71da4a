//! POST /v1/auth/register (EP001).

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hellojohn_control::{ClientId, Slug};
use serde::{Deserialize, Serialize};

use super::answer::{TokensBody, UserBody};
use crate::crypto::secret::SecretString;
use crate::http::ApiResult;
use crate::http::extract::JsonBody;
use crate::service::account::{AccountService, Registered, Registration};
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
    #[serde(default, alias = "givenName")]
    given_name: Option<String>,
    #[serde(default, alias = "familyName")]
    family_name: Option<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    user: UserBody<'a>,
    #[serde(flatten)]
    tokens: Option<TokensBody<'a>>,
}

pub(super) async fn register(
    State(accounts): State<AccountService>,
    requester: Requester,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let registration = Registration {
        tenant: body.tenant_id,
        client_id: body.client_id,
        email: body.email,
        password: body.password,
        given_name: body.given_name,
        family_name: body.family_name,
        by_page: false,
    };
    let registered = match accounts.register(&requester, &registration).await? {
        Registered::Made(registered) => registered,
        Registered::ToldByMail => return Ok(super::accepted()),
    };
    let tokens = registered.tokens.as_ref().map(TokensBody::from);
    let answer = Answer { user: UserBody::from(&registered.user), tokens };
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}
