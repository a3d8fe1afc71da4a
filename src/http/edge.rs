//! What the conventions of the HTTP edge need: their settings and the questions they ask the services.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::config::Config;
use crate::domain::rng::Rng;
use crate::http::error::leader::LeaderRedirects;
use crate::http::extract::client_info::TrustedProxies;
use crate::http::forward::SharedForwarder;
use crate::http::middleware::cors::OriginPolicy;
use crate::service::limits::Limits;
use crate::service::{AdminAuthorizer, LeaderGate, UserAuthorizer};

/// The limits and policies of the edge.
#[derive(Debug, Clone)]
pub struct EdgeSettings {
    /// Longest body in bytes; longer is 413.
    pub max_body_bytes: usize,
    /// How long a client may take to send its body; longer is 408. Shorter than `request_timeout`.
    pub body_timeout: Duration,
    /// How long a request may take in all; longer is 503. Longer than the cluster's write time-out.
    pub request_timeout: Duration,
    /// Requests in work at one time; more are 503 `busy`.
    pub max_in_flight: usize,
    /// The peers whose `X-Forwarded-*` headers are believed.
    pub trusted_proxies: TrustedProxies,
    /// Whether `SERVER_PUBLIC_URL` is https: HSTS is sent, and no redirect ever leads to http.
    pub public_https: bool,
    /// Where followers send callers.
    pub redirects: LeaderRedirects,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            max_body_bytes: 256 * 1024,
            body_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            max_in_flight: 1024,
            trusted_proxies: TrustedProxies::default(),
            public_https: false,
            redirects: LeaderRedirects::default(),
        }
    }
}

impl EdgeSettings {
    /// The settings of this node. A client may use a third of a request's time to send its body.
    pub fn from_config(config: &Config) -> Self {
        Self {
            max_body_bytes: config.http.max_body_bytes,
            body_timeout: config.http.request_timeout / 3,
            request_timeout: config.http.request_timeout,
            trusted_proxies: TrustedProxies::new(config.server.trusted_proxies.clone()),
            public_https: config.server.public_url.is_https(),
            redirects: LeaderRedirects::from_config(&config.cluster),
            ..Self::default()
        }
    }
}

/// The parts an [`Edge`] is made of.
#[derive(Debug)]
pub struct EdgeParts {
    /// Limits and policies.
    pub settings: EdgeSettings,
    /// Whether this node may write.
    pub gate: Arc<dyn LeaderGate>,
    /// Who is an administrator.
    pub admins: Arc<dyn AdminAuthorizer>,
    /// Who is a user.
    pub users: Arc<dyn UserAuthorizer>,
    /// Which origins may call from a browser.
    pub origins: Arc<dyn OriginPolicy>,
    /// The way to the leader, where followers pass writes on.
    pub forwarder: Option<SharedForwarder>,
    /// How often somebody may ask.
    pub limits: Limits,
    /// For request ids.
    pub rng: Arc<dyn Rng>,
}

/// Shared by all middleware; cheap to clone.
#[derive(Debug, Clone)]
pub struct Edge(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    parts: EdgeParts,
    in_flight: Semaphore,
    told_of_proxy: AtomicBool,
}

impl Edge {
    /// An edge from its parts.
    pub fn new(parts: EdgeParts) -> Self {
        let permits = parts.settings.max_in_flight.min(Semaphore::MAX_PERMITS);
        Self(Arc::new(Inner {
            parts,
            in_flight: Semaphore::new(permits),
            told_of_proxy: AtomicBool::new(false),
        }))
    }

    /// Limits and policies.
    pub fn settings(&self) -> &EdgeSettings {
        &self.0.parts.settings
    }

    pub(super) fn gate(&self) -> &dyn LeaderGate {
        self.0.parts.gate.as_ref()
    }

    pub(super) fn admins(&self) -> &dyn AdminAuthorizer {
        self.0.parts.admins.as_ref()
    }

    pub(super) fn users(&self) -> &dyn UserAuthorizer {
        self.0.parts.users.as_ref()
    }

    pub(super) fn origins(&self) -> Arc<dyn OriginPolicy> {
        Arc::clone(&self.0.parts.origins)
    }

    pub(super) fn forwarder(&self) -> Option<&SharedForwarder> {
        self.0.parts.forwarder.as_ref()
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.0.parts.limits
    }

    /// True once: whoever asks first tells the operator of a proxy that is not named.
    pub(super) fn tell_of_proxy(&self) -> bool {
        !self.0.told_of_proxy.swap(true, Ordering::Relaxed)
    }

    pub(super) fn rng(&self) -> &dyn Rng {
        self.0.parts.rng.as_ref()
    }

    pub(super) fn in_flight(&self) -> &Semaphore {
        &self.0.in_flight
    }
}

/// What the listener knows of a connection; it puts this into the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// The other end of the socket.
    pub peer: SocketAddr,
    /// Whether the socket speaks TLS.
    pub tls: bool,
}
