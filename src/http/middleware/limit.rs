//! The limit on everything: requests by address and route (spec §10). Probes and scrapes are not counted, and what
//! another node passes on was counted there.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::concurrency::is_probe;
use crate::http::edge::Edge;
use crate::http::error::ApiError;
use crate::http::extract::ClientInfo;
use crate::http::forward;
use crate::service::RateLimit;

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// The headers in which limits are told.
pub(in crate::http) const HEADERS: [HeaderName; 3] = [LIMIT, REMAINING, RESET];

pub(in crate::http) async fn limit(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    let passed_on = request.extensions().get::<forward::Once>().is_some();
    if passed_on || is_probe(request.uri().path()) {
        return next.run(request).await;
    }
    // The pattern, not the path: nobody makes counters by inventing paths.
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let ip = ClientInfo::of(request.extensions()).ip;
    match edge.limits().pass(ip, route).await {
        Ok(standing) => {
            let mut response = next.run(request).await;
            if let Some(standing) = standing {
                tell(response.headers_mut(), &standing);
            }
            response
        }
        Err(error) => ApiError::from(error).into_response(),
    }
}

/// Writes where a limit stands.
pub(in crate::http) fn tell(headers: &mut HeaderMap, standing: &RateLimit) {
    headers.insert(LIMIT, HeaderValue::from(standing.limit));
    headers.insert(REMAINING, HeaderValue::from(standing.remaining));
    headers.insert(RESET, HeaderValue::from(super::render::seconds(standing.reset)));
}
