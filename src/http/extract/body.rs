//! JSON bodies, whatever their content type (spec §5): plain `curl -d` works.
//!
//! For public and header-authenticated routes only. A route that believes a cookie must insist on
//! `application/json` besides, because a form of another site can send any text.

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::Extensions;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::http::error::{ApiError, ApiResult};
use crate::http::json;
use crate::http::middleware::observe::BodyLimits;
use crate::service::{Code, Error};

/// A JSON body of type `T`.
///
/// 413 `body_too_large`, 408 `request_timeout`, 400 `malformed_json`, 422 `validation_failed`.
#[derive(Debug, Clone)]
pub struct JsonBody<T>(pub T);

/// As [`JsonBody`], but an empty body is `T::default()`.
#[derive(Debug, Clone)]
pub struct OptionalJsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> ApiResult<Self> {
        Ok(Self(json::parse(&read_of(request).await?)?))
    }
}

impl<T: DeserializeOwned + Default, S: Sync> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> ApiResult<Self> {
        let bytes = read_of(request).await?;
        Ok(Self(if bytes.is_empty() { T::default() } else { json::parse(&bytes)? }))
    }
}

async fn read_of(request: Request) -> Result<Bytes, Error> {
    let (parts, body) = request.into_parts();
    read(&parts.extensions, body).await
}

/// The body, within the limits of the edge.
pub(super) async fn read(extensions: &Extensions, body: Body) -> Result<Bytes, Error> {
    let limits = BodyLimits::of(extensions);
    let too_large = || {
        let detail = format!("the body may have at most {} bytes", limits.max_bytes);
        Error::bad_input(Code::BodyTooLarge, detail)
    };
    // A declared length is refused before a byte of it is read.
    let limit = u64::try_from(limits.max_bytes).unwrap_or(u64::MAX);
    if body.size_hint().lower() > limit {
        return Err(too_large());
    }
    match tokio::time::timeout(limits.timeout, Limited::new(body, limits.max_bytes).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Error::bad_input(Code::MalformedJson, "the body ended early").context(error)),
        Err(_) => Err(Code::RequestTimeout.into()),
    }
}
