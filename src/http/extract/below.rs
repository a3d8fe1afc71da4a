//! The tenant of a route that is served at the root and below `/t/{slug}` (spec §13.7).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use hellojohn_control::Slug;

use super::Segment;
use crate::http::error::{ApiError, ApiResult};

/// The tenant of the path; none at the root.
#[derive(Debug, Clone)]
pub struct Below(pub Option<Slug>);

impl<S: Send + Sync> FromRequestParts<S> for Below {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        if !parts.uri.path().starts_with("/t/") {
            return Ok(Self(None));
        }
        let Segment(slug) = Segment::from_request_parts(parts, state).await?;
        Ok(Self(Some(slug)))
    }
}
