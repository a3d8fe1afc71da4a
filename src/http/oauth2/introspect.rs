//! POST /oauth2/introspect (EP034, RFC 7662).

use axum::Json;
use axum::extract::{Request, State};

use super::token::whereabouts;
use super::{client, form};
use crate::http::ApiResult;
use crate::http::extract::Below;
use crate::service::oauth::{Introspection, Introspector, OAuthService};
use crate::service::{Code, Error};

pub(super) async fn introspect(
    State(oauth): State<OAuthService>,
    Below(path): Below,
    request: Request,
) -> ApiResult<Json<Introspection>> {
    let (headers, params) = form::form(request).await?;
    let presented = client::presented(&headers, &params)?;
    let introspector = if oauth.is_operator(&presented) {
        Introspector::Operator
    } else {
        Introspector::Client(Box::new(presented))
    };
    let token = params.get("token");
    let token =
        token.ok_or_else(|| Error::bad_input(Code::InvalidParameter, "the parameter token is missing"))?;
    Ok(Json(oauth.introspect(&whereabouts(path, &params), &introspector, token).await?))
}
