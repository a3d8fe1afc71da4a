//! What a person lets a client have (EP120-EP124).

use hellojohn_control::{ClientId, ScopeName, Timestamp};
use uuid::Uuid;

use super::user::UserId;

/// A consent. It is for one client document: a client that was deleted and made again under its name is asked about anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consent {
    /// Who consented.
    pub user_id: UserId,
    /// Identity of the client's document.
    pub client_uuid: Uuid,
    /// Its name.
    pub client_id: ClientId,
    /// To what, by name.
    pub scopes: Vec<ScopeName>,
    /// Since when; a consent that was given again after its revocation is a new one.
    pub granted_at: Timestamp,
    /// When it was last given, widened or revoked.
    pub updated_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
