//! Authorization codes (RFC 6749 §4.1.2; S30, S31): what a person let a client have, between the browser that brings the code and
//! the client that redeems it. Knows no storage and no crypto.

use std::time::Duration;

use hellojohn_control::{ScopeName, Timestamp};

use super::browser_session::ClientRef;
use super::refresh_token::FamilyId;
use super::user::UserId;

/// How long a code can be redeemed (RFC 6749 §4.1.2: ten minutes at most; S31: one).
pub const CODE_LIFE: Duration = Duration::from_secs(60);

/// By which session a person was known who let a client have a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorizer {
    /// That of their browser.
    Browser(FamilyId),
    /// That of an access token, where the node takes such for sessions (`AUTH_ALLOW_BEARER_SESSION`).
    Family(FamilyId),
}

/// What a code stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationCode {
    /// Who let the client have it.
    pub user_id: UserId,
    /// The session in which they did. It says how and when they were authenticated, and its end is the code's.
    pub authorizer: Authorizer,
    /// The client that may redeem it, by its document.
    pub client: ClientRef,
    /// Where it was sent.
    pub redirect_uri: String,
    /// Whether the request named that address; then the redemption must, too (RFC 6749 §4.1.3).
    pub redirect_uri_sent: bool,
    /// What is granted.
    pub scope: Vec<ScopeName>,
    /// For which resources access tokens are (RFC 8707).
    pub resources: Vec<String>,
    /// Comes back in the ID token (OpenID Connect Core §3.1.2.1).
    pub nonce: Option<String>,
    /// SHA-256 of the verifier (RFC 7636).
    pub challenge: Option<[u8; 32]>,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is worth nothing.
    pub expires_at: Timestamp,
}

/// Whether a code can still be redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeUse {
    /// Nobody has tried.
    Unused,
    /// Somebody has; what it yielded, if it yielded anything.
    Used(Option<FamilyId>),
}
