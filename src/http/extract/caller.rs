//! The verified caller, left on the request by the guard.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::http::error::{ApiError, ApiResult};
use crate::service::{Error, Principal};

/// The principal of a route declared `Auth::User` or `Auth::Admin`.
#[derive(Debug, Clone)]
pub struct Caller(pub Principal);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        // A public route has no caller: fail closed, and say in the log which mistake this is.
        let caller = parts.extensions.get::<Caller>().cloned();
        Ok(caller.ok_or_else(|| Error::internal("a handler takes a Caller on a route declared public"))?)
    }
}
