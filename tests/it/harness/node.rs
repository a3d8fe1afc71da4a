//! A whole node without a process: one member, a real disk, every route; its authorisers are switches.

#![expect(clippy::unwrap_used, reason = "a helper of tests that meets the unexpected should fail them")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request};
use futures::future::{BoxFuture, FutureExt as _};
use hellojohn::boot::{Assembled, Process, assemble, surface};
use hellojohn::config::{Config, Inputs, load};
use hellojohn::domain::rng::OsRng;
use hellojohn::http::middleware::cors::OriginList;
use hellojohn::http::{Edge, EdgeParts, EdgeSettings};
use hellojohn::service::limits::Limits;
use hellojohn::service::{
    AdminAuthorizer, Code, Error, LeaderGate, Precondition, Principal, Result, UserAuthorizer, WriteContext,
};
use hellojohn_control::Timestamp;
use http_body_util::BodyExt as _;
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::openapi::checked::Exchange;

pub(crate) const SIGNING_KEY: &str = "0123456789abcdef0123456789abcdef";
const SECRETBOX_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// The node and the directory that it lives in.
pub(crate) struct TestNode {
    pub(crate) assembled: Assembled,
    pub(crate) stop: CancellationToken,
    router: Router,
    _root: tempfile::TempDir,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The revision in the entity tag, and the applied index.
    pub(crate) fn marks(&self) -> (&str, u64) {
        (self.header("etag"), self.header("x-applied-index").parse().unwrap())
    }
}

/// Knows the tokens `admin` and `user`; everything else is invalid.
#[derive(Debug)]
pub(crate) struct Tokens;

pub(crate) fn principal(subject: &str) -> Principal {
    Principal {
        subject: subject.to_owned(),
        tenant: "local".to_owned(),
        client_id: None,
        session_id: None,
        token_id: "jti".to_owned(),
        scopes: Vec::new(),
        expires_at: Timestamp::from_secs(4_000_000_000),
    }
}

/// The context of a write by an administrator, for tests that call services.
pub(crate) fn write_context() -> WriteContext {
    let ip = std::net::IpAddr::from([127, 0, 0, 1]);
    WriteContext::after_gate(principal("admin"), "test".to_owned(), ip, Precondition::None)
}

impl AdminAuthorizer for Tokens {
    fn authorize<'a>(&'a self, bearer: &'a str) -> BoxFuture<'a, Result<Principal>> {
        let answer = match bearer {
            "admin" => Ok(principal("admin")),
            "user" => Err(Error::new(Code::Forbidden)),
            _ => Err(Error::new(Code::InvalidToken)),
        };
        std::future::ready(answer).boxed()
    }
}

impl UserAuthorizer for Tokens {
    fn authenticate<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Principal>> {
        std::future::ready(Err(Error::new(Code::InvalidToken))).boxed()
    }
}

/// A gate that refuses as a follower does.
#[derive(Debug)]
pub(crate) struct Follower;

impl LeaderGate for Follower {
    fn check(&self) -> Result<()> {
        Err(Error::not_leader(Some("n2")))
    }

    fn check_knows(&self) -> hellojohn::service::error::Result<()> {
        Ok(())
    }

    fn applied_index(&self) -> u64 {
        0
    }
}

/// The configuration of a single node below `root`.
pub(crate) fn config(root: &std::path::Path, extra: &[(&str, &str)]) -> Config {
    let fs_root = root.to_str().unwrap();
    let base = [
        ("SIGNING_MASTER_KEY", SIGNING_KEY),
        ("SECRETBOX_MASTER_KEY", SECRETBOX_KEY),
        ("CONTROL_PLANE_FS_ROOT", fs_root),
        ("JWT_ISSUER", "https://id.test"),
        ("ARGON2_MEMORY_KIB", "64"),
        ("ARGON2_ITERATIONS", "1"),
    ];
    let env: BTreeMap<String, String> =
        base.iter().chain(extra).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    load(&Inputs { env, ..Inputs::default() }).unwrap().config
}

impl TestNode {
    /// A node without a database.
    pub(crate) async fn new() -> Self {
        Self::with(&[]).await
    }

    /// A node with these settings besides; ready to write.
    pub(crate) async fn with(extra: &[(&str, &str)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let stop = CancellationToken::new();
        let process = Process {
            raft: tokio::runtime::Handle::current(),
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            stop: stop.clone(),
        };
        let assembled = assemble(Arc::new(config(root.path(), extra)), &process).await.unwrap();
        let gate = Arc::new(assembled.state.control.clone());
        let router = router(&assembled, gate);
        let node = Self { assembled, stop, router, _root: root };
        let control = &node.assembled.state.control;
        until("the node leads and has its keys", || async {
            // Until the node leads this does nothing or is refused.
            let _tended = control.tend_keys(control.plane().now()).await;
            !control.plane().view().global_keys().is_empty()
        })
        .await;
        node
    }

    /// The same node behind another gate.
    pub(crate) fn router_behind(&self, gate: Arc<dyn LeaderGate>) -> Router {
        router(&self.assembled, gate)
    }

    /// Sends a request as the administrator.
    pub(crate) async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        self.call_with(method, path, &[], body).await
    }

    /// As [`Self::call`], with headers.
    pub(crate) async fn call_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        send(&self.router, method, path, Some("admin"), headers, body).await
    }

    /// Sends a GET without a token.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(&self.router, "GET", path, None, &[], String::new()).await
    }
}

fn router(assembled: &Assembled, gate: Arc<dyn LeaderGate>) -> Router {
    let edge = Edge::new(EdgeParts {
        settings: EdgeSettings::default(),
        gate,
        admins: Arc::new(Tokens),
        users: Arc::new(Tokens),
        origins: Arc::new(OriginList::default()),
        forwarder: None,
        limits: Limits::none(),
        rng: Arc::new(OsRng),
    });
    surface().into_router(&edge, assembled.state.clone()).unwrap()
}

/// Sends a request to a router; the answer is checked against the description of the API.
pub(crate) async fn send(
    router: &Router,
    method: &str,
    path: &str,
    token: Option<&str>,
    headers: &[(&str, &str)],
    body: String,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let sent = Bytes::from(body);
    let request = request.body(Body::from(sent.clone())).unwrap();
    let (method, uri, sent_headers) =
        (request.method().clone(), request.uri().clone(), request.headers().clone());
    let response = router.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Exchange {
        method: &method,
        uri: &uri,
        sent_headers: &sent_headers,
        sent: &sent,
        status: parts.status.as_u16(),
        headers: &parts.headers,
        body: &body,
    }
    .check();
    Answer { status: parts.status.as_u16(), headers: parts.headers, body }
}

/// Polls a condition until it holds; fails after ten seconds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
