//! Where a request comes from, for the record of security events.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::{Caller, ClientInfo};
use crate::http::error::ApiError;
use crate::http::request_id::RequestId;
use crate::service::audit::{Administrator, Requester};

impl<S: Sync> FromRequestParts<S> for Requester {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let ClientInfo { ip, user_agent, .. } = ClientInfo::of(&parts.extensions);
        Ok(Self { request_id: RequestId::of(&parts.extensions).as_str().to_owned(), ip, user_agent })
    }
}

impl<S: Sync> FromRequestParts<S> for Administrator {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Caller(principal) = Caller::from_request_parts(parts, state).await?;
        let Ok(requester) = Requester::from_request_parts(parts, state).await;
        Ok(Self { actor: principal.actor(), requester })
    }
}
