//! Where the nodes are and how to talk to them: shared by clients, observers and drills.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::Value;

use crate::net::NODES;

use super::status::Status;

/// An answer, whole.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// All headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A header as a number, with or without quotes.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.header(name)?.trim_matches('"').parse().ok()
    }

    /// The `code` of a problem.
    pub fn code(&self) -> String {
        self.json().get("code").and_then(Value::as_str).unwrap_or_default().to_owned()
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// No connection came about: nothing was sent.
    NotSent,
    /// Something was sent, and the connection ended before an answer.
    Lost,
    /// Something was sent, and no answer came in time.
    TimedOut,
}

/// Where the nodes are.
#[derive(Debug)]
pub struct Directory {
    http: Client,
    urls: [String; NODES],
    tokens: RwLock<[String; NODES]>,
    starts: [AtomicU64; NODES],
}

/// Longest wait for an answer to whoever does not say otherwise.
const ANSWER: Duration = Duration::from_millis(1_500);
/// Longer than any answer may take.
const LONGEST: Duration = Duration::from_secs(20);
const CONNECT: Duration = Duration::from_millis(300);

impl Directory {
    pub(super) fn new(hosts: [String; NODES]) -> Result<Self, String> {
        // Only the first call in a process counts, and they are all the same.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = Client::builder()
            .no_proxy()
            .timeout(LONGEST)
            .connect_timeout(CONNECT)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| format!("no HTTP client: {error}"))?;
        let urls = hosts.map(|host| format!("http://{host}"));
        Ok(Self { http, urls, tokens: RwLock::default(), starts: Default::default() })
    }

    /// Base URL of a node.
    pub fn url(&self, node: usize) -> &str {
        self.urls.get(node).map_or("", String::as_str)
    }

    /// The node with this base URL.
    pub fn node_at(&self, url: &str) -> Option<usize> {
        self.urls.iter().position(|known| known.trim_end_matches('/') == url.trim_end_matches('/'))
    }

    /// An administrator's token for a node.
    pub fn token(&self, node: usize) -> String {
        let tokens = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
        tokens.get(node).cloned().unwrap_or_default()
    }

    pub(super) fn set_token(&self, node: usize, token: String) {
        let mut tokens = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = tokens.get_mut(node) {
            *place = token;
        }
    }

    pub(super) fn restarted(&self, node: usize) {
        if let Some(starts) = self.starts.get(node) {
            starts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often a node was started: a later process is another one to its clients.
    pub fn starts(&self, node: usize) -> u64 {
        self.starts.get(node).map_or(0, |starts| starts.load(Ordering::Relaxed))
    }

    /// One request with an administrator's token, for as long as most are given.
    ///
    /// # Errors
    /// When no answer came.
    pub async fn send(
        &self,
        node: usize,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Answer, Silence> {
        self.send_within(ANSWER, node, method, path, headers, body).await
    }

    /// One request with an administrator's token.
    ///
    /// # Errors
    /// When no answer came in time.
    pub async fn send_within(
        &self,
        within: Duration,
        node: usize,
        method: Method,
        path: &str,
        headers: &[(&str, String)],
        body: Option<&Value>,
    ) -> Result<Answer, Silence> {
        let mut request = self.http.request(method, format!("{}{path}", self.url(node)));
        request = request.bearer_auth(self.token(node)).timeout(within);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let silence = |error: &reqwest::Error| match (error.is_connect(), error.is_timeout()) {
            (true, _) => Silence::NotSent,
            (false, true) => Silence::TimedOut,
            (false, false) => Silence::Lost,
        };
        let answer = request.send().await.map_err(|error| silence(&error))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = answer.bytes().await.map_err(|_| Silence::Lost)?.to_vec();
        Ok(Answer { status, headers, body })
    }

    /// A GET; none where no answer came.
    pub async fn get(&self, node: usize, path: &str) -> Option<Answer> {
        self.send(node, Method::GET, path, &[], None).await.ok()
    }

    /// What a node says about itself; none where it does not answer.
    pub async fn status(&self, node: usize) -> Option<Status> {
        let answer = self.get(node, "/readyz").await?;
        Some(Status::of(answer.status, &answer.json()))
    }

    /// The same, whole.
    pub async fn readyz(&self, node: usize) -> Option<Value> {
        self.get(node, "/readyz").await.map(|answer| answer.json())
    }
}
