//! For tests of the edge and its endpoints: an edge whose services are switches, and a client for routers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use futures::future::{BoxFuture, FutureExt as _};
use hellojohn_control::Timestamp;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::domain::rng::OsRng;
use crate::http::middleware::cors::OriginList;
use crate::http::{Edge, EdgeParts, EdgeSettings};
use crate::service::limits::Limits;
use crate::service::{AdminAuthorizer, Code, Error, LeaderGate, Principal, UserAuthorizer};

/// A gate that says what it was made to say, and counts how often it was asked.
#[derive(Debug, Default)]
pub(crate) struct FakeGate {
    pub(crate) refusal: Option<Error>,
    pub(crate) asked: AtomicUsize,
    /// Whether the node has just started.
    pub(crate) knows_nothing: bool,
}

impl LeaderGate for FakeGate {
    fn check(&self) -> Result<(), Error> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.refusal.clone().map_or(Ok(()), Err)
    }

    fn check_knows(&self) -> Result<(), Error> {
        if self.knows_nothing { Err(Code::ClusterNotFormed.into()) } else { Ok(()) }
    }

    fn applied_index(&self) -> u64 {
        7
    }
}

/// Knows the tokens `admin` and `user`; everything else is invalid.
#[derive(Debug)]
pub(crate) struct FakeTokens;

pub(crate) fn principal(subject: &str) -> Principal {
    Principal {
        subject: subject.to_owned(),
        tenant: "local".to_owned(),
        client_id: None,
        session_id: None,
        token_id: "jti".to_owned(),
        scopes: vec!["openid".to_owned()],
        expires_at: Timestamp::from_secs(4_000_000_000),
    }
}

impl AdminAuthorizer for FakeTokens {
    fn authorize<'a>(&'a self, bearer: &'a str) -> BoxFuture<'a, Result<Principal, Error>> {
        async move {
            match bearer {
                "admin" => Ok(principal("admin")),
                "user" => Err(Code::Forbidden.into()),
                _ => Err(Code::InvalidToken.into()),
            }
        }
        .boxed()
    }
}

impl UserAuthorizer for FakeTokens {
    fn authenticate<'a>(&'a self, bearer: &'a str) -> BoxFuture<'a, Result<Principal, Error>> {
        async move {
            match bearer {
                "admin" | "user" => Ok(principal(bearer)),
                _ => Err(Code::InvalidToken.into()),
            }
        }
        .boxed()
    }
}

pub(crate) fn edge_with(settings: EdgeSettings, gate: Arc<FakeGate>) -> Edge {
    Edge::new(parts(settings, gate, Limits::none()))
}

/// A leader's edge with default settings and these limits.
pub(crate) fn edge_limited(limits: Limits) -> Edge {
    Edge::new(parts(EdgeSettings::default(), Arc::default(), limits))
}

fn parts(settings: EdgeSettings, gate: Arc<FakeGate>, limits: Limits) -> EdgeParts {
    EdgeParts {
        settings,
        gate,
        admins: Arc::new(FakeTokens),
        users: Arc::new(FakeTokens),
        origins: Arc::new(OriginList {
            allowed: ["https://app.test".to_owned()].into(),
            ui: Some("https://ui.test".to_owned()),
        }),
        forwarder: None,
        limits,
        rng: Arc::new(OsRng),
    }
}

/// A leader's edge with default settings.
pub(crate) fn edge() -> Edge {
    edge_with(EdgeSettings::default(), Arc::default())
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answer { status: parts.status, headers: parts.headers, body }
}

/// A request from a method, a URI, headers and a body.
pub(crate) fn request(
    method: &str,
    uri: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(body.into()).unwrap()
}
