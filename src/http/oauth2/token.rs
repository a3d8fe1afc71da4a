//! POST /oauth2/token (EP031).

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;

use super::{client, form};
use crate::crypto::secret::SecretString;
use crate::http::ApiResult;
use crate::http::extract::Below;
use crate::service::audit::Requester;
use crate::service::oauth::{OAuthService, Params, Whereabouts};

/// RFC 6749 §5.1.
#[derive(Serialize)]
struct Body<'a> {
    access_token: &'a str,
    token_type: &'static str,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    scope: &'a str,
}

pub(super) async fn token(
    State(oauth): State<OAuthService>,
    requester: Requester,
    Below(path): Below,
    request: Request,
) -> ApiResult<Response> {
    let (headers, params) = form::form(request).await?;
    let presented = client::presented(&headers, &params)?;
    let tokens = oauth.redeem(&requester, whereabouts(path, &params), &presented, &params).await?;
    let body = Body {
        access_token: tokens.access.token.expose(),
        token_type: "Bearer",
        expires_in: tokens.access.expires_in,
        refresh_token: tokens.refresh.as_ref().map(SecretString::expose),
        scope: &tokens.access.scope,
    };
    Ok(Json(body).into_response())
}

/// What the request says of its tenant.
pub(super) fn whereabouts(path: Option<hellojohn_control::Slug>, params: &Params) -> Whereabouts {
    Whereabouts { path, named: params.get("tenant_id").map(str::to_owned), token: None }
}
