//! OAuth 2.1 and OpenID Connect for clients (EP030-EP034): authorize, redeem, look at, revoke. One verb a file.
//!
//! Owns what a client may ask for, and which errors tell it what (RFC 6749 §4.1.2.1, §5.2). How people log in, and what
//! becomes of their sessions, is `account`'s. Must never answer to an address that is not proven to be the client's, and never
//! need the user database for what no person is behind.

mod authorize;
mod client;
mod client_credentials;
mod decision;
mod exchange_code;
mod form_token;
mod hint;
mod hosted;
mod introspect;
mod params;
mod place;
mod redeem;
mod request;
mod revoke;
mod scope;
mod userinfo;

pub use authorize::Asked;
pub use client::{ClientProof, Presented};
pub use decision::{AskConsent, Back, Decision, LogIn};
pub use hosted::Hosted;
pub use introspect::{Introspection, Introspector};
pub use params::{Params, ParamsError};
pub use place::Whereabouts;
pub use redeem::Grant;

use std::sync::Arc;

use hellojohn_control::ScopeName;

use super::account::AccountService;
use super::authenticate::Authenticator;
use super::tokens::TokenIssuer;
use super::user_store::UserStores;
use crate::cluster::ControlPlane;
use crate::config::Config;
use crate::crypto::CipherFailure;
use crate::crypto::marker::Marker;
use crate::crypto::secret::SecretString;
use crate::domain::clock::Clock;
use crate::domain::rng::Rng;

/// What the endpoints need of the configuration.
#[derive(Debug, Clone)]
pub struct OAuthSettings {
    /// `CONSENT_AUTO_SCOPES`; nothing where `CONSENT_AUTO` is off.
    pub consented: Vec<ScopeName>,
    /// `AUTH_ALLOW_BEARER_SESSION`.
    pub allow_bearer_session: bool,
    /// `INTROSPECT_BASIC_USER` and `INTROSPECT_BASIC_PASS`.
    pub introspector: Option<(String, SecretString)>,
}

impl OAuthSettings {
    /// The settings of `config`.
    pub fn new(config: &Config) -> Self {
        let oauth = &config.oauth;
        let password = oauth.introspect_basic_pass.as_ref().map(|pass| SecretString::from(pass.expose()));
        Self {
            consented: if oauth.consent_auto { oauth.consent_auto_scopes.clone() } else { Vec::new() },
            allow_bearer_session: oauth.allow_bearer_session,
            introspector: oauth.introspect_basic_user.clone().zip(password),
        }
    }
}

/// What an [`OAuthService`] is made of.
#[derive(Debug)]
pub struct OAuthParts {
    /// Tenants and clients.
    pub plane: ControlPlane,
    /// The user databases.
    pub stores: UserStores,
    /// People and their sessions.
    pub accounts: AccountService,
    /// Reads access tokens.
    pub authenticator: Authenticator,
    /// Makes tokens.
    pub tokens: Arc<TokenIssuer>,
    /// From the configuration.
    pub settings: OAuthSettings,
    /// Tells when an authorization request was begun.
    pub begun: Marker,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
}

/// The use cases of clients. Cheap to clone.
#[derive(Debug, Clone)]
pub struct OAuthService(Arc<OAuthParts>);

impl OAuthService {
    /// The use cases over `parts`.
    pub fn new(parts: OAuthParts) -> Self {
        Self(Arc::new(parts))
    }

    /// Marks of the beginning of authorization requests, under the secretbox master key.
    ///
    /// # Errors
    /// Never for a key of a sane length.
    pub fn marker(secretbox_master_key: &[u8]) -> Result<Marker, CipherFailure> {
        Marker::new(secretbox_master_key, b"hellojohn/authorization-request/v1")
    }
}
