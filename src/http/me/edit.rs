//! PUT /v1/me (EP007): a merge patch for the fields that are their owner's.

use axum::extract::State;
use axum::response::Response;
use hellojohn_control::documents::Patch;
use serde::Deserialize;

use crate::http::ApiResult;
use crate::http::extract::{Caller, JsonBody};
use crate::service::account::{AccountService, ProfilePatch};
use crate::service::audit::Requester;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(default, alias = "givenName")]
    given_name: Patch<String>,
    #[serde(default, alias = "familyName")]
    family_name: Patch<String>,
    #[serde(default)]
    picture: Patch<String>,
    #[serde(default)]
    locale: Patch<String>,
}

pub(super) async fn edit(
    State(accounts): State<AccountService>,
    Caller(principal): Caller,
    requester: Requester,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let Body { given_name, family_name, picture, locale } = body;
    let patch = ProfilePatch { given_name, family_name, picture, locale };
    let user = accounts.edit_profile(&requester, &principal, patch).await?;
    Ok(super::shown(&user, &principal))
}
