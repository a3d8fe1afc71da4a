//! POST /v1/auth/logout (EP005): 204 whatever the tokens are still good for.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::crypto::secret::SecretString;
use crate::http::ApiResult;
use crate::http::bearer::bearer_of;
use crate::http::extract::OptionalJsonBody;
use crate::service::account::{AccountService, Logout};
use crate::service::audit::Requester;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(default, alias = "refreshToken")]
    refresh_token: Option<SecretString>,
}

pub(super) async fn logout(
    State(accounts): State<AccountService>,
    requester: Requester,
    headers: HeaderMap,
    OptionalJsonBody(body): OptionalJsonBody<Body>,
) -> ApiResult<StatusCode> {
    // Without one, or with one that is no token, there is none to deny.
    let bearer = bearer_of(&headers).ok().map(|bearer| SecretString::from(bearer.expose()));
    accounts.logout(&requester, &Logout { refresh_token: body.refresh_token, bearer }).await?;
    Ok(StatusCode::NO_CONTENT)
}
