//! A cap on requests in work: beyond it 503 at once, so that a flood queues at the caller and not here.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::edge::Edge;
use crate::http::error::ApiError;
use crate::service::Error;

/// Probes answer however busy the node is: a load balancer must not take a busy node for a dead one.
pub(super) fn is_probe(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/metrics")
}

pub(in crate::http) async fn cap(State(edge): State<Edge>, request: Request, next: Next) -> Response {
    if is_probe(request.uri().path()) {
        return next.run(request).await;
    }
    let Ok(_permit) = edge.in_flight().try_acquire() else {
        return ApiError::from(Error::busy(Duration::from_secs(1))).into_response();
    };
    next.run(request).await
}
