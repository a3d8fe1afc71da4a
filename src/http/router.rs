//! Routes as data, and the axum router that is built from them.
//!
//! [`Surface::route`] is the only way to serve a handler: method, path, plane and audience are stated in
//! one line, an undeclared route does not compile, and [`Surface::routes`] is what tests walk (T42, S100).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::MethodRouter;
use tower::ServiceBuilder;

use crate::http::edge::Edge;
use crate::http::error::ApiError;
use crate::http::middleware::{concurrency, cors, limit, observe, panic, render};
use crate::http::plane::{Auth, Plane, RouteSpec, Verb, guard};
use crate::service::Code;

/// A set of routes for the state `S`.
pub struct Surface<S> {
    routes: Vec<(RouteSpec, MethodRouter<S>)>,
}

/// Why a surface is not served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The declaration contradicts the specification.
    #[error("route {route}: {fault}")]
    Fault {
        /// The route.
        route: String,
        /// The rule it breaks.
        fault: &'static str,
    },
    /// Two routes answer the same requests.
    #[error("route {0} collides with another one")]
    Collision(String),
}

impl<S> fmt::Debug for Surface<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(|(spec, _)| spec)).finish()
    }
}

impl<S> Default for Surface<S> {
    fn default() -> Self {
        Self { routes: Vec::new() }
    }
}

impl<S: Clone + Send + Sync + 'static> Surface<S> {
    /// A surface without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a route.
    #[must_use]
    pub fn route<H, T>(mut self, verb: Verb, path: &'static str, plane: Plane, auth: Auth, handler: H) -> Self
    where
        H: Handler<T, S>,
        T: 'static,
    {
        let spec = RouteSpec { verb, path, plane, auth };
        self.routes.push((spec, MethodRouter::new().on(verb.filter(), handler)));
        self
    }

    /// Adds the routes of another surface.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        self.routes.extend(other.routes);
        self
    }

    /// The declarations, for tests and for OpenAPI.
    pub fn routes(&self) -> impl Iterator<Item = &RouteSpec> {
        self.routes.iter().map(|(spec, _)| spec)
    }

    /// Checks every declaration by [`RouteSpec::fault`] and that no two routes collide.
    ///
    /// # Errors
    /// The first route that breaks a rule.
    pub fn check(&self) -> Result<(), RouteError> {
        let mut seen = BTreeSet::new();
        let mut shapes = BTreeMap::new();
        for spec in self.routes() {
            if let Some(fault) = spec.fault() {
                return Err(RouteError::Fault { route: spec.to_string(), fault });
            }
            // `/a/{x}` and `/a/{y}` are the same shape under two names, which axum would not serve.
            let shape: Vec<&str> =
                spec.path.split('/').map(|s| if s.starts_with('{') { "{}" } else { s }).collect();
            let same_name = *shapes.entry(shape).or_insert(spec.path) == spec.path;
            if !same_name || !seen.insert(spec.to_string()) {
                return Err(RouteError::Collision(spec.to_string()));
            }
        }
        Ok(())
    }

    /// The service: every route behind its guard, and around all of them the conventions of spec §5.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn into_router(self, edge: &Edge, state: S) -> Result<Router, RouteError> {
        self.check()?;
        let mut router = Router::new();
        for (spec, handler) in self.routes {
            let guarded = handler.route_layer(from_fn_with_state((edge.clone(), spec), guard));
            router = router.route(spec.path, guarded);
        }
        // The first is outermost: observe → render → cors → panic → concurrency → limit → guard → handler.
        Ok(router
            .fallback(async || ApiError::from(Code::RouteNotFound))
            .method_not_allowed_fallback(async || ApiError::from(Code::MethodNotAllowed))
            // Together, because axum boxes and clones for each call of `layer` anew with every request.
            .layer(
                ServiceBuilder::new()
                    .layer(from_fn_with_state(edge.clone(), observe::observe))
                    .layer(from_fn_with_state(edge.clone(), render::render))
                    .layer(cors::layer(edge.origins()))
                    .layer(from_fn(panic::catch))
                    .layer(from_fn_with_state(edge.clone(), concurrency::cap))
                    .layer(from_fn_with_state(edge.clone(), limit::limit))
                    .layer(DefaultBodyLimit::max(edge.settings().max_body_bytes)),
            )
            .with_state(state))
    }
}

#[cfg(test)]
mod tests;
