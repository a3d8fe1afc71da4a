//! The outermost layer: request id, client, span, access log line, metrics.
//!
//! A log line and a metric carry the route's pattern, never the path or query: those hold identifiers,
//! codes and tokens (S111), and a metric's labels must be few.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Extensions, HeaderName, Method};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use super::trace_context::TraceContext;
use crate::http::edge::{Connection, Edge, EdgeSettings};
use crate::http::extract::ClientInfo;
use crate::http::request_id::{self, RequestId};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The limits a body extractor obeys.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Longest body in bytes.
    pub max_bytes: usize,
    /// How long the client may take to send it.
    pub timeout: Duration,
}

impl BodyLimits {
    /// The limits of the request with these extensions; the default ones outside the edge.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().copied().unwrap_or_else(|| Self::from(&EdgeSettings::default()))
    }
}

impl From<&EdgeSettings> for BodyLimits {
    fn from(settings: &EdgeSettings) -> Self {
        Self { max_bytes: settings.max_body_bytes, timeout: settings.body_timeout }
    }
}

pub(in crate::http) async fn observe(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let request_id = RequestId::accept_or_make(request.headers(), edge.rng());
    let connection = request.extensions().get::<Connection>();
    let client = ClientInfo::derive(connection, request.headers(), &edge.settings().trusted_proxies);
    let trace = request
        .headers()
        .get(TRACEPARENT)
        .and_then(|value| value.to_str().ok())
        .and_then(TraceContext::parse);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    let method = method_label(request.method());
    let span = tracing::info_span!(
        "http.request",
        method,
        route,
        request_id = request_id.as_str(),
        trace_id = trace.map(tracing::field::display),
    );
    let ip = client.ip;
    let extensions = request.extensions_mut();
    extensions.insert(request_id.clone());
    extensions.insert(client);
    extensions.insert(BodyLimits::from(edge.settings()));
    if let Some(trace) = trace {
        extensions.insert(trace);
    }

    let mut response = next.run(request).instrument(span.clone()).await;

    if let Some(value) = request_id.header_value() {
        response.headers_mut().insert(request_id::HEADER, value);
    }
    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    let duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| {
        tracing::info!(target: "hellojohn::access", method, route, status, duration_ms, %ip, "request");
    });
    let route = route.to_owned();
    metrics::counter!("hellojohn_http_requests_total",
        "route" => route.clone(), "method" => method, "status" => status.to_string())
    .increment(1);
    metrics::histogram!("hellojohn_http_request_seconds", "route" => route, "method" => method)
        .record(elapsed.as_secs_f64());
    response
}

/// The method as a label: the well-known ones by name, whatever else a client invents as `other`.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
