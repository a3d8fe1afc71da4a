//! From `service::Error` to an answer: one status table, two dialects, one mapper for leader answers.
//!
//! A handler returns [`ApiError`]; it leaves the error beside an empty answer, and the `render` middleware
//! writes the body, because only there the request id, the path and the dialect are known.

pub mod leader;
pub mod oauth;
pub mod problem;
pub mod status;

use std::sync::Arc;

use axum::response::{IntoResponse, Response};

use crate::service;

/// A service error on its way out.
#[derive(Debug, Clone)]
pub struct ApiError(Arc<service::Error>);

/// What a handler returns.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// The error as the service made it.
    pub fn service(&self) -> &service::Error {
        &self.0
    }
}

impl From<service::Error> for ApiError {
    fn from(error: service::Error) -> Self {
        Self(Arc::new(error))
    }
}

impl From<service::Code> for ApiError {
    fn from(code: service::Code) -> Self {
        service::Error::new(code).into()
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = status::of(self.0.code()).into_response();
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests;
