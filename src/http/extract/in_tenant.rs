//! The tenant whose people a route of administration is about (spec §13.7): `tenant_id` in the query, a slug.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use hellojohn_control::Slug;
use serde::Deserialize;

use super::Query;
use crate::http::error::{ApiError, ApiResult};
use crate::service::{Code, Error};

/// The slug that `tenant_id` names. 400 without one, or with one outside the grammar.
#[derive(Debug, Clone)]
pub struct InTenant(pub Slug);

#[derive(Deserialize)]
struct Raw {
    #[serde(alias = "tenantId")]
    tenant_id: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for InTenant {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let Query(Raw { tenant_id }) = Query::from_request_parts(parts, state).await?;
        let text = tenant_id.ok_or_else(|| {
            Error::bad_input(Code::InvalidParameter, "tenant_id is missing: add ?tenant_id=SLUG to the URL")
        })?;
        let slug = Slug::parse(&text);
        Ok(Self(slug.map_err(|error| Error::bad_input(Code::InvalidSlug, error.to_string()))?))
    }
}
