//! GET and POST /userinfo (EP033, OpenID Connect Core §5.3): the token in the header, or in the form of a POST (RFC 6750 §2.1, §2.2).

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use serde_json::{Map, Value};

use super::form;
use crate::http::ApiResult;
use crate::http::bearer::bearer_of;
use crate::http::extract::Below;
use crate::service::oauth::OAuthService;
use crate::service::{Code, Error};

pub(super) async fn get(
    State(oauth): State<OAuthService>,
    Below(path): Below,
    headers: HeaderMap,
) -> ApiResult<Json<Map<String, Value>>> {
    Ok(Json(oauth.userinfo(path.as_ref(), bearer_of(&headers)?.expose()).await?))
}

pub(super) async fn post(
    State(oauth): State<OAuthService>,
    Below(path): Below,
    request: Request,
) -> ApiResult<Json<Map<String, Value>>> {
    if request.headers().contains_key(header::AUTHORIZATION) {
        let bearer = bearer_of(request.headers())?;
        let (_, params) = form::form_or_json(request).await?;
        if params.get("access_token").is_some() {
            return Err(
                Error::bad_input(Code::InvalidParameter, "the token is sent in two ways at once").into()
            );
        }
        return Ok(Json(oauth.userinfo(path.as_ref(), bearer.expose()).await?));
    }
    let (_, params) = form::form(request).await?;
    let token = params.get("access_token").ok_or_else(Error::no_credentials)?;
    Ok(Json(oauth.userinfo(path.as_ref(), token).await?))
}
