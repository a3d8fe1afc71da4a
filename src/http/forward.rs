//! A follower passes a control-plane write on to the leader and the answer back (`CLUSTER_WRITE_MODE=forward`, spec §3.3).
//!
//! One hop at most: what was passed on is never passed on again. The caller's token goes along, and the leader decides
//! by itself who may do what. A write waits for up to two seconds while a leader is being elected; it is repeated only
//! where nothing was written.

mod wire;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::future::{BoxFuture, FutureExt as _};
use tokio::time::{Instant, sleep};
use tower::ServiceExt as _;

use self::wire::{Answer, Asked};
use crate::http::edge::{Connection, Edge};
use crate::http::error::ApiError;
use crate::http::extract::body;
use crate::http::plane::RouteSpec;
use crate::service::{Code, Error, Payload};

/// How long a write waits for a leader.
const HOLD: Duration = Duration::from_secs(2);
/// How long to wait before the leader is looked for again.
const AGAIN: Duration = Duration::from_millis(20);

/// The way to the leader.
pub trait Forwarder: Send + Sync + fmt::Debug {
    /// Passes a request on to this node, and gives its answer.
    fn forward<'a>(
        &'a self,
        leader: &'a str,
        request: Bytes,
        within: Duration,
    ) -> BoxFuture<'a, Result<Bytes, NotForwarded>>;
}

/// Why there is no answer of the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotForwarded {
    /// It did not do it.
    NotSent(String),
    /// It may have done it.
    Unknown(String),
}

/// The mark of a request that came from another node. Private: only [`Inbound`] makes one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Once;

/// Carries a write out where it can be: here, or on the leader. `here` is the way to the handler.
pub(super) async fn carry_out<F>(
    edge: &Edge,
    forwarder: &dyn Forwarder,
    spec: &RouteSpec,
    request: Request,
    here: impl Fn(Request) -> F,
) -> Result<Response, Error>
where
    F: Future<Output = Response>,
{
    let (parts, body) = request.into_parts();
    let body = body::read(&parts.extensions, body).await?;
    let deadline = Instant::now() + HOLD;
    // Whoever hands over and fails leads no longer: another hand-over would be the next leader's.
    let once = spec.path.ends_with("/step-down");
    loop {
        let (answer, nothing_written) = match edge.gate().check() {
            Ok(()) => {
                let answer = here(Request::from_parts(parts.clone(), Body::from(body.clone()))).await;
                let nothing_written = answer
                    .extensions()
                    .get::<ApiError>()
                    .is_some_and(|error| elsewhere(error.service().code()));
                (answer, nothing_written)
            }
            Err(error) => match error.payload() {
                Payload::Leader(leader) => pass(edge, forwarder, leader, &parts, &body).await?,
                _ => (ApiError::from(error).into_response(), true),
            },
        };
        if !nothing_written || once || Instant::now() >= deadline {
            return Ok(answer);
        }
        sleep(AGAIN).await;
    }
}

/// The leader's answer, and whether it says that nothing was written and somebody else leads.
async fn pass(
    edge: &Edge,
    forwarder: &dyn Forwarder,
    leader: &str,
    parts: &axum::http::request::Parts,
    body: &Bytes,
) -> Result<(Response, bool), Error> {
    let request = Asked::of(parts, body.clone()).encode()?;
    let within = edge.settings().request_timeout;
    let passed = tokio::select! {
        passed = forwarder.forward(leader, request, within) => passed,
        () = leads_no_longer(edge, leader) => Err(NotForwarded::Unknown(format!("{leader} leads no longer"))),
    };
    match passed {
        Ok(answer) => {
            let answer = Answer::decode(answer)?;
            Ok((answer.response, answer.nothing_written))
        }
        Err(NotForwarded::NotSent(why)) => {
            let error = Error::no_leader(AGAIN.max(Duration::from_secs(1))).context(why);
            Ok((ApiError::from(error).into_response(), true))
        }
        Err(NotForwarded::Unknown(why)) => Err(Error::outcome_unknown(Duration::from_secs(1)).context(why)),
    }
}

/// Resolves when this node has heard for a while that the node which was asked does not lead: it may hang, and then would
/// never answer.
async fn leads_no_longer(edge: &Edge, leader: &str) {
    let mut since = Instant::now();
    while since.elapsed() < HOLD / 2 {
        sleep(AGAIN * 5).await;
        let leads = match edge.gate().check() {
            Ok(()) => false,
            Err(error) => matches!(error.payload(), Payload::Leader(name) if name == leader),
        };
        if leads {
            since = Instant::now();
        }
    }
}

/// Whether a refusal says that nothing was written because this node does not lead.
fn elsewhere(code: Code) -> bool {
    matches!(code, Code::FollowerConflict | Code::NoLeader)
}

/// Answers what other nodes pass on, by the routes of this node.
#[derive(Clone)]
pub struct Inbound {
    router: Router,
}

impl fmt::Debug for Inbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbound").finish_non_exhaustive()
    }
}

impl Inbound {
    /// Answers by these routes.
    pub fn new(router: Router) -> Self {
        Self { router }
    }

    /// Carries out one request that was passed on.
    ///
    /// # Errors
    /// What is wrong with it; nothing was done then.
    pub fn answer(&self, request: Bytes) -> Result<BoxFuture<'static, Bytes>, String> {
        let asked = Asked::decode(request)?;
        let peer = SocketAddr::new(asked.ip, 0);
        let tls = asked.https;
        let mut request = asked.into_request()?;
        request.extensions_mut().insert(Connection { peer, tls });
        request.extensions_mut().insert(Once);
        let router = self.router.clone();
        Ok(async move {
            let response = match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let nothing_written = response.extensions().get::<Code>().is_some_and(|code| elsewhere(*code));
            Answer { response, nothing_written }.encode().await
        }
        .boxed())
    }
}

/// A shared way to the leader.
pub type SharedForwarder = Arc<dyn Forwarder>;

/// The rest of the way to a handler, for as many times as it is needed.
pub(super) fn handler(next: &Next) -> impl Fn(Request) -> BoxFuture<'static, Response> + use<> {
    let next = next.clone();
    move |request| {
        let next = next.clone();
        async move { next.run(request).await }.boxed()
    }
}
