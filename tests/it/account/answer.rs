//! Requests and answers, read.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use hellojohn::crypto::jwt::AccessClaims;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::openapi::checked::Exchange;

/// An answer, read.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status and `code`.
    pub(super) fn refusal(&self) -> (u16, String) {
        let code = if self.body.is_empty() { String::new() } else { text_of(&self.json(), "code") };
        (self.status.as_u16(), code)
    }

    /// `field: code` of every entry in `errors`.
    pub(super) fn errors(&self) -> Vec<String> {
        let json = self.json();
        let errors = json["errors"].as_array().cloned().unwrap_or_default();
        errors
            .iter()
            .map(|error| format!("{}: {}", text_of(error, "field"), text_of(error, "code")))
            .collect()
    }
}

pub(super) fn text_of(json: &Value, member: &str) -> String {
    json[member].as_str().unwrap_or_default().to_owned()
}

/// A pair of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Tokens {
    pub(super) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let json = answer.json();
        Self { access: text_of(&json, "access_token"), refresh: text_of(&json, "refresh_token") }
    }

    /// The claims of the access token, unverified.
    pub(super) fn claims(&self) -> AccessClaims {
        serde_json::from_value(payload(&self.access)).unwrap()
    }
}

/// The payload of a JWT, unverified.
pub(super) fn payload(token: &str) -> Value {
    part(token, 1)
}

pub(super) fn part(token: &str, number: usize) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(number).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

pub(super) fn call(method: &str, path: &str, bearer: Option<&str>, body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("x-request-id", "req-1");
    if let Some(bearer) = bearer {
        request = request.header("authorization", format!("Bearer {bearer}"));
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// Sends a request; the answer is checked against the description of the API.
pub(super) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let (asked, sent) = request.into_parts();
    let sent = sent.collect().await.unwrap().to_bytes();
    let request = Request::from_parts(asked.clone(), Body::from(sent.clone()));
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Exchange {
        method: &asked.method,
        uri: &asked.uri,
        sent_headers: &asked.headers,
        sent: &sent,
        status: parts.status.as_u16(),
        headers: &parts.headers,
        body: &body,
    }
    .check();
    Answer { status: parts.status, headers: parts.headers, body }
}
