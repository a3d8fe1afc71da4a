//! POST /oauth2/revoke (EP032, RFC 7009): the token in a form, in JSON, or as the bearer token of the request itself.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};

use super::token::whereabouts;
use super::{client, form};
use crate::http::ApiResult;
use crate::http::bearer::bearer_of;
use crate::http::extract::Below;
use crate::service::audit::Requester;
use crate::service::oauth::OAuthService;
use crate::service::{Code, Error};

pub(super) async fn revoke(
    State(oauth): State<OAuthService>,
    requester: Requester,
    Below(path): Below,
    request: Request,
) -> ApiResult<StatusCode> {
    let (headers, params) = form::form_or_json(request).await?;
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let is_bearer = authorization
        .and_then(|text| text.get(..7))
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    match params.get("token") {
        None if is_bearer => oauth.revoke_bearer(&requester, bearer_of(&headers)?.expose()).await?,
        None => return Err(Error::bad_input(Code::InvalidParameter, "the parameter token is missing").into()),
        Some(token) => {
            let presented = client::presented(&headers, &params)?;
            oauth.revoke(&requester, whereabouts(path, &params), &presented, token).await?;
        }
    }
    Ok(StatusCode::OK)
}
