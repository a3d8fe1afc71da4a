//! What a route declares about itself, and the guard that is built from it: 401, 403, gate, body (§13.9);
//! before all of them 503 on a node that has not learned the catalogue yet.
//!
//! The only place that makes a [`WriteContext`]: a handler can have one only behind the leader gate.

use std::fmt;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::{Method, request::Parts};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodFilter;

use crate::http::bearer::bearer_of;
use crate::http::edge::Edge;
use crate::http::error::{ApiError, ApiResult, oauth};
use crate::http::extract::{Caller, ClientInfo, idempotency, precondition_of};
use crate::http::forward;
use crate::http::read::{APPLIED_INDEX, set_applied};
use crate::http::request_id::RequestId;
use crate::service::{Code, Error, IdempotencyKey, WriteContext};

/// Which half of the system a route works on (spec §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plane {
    /// Tenants, clients, scopes, signing keys, membership: mutators need the leader and are gated.
    Control,
    /// Users and everything else: served by every node at all times, never gated.
    User,
}

/// Who may call a route. Checked before the gate and before the body is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Auth {
    /// The edge checks nothing; OAuth client authentication and cookies are the handler's matter.
    Public,
    /// A live access token of a user.
    User,
    /// An administrator's access token.
    Admin,
}

/// The method of a route. `Get` answers HEAD too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verb {
    /// GET and HEAD.
    Get,
    /// POST.
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl Verb {
    /// Whether the method may change something.
    pub const fn mutates(self) -> bool {
        match self {
            Verb::Get => false,
            Verb::Post | Verb::Put | Verb::Patch | Verb::Delete => true,
        }
    }

    /// The method as `http` names it, for tests that walk the routes.
    pub const fn method(self) -> Method {
        match self {
            Verb::Get => Method::GET,
            Verb::Post => Method::POST,
            Verb::Put => Method::PUT,
            Verb::Patch => Method::PATCH,
            Verb::Delete => Method::DELETE,
        }
    }

    pub(super) const fn filter(self) -> MethodFilter {
        match self {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Put => MethodFilter::PUT,
            Verb::Patch => MethodFilter::PATCH,
            Verb::Delete => MethodFilter::DELETE,
        }
    }
}

/// A route as data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RouteSpec {
    /// The method.
    pub verb: Verb,
    /// The path pattern, such as `/v1/admin/tenants/{slug}`; also the label in metrics and logs.
    pub path: &'static str,
    /// The plane.
    pub plane: Plane,
    /// The audience.
    pub auth: Auth,
}

impl RouteSpec {
    /// Whether the leader gate stands before the handler: every mutator of the control plane.
    pub const fn is_gated(&self) -> bool {
        match self.plane {
            Plane::Control => self.verb.mutates(),
            Plane::User => false,
        }
    }

    /// Whether every answer to an admitted caller says which log index it reflects (spec §3.3).
    const fn tells_index(&self) -> bool {
        matches!((self.plane, self.auth), (Plane::Control, Auth::Admin))
    }

    /// What is wrong with the declaration by the rules of spec §3.3 and §13.9, if anything.
    ///
    /// The documents of the control plane live under `/v1/admin/{tenants,keys,cluster}`: every mutator
    /// there is control plane, except the few that §13.9 names. A new one that is declared user plane by
    /// mistake is found here, and the router is not built.
    pub fn fault(&self) -> Option<&'static str> {
        let segments: Vec<&str> = self.path.split('/').skip(1).collect();
        let (admin_area, rest) = match segments.as_slice() {
            ["v1", "admin", area, rest @ ..] => (Some(*area), rest),
            _ => (None, [].as_slice()),
        };
        if segments.starts_with(&["v1", "admin"]) && self.auth != Auth::Admin {
            return Some("routes under /v1/admin are for administrators");
        }
        if self.is_gated() && self.auth != Auth::Admin {
            return Some("a control-plane mutator is for administrators (no cluster hints for strangers)");
        }
        if !self.verb.mutates() {
            return None;
        }
        // Area by area, what §13.9 counts to the user plane; every other mutator of the area is control.
        let expected = match admin_area {
            Some("tenants") if rest.contains(&"user-store") || rest.last() == Some(&"revoke") => Plane::User,
            Some("cluster") if rest == ["snapshot"] => Plane::User,
            Some("tenants" | "keys" | "cluster") => Plane::Control,
            _ => Plane::User,
        };
        match (self.plane == expected, expected) {
            (true, _) => None,
            (false, Plane::Control) => Some("spec §13.9: this mutator is control plane and must be gated"),
            (false, Plane::User) => Some("spec §13.9: this mutator is user plane and must not be gated"),
        }
    }
}

impl fmt::Display for RouteSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb.method(), self.path)
    }
}

/// The mark that the gate leaves on a request. Private: nobody else can make one.
#[derive(Debug, Clone, Copy)]
struct GatePassed;

/// The guard around every handler: who is it (401), may they (403), is this the place (409/307/503).
/// The body is untouched until the handler's own extractors run.
pub(super) async fn guard(
    State((edge, spec)): State<(Edge, RouteSpec)>,
    mut request: Request,
    next: Next,
) -> Response {
    let limit = edge.settings().request_timeout;
    let mut past_gate = false;
    let work = async {
        if let Err(error) = admit(&edge, &spec, &mut request).await {
            return ApiError::from(error).into_response();
        }
        // What another node has passed on goes no further, and is a write of the control plane.
        let passed_on = request.extensions().get::<forward::Once>().is_some();
        if passed_on && !spec.is_gated() {
            return ApiError::from(Code::RouteNotFound).into_response();
        }
        let forwarder = edge.forwarder().filter(|_| spec.is_gated() && !passed_on);
        if forwarder.is_none()
            && spec.is_gated()
            && let Err(error) = edge.gate().let_in().await
        {
            return ApiError::from(error).into_response();
        }
        past_gate = spec.is_gated();
        // Taken before the handler looks: whatever it answers, an error too, reflects at least this index.
        let reflects = spec.tells_index().then(|| edge.gate().applied_index());
        let handler = forward::handler(&next);
        let carried_out = match forwarder {
            Some(forwarder) => {
                let here = |request| write_here(request, &handler);
                forward::carry_out(&edge, forwarder.as_ref(), &spec, request, here).await
            }
            None if past_gate => Ok(write_here(request, &handler).await),
            None => Ok(handler(request).await),
        };
        let mut response = carried_out.unwrap_or_else(|error| ApiError::from(error).into_response());
        if let Some(index) = reflects.filter(|_| !response.headers().contains_key(APPLIED_INDEX)) {
            set_applied(response.headers_mut(), index);
        }
        response
    };
    match tokio::time::timeout(limit, work).await {
        Ok(response) => response,
        // Past the gate the handler may have proposed: to say anything but "unknown" would be a guess.
        Err(_) if past_gate => ApiError::from(
            Error::outcome_unknown(limit).context(format_args!("{spec} not finished within {limit:?}")),
        )
        .into_response(),
        Err(_) => ApiError::from(
            Error::new(Code::DeadlineExceeded).context(format_args!("{spec} not finished within {limit:?}")),
        )
        .into_response(),
    }
}

async fn admit(edge: &Edge, spec: &RouteSpec, request: &mut Request) -> Result<(), Error> {
    // Health and key sets answer for themselves.
    if spec.path.starts_with("/v1/") || oauth::speaks_at(spec.path) {
        edge.gate().check_knows()?;
    }
    let principal = match spec.auth {
        Auth::Public => None,
        Auth::User => {
            let bearer = bearer_of(request.headers())?;
            Some(edge.users().authenticate(bearer.expose()).await?)
        }
        Auth::Admin => {
            let bearer = bearer_of(request.headers())?;
            Some(edge.admins().authorize(bearer.expose()).await?)
        }
    };
    if let Some(principal) = principal {
        request.extensions_mut().insert(Caller(principal));
    }
    Ok(())
}

/// Runs the handler of a write behind the gate.
async fn write_here<F>(mut request: Request, handler: impl Fn(Request) -> F) -> Response
where
    F: Future<Output = Response>,
{
    request.extensions_mut().insert(GatePassed);
    let (request, key) = match idempotency::take(request).await {
        Ok(taken) => taken,
        Err(error) => return ApiError::from(error).into_response(),
    };
    let mut response = handler(request).await;
    if key.is_some_and(|key| key.was_replayed()) {
        response.headers_mut().insert(idempotency::REPLAYED, idempotency::TRUE);
    }
    response
}

impl<S: Sync> FromRequestParts<S> for WriteContext {
    type Rejection = ApiError;

    /// The context of a control-plane write: the caller, the request id, the address and the
    /// precondition of the headers (malformed: 400 `invalid_header`).
    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        if parts.extensions.get::<GatePassed>().is_none() {
            return Err(Error::internal("a handler takes a WriteContext on a route without the gate").into());
        }
        let Caller(principal) = Caller::from_request_parts(parts, state).await?;
        let client = ClientInfo::of(&parts.extensions);
        let request_id = RequestId::of(&parts.extensions);
        let precondition = precondition_of(&parts.headers)?;
        let key = parts.extensions.get::<IdempotencyKey>().cloned();
        let request_id = request_id.as_str().to_owned();
        Ok(WriteContext::after_gate(principal, request_id, client.ip, precondition).idempotent(key))
    }
}

#[cfg(test)]
mod tests;
