//! POST /v1/admin/users (EP129).

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hellojohn_control::Slug;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::crypto::secret::SecretString;
use crate::http::ApiResult;
use crate::http::extract::JsonBody;
use crate::service::account::{AccountService, NewUser};
use crate::service::audit::Administrator;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Body {
    #[serde(alias = "tenantId")]
    tenant_id: Slug,
    email: String,
    #[serde(default, alias = "emailVerified")]
    email_verified: bool,
    #[serde(default)]
    password: Option<SecretString>,
    #[serde(default, alias = "givenName")]
    given_name: Option<String>,
    #[serde(default, alias = "familyName")]
    family_name: Option<String>,
    #[serde(default)]
    picture: Option<String>,
    #[serde(default)]
    locale: Option<String>,
    #[serde(default)]
    custom: Map<String, Value>,
    #[serde(default)]
    disabled: bool,
}

pub(super) async fn create(
    State(accounts): State<AccountService>,
    by: Administrator,
    JsonBody(body): JsonBody<Body>,
) -> ApiResult<Response> {
    let wanted = NewUser {
        email: body.email,
        email_verified: body.email_verified,
        password: body.password,
        given_name: body.given_name,
        family_name: body.family_name,
        picture: body.picture,
        locale: body.locale,
        custom: body.custom,
        disabled: body.disabled,
    };
    let user = accounts.create_user(&by, &body.tenant_id, &wanted).await?;
    Ok((StatusCode::CREATED, super::shown(user)).into_response())
}
