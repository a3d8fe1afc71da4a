//! Query parameters into a type; what does not fit is 400 `invalid_parameter`.

use axum::extract::{FromRequestParts, Query as AxumQuery};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::http::error::{ApiError, ApiResult};
use crate::service::{Code, Error};

/// The query as `T`. Unknown parameters pass unless `T` denies them.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let AxumQuery(query) = AxumQuery::<T>::from_request_parts(parts, state).await.map_err(|error| {
            Error::bad_input(Code::InvalidParameter, "a query parameter is not acceptable").context(error)
        })?;
        Ok(Self(query))
    }
}
