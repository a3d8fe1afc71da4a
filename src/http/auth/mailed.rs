//! Links by mail: POST /v1/auth/verify-email/start, GET /v1/auth/verify-email, POST /v1/auth/forgot, POST /v1/auth/reset
//! (EP050-EP053).

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hellojohn_control::{ClientId, Slug};
use serde::Deserialize;
use serde_json::json;

use super::accepted;
use super::answer::logged_in;
use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::{Kind, OpaqueToken};
use crate::http::ApiResult;
use crate::http::bearer::bearer_of;
use crate::http::cookies::CookieRules;
use crate::http::extract::{JsonBody, OptionalJsonBody, Query};
use crate::service::account::{AccountService, LinkRequest, PasswordReset};
use crate::service::audit::Requester;
use crate::service::{Code, Error, FieldError};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    #[serde(alias = "tenantId")]
    tenant_id: Slug,
    #[serde(default, alias = "clientId")]
    client_id: Option<ClientId>,
    email: String,
}

impl From<Asked> for LinkRequest {
    fn from(asked: Asked) -> Self {
        Self { tenant: asked.tenant_id, client_id: asked.client_id, email: asked.email }
    }
}

/// The same, or nothing: then a bearer token says who it is about.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MaybeAsked {
    #[serde(default, alias = "tenantId")]
    tenant_id: Option<Slug>,
    #[serde(default, alias = "clientId")]
    client_id: Option<ClientId>,
    #[serde(default)]
    email: Option<String>,
}

pub(super) async fn start_verification(
    State(accounts): State<AccountService>,
    requester: Requester,
    headers: HeaderMap,
    OptionalJsonBody(body): OptionalJsonBody<MaybeAsked>,
) -> ApiResult<Response> {
    match body {
        MaybeAsked { tenant_id: Some(tenant), client_id, email: Some(email) } => {
            accounts.start_verification(&requester, &LinkRequest { tenant, client_id, email }).await?;
        }
        MaybeAsked { tenant_id: None, client_id: None, email: None }
            if headers.contains_key(header::AUTHORIZATION) =>
        {
            let bearer = bearer_of(&headers)?;
            accounts.start_own_verification(&requester, bearer.expose()).await?;
        }
        MaybeAsked { tenant_id, email, .. } => {
            let fields = [("tenant_id", tenant_id.is_none()), ("email", email.is_none())];
            let missing = fields.into_iter().filter(|(_, missing)| *missing);
            let missing = missing.map(|(field, _)| FieldError::new(field, "required", "is required"));
            return Err(Error::invalid(missing.collect()).into());
        }
    }
    Ok(accepted())
}

pub(super) async fn forgot(
    State(accounts): State<AccountService>,
    requester: Requester,
    JsonBody(body): JsonBody<Asked>,
) -> ApiResult<Response> {
    accounts.forgot(&requester, &body.into()).await?;
    Ok(accepted())
}

#[derive(Debug, Deserialize)]
pub(in crate::http) struct Token {
    pub(in crate::http) token: SecretString,
}

/// Programs that ask for JSON confirm with it; a browser, and whatever looks at links before people do, is sent to the page
/// whose button confirms (S74).
pub(super) async fn verify_email(
    State(accounts): State<AccountService>,
    requester: Requester,
    headers: HeaderMap,
    Query(Token { token }): Query<Token>,
) -> ApiResult<Response> {
    if wants_json(&headers) {
        accounts.verify_email(&requester, &token).await?;
        return Ok(Json(json!({"email_verified": true})).into_response());
    }
    // Only a text of the form of a token gets into a header; its characters mean nothing in a URL.
    let token =
        OpaqueToken::parse_of(Kind::Mail, token.expose()).map_err(|_| Error::new(Code::InvalidMailToken))?;
    let location = HeaderValue::from_str(&format!("/verify-email?token={}", token.expose()));
    let location = location.map_err(Error::internal)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

/// Whether JSON is asked for by name and HTML is not.
fn wants_json(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let kinds: Vec<&str> = accepted
        .flat_map(|value| value.split(','))
        .map(|kind| kind.split(';').next().unwrap_or_default().trim())
        .collect();
    let names = |wanted: &str| kinds.iter().any(|kind| kind.eq_ignore_ascii_case(wanted));
    names("application/json") && !names("text/html")
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reset {
    token: SecretString,
    #[serde(alias = "newPassword")]
    new_password: SecretString,
    #[serde(default, alias = "clientId")]
    client_id: Option<ClientId>,
}

pub(super) async fn reset(
    State(accounts): State<AccountService>,
    State(rules): State<CookieRules>,
    requester: Requester,
    JsonBody(body): JsonBody<Reset>,
) -> ApiResult<Response> {
    let Reset { token, new_password, client_id } = body;
    let reset = PasswordReset { token, new_password, client_id, log_in: true };
    Ok(match accounts.reset_password(&requester, &reset).await? {
        Some(login) => logged_in(&login, &rules)?,
        None => StatusCode::NO_CONTENT.into_response(),
    })
}
