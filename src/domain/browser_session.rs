//! Sessions of browsers, known by a cookie (spec §6 EP020-1, §13.8; S77, S80).
//!
//! A browser session yields no tokens by itself: it says who sits there, since when and how that was shown, for whoever
//! asks later whether that is recent and strong enough. Knows no storage and no crypto.

use hellojohn_control::{ClientId, Slug, Timestamp};
use uuid::Uuid;

use super::refresh_token::FamilyId;
use super::user::UserId;

/// A client as a session remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientRef {
    /// Identity of the client *document*: a client_id that was deleted and made again is another client (spec §4).
    pub uuid: Uuid,
    /// The client's name in the tenant.
    pub client_id: ClientId,
}

/// The session of a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrowserSession {
    /// Identifier, of the same kind as that of a family of tokens: both are sessions of an account.
    pub id: FamilyId,
    /// The tenant that it is of, and in no other one of any worth.
    pub tenant: Slug,
    /// Whose it is.
    pub user_id: UserId,
    /// The client that it was started through; `None`: the session is the tenant's alone.
    pub client: Option<ClientRef>,
    /// How its owner was authenticated (RFC 8176).
    pub amr: Vec<String>,
    /// When its owner was authenticated.
    pub auth_time: Timestamp,
    /// When the login was.
    pub created_at: Timestamp,
    /// Absolute end; no use moves it.
    pub expires_at: Timestamp,
}
