//! PATCH /v1/admin/users/{user_id} (EP129): a merge patch.

use axum::extract::State;
use axum::response::Response;
use hellojohn_control::documents::Patch;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::crypto::secret::SecretString;
use crate::domain::user::UserId;
use crate::http::ApiResult;
use crate::http::extract::{InTenant, JsonBody, Segment};
use crate::service::account::{AccountService, ProfilePatch, UserPatch};
use crate::service::audit::Administrator;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(default)]
    email: Patch<String>,
    #[serde(default, alias = "emailVerified")]
    email_verified: Patch<bool>,
    #[serde(default)]
    password: Patch<SecretString>,
    #[serde(default, alias = "givenName")]
    given_name: Patch<String>,
    #[serde(default, alias = "familyName")]
    family_name: Patch<String>,
    #[serde(default)]
    picture: Patch<String>,
    #[serde(default)]
    locale: Patch<String>,
    #[serde(default)]
    custom: Patch<Map<String, Value>>,
}

pub(super) async fn edit(
    State(accounts): State<AccountService>,
    InTenant(tenant): InTenant,
    Segment(id): Segment<UserId>,
    by: Administrator,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let Body { email, email_verified, password, given_name, family_name, picture, locale, custom } = body;
    let profile = ProfilePatch { given_name, family_name, picture, locale };
    let patch = UserPatch { email, email_verified, password, profile, custom };
    Ok(super::shown(accounts.edit_user(&by, &tenant, id, patch).await?))
}
