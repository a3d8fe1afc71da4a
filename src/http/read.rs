//! Reads of the control plane: the view that a read is answered from, and what its answers carry (spec §3.3).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use hellojohn_control::View;
use serde::Deserialize;

use crate::http::error::{ApiError, ApiResult};
use crate::http::extract::{MinIndex, Query};
use crate::service::control::ControlService;
use crate::service::{Code, Error, LeaderGate as _};

/// The log index that an answer reflects.
pub const APPLIED_INDEX: HeaderName = HeaderName::from_static("x-applied-index");

/// How long a read waits for the index that it asks for.
const WAIT: Duration = Duration::from_secs(2);

/// The view that this read is answered from: at least as new as `X-Min-Index` asks for, else 503
/// `index_not_reached`; with `?consistency=linearizable` it has every write that was acknowledged before, else 503
/// `no_leader`.
#[derive(Debug, Clone)]
pub struct Fresh(pub Arc<View>);

#[derive(Deserialize)]
struct Consistency {
    consistency: Option<String>,
}

impl<S> FromRequestParts<S> for Fresh
where
    S: Send + Sync,
    ControlService: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let MinIndex(wanted) = MinIndex::from_request_parts(parts, state).await?;
        let Query(query) = Query::<Consistency>::from_request_parts(parts, state).await?;
        let linearizable = match query.consistency.as_deref() {
            None | Some("local") => false,
            Some("linearizable") => true,
            Some(_) => {
                let detail = "consistency must be `local` or `linearizable`";
                return Err(Error::bad_input(Code::InvalidParameter, detail).into());
            }
        };
        let control = ControlService::from_ref(state);
        // Also on the public routes, which no guard stands before: what this node knows may be older than what it knew.
        control.check_knows()?;
        if linearizable {
            control.linearize(WAIT).await?;
        }
        if let Some(index) = wanted
            && !control.wait_applied(index, WAIT).await
        {
            return Err(Error::index_not_reached().into());
        }
        Ok(Self(control.plane().view()))
    }
}

/// `X-Applied-Index: {index}`.
pub fn set_applied(headers: &mut HeaderMap, index: u64) {
    headers.insert(APPLIED_INDEX, HeaderValue::from(index));
}

/// `ETag: "{revision}"`.
pub fn set_etag(headers: &mut HeaderMap, revision: u64) {
    // Digits between quotes are always a header value.
    if let Ok(value) = HeaderValue::from_str(&format!("\"{revision}\"")) {
        headers.insert(header::ETAG, value);
    }
}
