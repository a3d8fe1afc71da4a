//! `GET /openapi.json` (EP180): what the routes take and answer, for people, generators and tests.
//!
//! Written by hand in one YAML file an area beside this one, put together once at start-up and served as it is from then
//! on. To describe a route, write its operation into the file of its area; a new file goes into `document::AREAS`.
//! `tests/it/openapi` compares the document with the routes, and every answer of the other tests with the document.

mod document;

use axum::extract::{FromRef, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

pub use document::{Document, Fault};

use crate::http::{Auth, Plane, Surface, Verb};

/// Kept by anybody, and asked for again by its tag: after an upgrade it is another one.
const CACHE: HeaderValue = HeaderValue::from_static("public, no-cache");

/// The route.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    Document: FromRef<S>,
{
    Surface::new().route(Verb::Get, "/openapi.json", Plane::User, Auth::Public, get)
}

async fn get(State(document): State<Document>, headers: HeaderMap) -> Response {
    let tag = document.etag().clone();
    let mut response = if is_known(&headers, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let mut full = document.json().into_response();
        full.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        full
    };
    response.headers_mut().insert(header::ETAG, tag);
    response.headers_mut().insert(header::CACHE_CONTROL, CACHE);
    response
}

/// Whether the caller has it already (RFC 9110 §13.1.2: tags are compared weakly here).
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    known
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one).as_bytes() == tag.as_bytes())
}
