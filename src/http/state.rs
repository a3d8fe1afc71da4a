//! What handlers reach: the services, and nothing below them. Owns no decision; cheap to clone.

use std::ops::Deref;
use std::sync::Arc;

use axum::extract::FromRef;

use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::rng::Rng;
use crate::http::cookies::CookieRules;
use crate::http::health::HealthState;
use crate::http::openapi::Document;
use crate::service::account::AccountService;
use crate::service::control::ControlService;
use crate::service::oauth::OAuthService;
use crate::service::user_store::UserStores;

/// The state of every surface. Surfaces are generic over a state from which the parts they need can be had
/// ([`FromRef`]), and this is the one that is served. One pointer, because axum clones it with every request.
#[derive(Debug, Clone)]
pub struct AppState(Arc<Parts>);

/// What [`AppState`] holds.
#[derive(Debug)]
pub struct Parts {
    /// Tenants, clients, scopes and keys.
    pub control: ControlService,
    /// People: register, login, refresh, logout, profile.
    pub accounts: AccountService,
    /// Clients: authorize, redeem, look at and revoke tokens.
    pub oauth: OAuthService,
    /// The user databases and which tenant is in which.
    pub stores: UserStores,
    /// The configuration of this node; its secrets are redacted in `Debug` and are no business of a handler.
    pub settings: Arc<Config>,
    /// How cookies are set.
    pub cookies: CookieRules,
    /// How this node is doing.
    pub health: HealthState,
    /// What the routes take and answer.
    pub openapi: Document,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
}

impl From<Parts> for AppState {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }
}

impl Deref for AppState {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

macro_rules! part {
    ($($field:ident: $part:ty),+) => {$(
        impl FromRef<AppState> for $part {
            fn from_ref(state: &AppState) -> Self {
                state.$field.clone()
            }
        }
    )+};
}

part!(
    control: ControlService,
    accounts: AccountService,
    oauth: OAuthService,
    stores: UserStores,
    health: HealthState,
    openapi: Document,
    cookies: CookieRules
);
