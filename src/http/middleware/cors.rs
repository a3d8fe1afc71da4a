//! CORS from an allow-list of exact origins; `Origin: null` is refused, and `/authorize` has none (S17).

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, Method, header};
use tower_http::cors::{AllowCredentials, AllowOrigin, CorsLayer};

use super::limit;
use crate::http::{error::oauth, extract::conditions, request_id};

/// What a browser at some origin may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Refused,
    /// Call and read answers, without cookies.
    Allowed,
    /// Call with cookies: the operator's own pages only.
    WithCredentials,
}

/// Decides by origin and path. Called for every request that has an `Origin`; must not block.
pub trait OriginPolicy: Send + Sync + Debug {
    /// What `origin` may do at `path`.
    fn access(&self, origin: &str, path: &str) -> Access;
}

/// `SERVER_CORS_ALLOWED_ORIGINS` and the UI's origin, compared exactly.
#[derive(Debug, Clone, Default)]
pub struct OriginList {
    /// The origins of `SERVER_CORS_ALLOWED_ORIGINS`.
    pub allowed: BTreeSet<String>,
    /// `UI_PUBLIC_ORIGIN`.
    pub ui: Option<String>,
}

impl OriginPolicy for OriginList {
    fn access(&self, origin: &str, _: &str) -> Access {
        if self.ui.as_deref() == Some(origin) {
            Access::WithCredentials
        } else if self.allowed.contains(origin) {
            Access::Allowed
        } else {
            Access::Refused
        }
    }
}

/// The policy's word, after the rules that no policy can change.
fn access(policy: &dyn OriginPolicy, origin: &HeaderValue, path: &str) -> Access {
    let is_authorize = oauth::speaks_at(path) && path.ends_with("/authorize");
    match origin.to_str() {
        Ok(origin) if origin != "null" && !is_authorize => policy.access(origin, path),
        Ok(_) | Err(_) => Access::Refused,
    }
}

pub(in crate::http) fn layer(policy: Arc<dyn OriginPolicy>) -> CorsLayer {
    let for_credentials = Arc::clone(&policy);
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(move |origin, parts| {
            access(policy.as_ref(), origin, parts.uri.path()) != Access::Refused
        }))
        .allow_credentials(AllowCredentials::predicate(move |origin, parts| {
            access(for_credentials.as_ref(), origin, parts.uri.path()) == Access::WithCredentials
        }))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            header::IF_MATCH,
            header::IF_NONE_MATCH,
            conditions::MIN_INDEX,
            request_id::HEADER,
            HeaderName::from_static("idempotency-key"),
            HeaderName::from_static("traceparent"),
            HeaderName::from_static("x-leader-redirect"),
        ])
        .expose_headers([
            header::ETAG,
            header::RETRY_AFTER,
            header::WWW_AUTHENTICATE,
            request_id::HEADER,
            HeaderName::from_static("x-applied-index"),
            HeaderName::from_static("x-leader"),
            HeaderName::from_static("x-leader-url"),
            HeaderName::from_static("idempotency-replayed"),
            limit::HEADERS[0].clone(),
            limit::HEADERS[1].clone(),
            limit::HEADERS[2].clone(),
        ])
        .max_age(Duration::from_secs(600))
}
