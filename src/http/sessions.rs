//! How a live session looks in an answer, to its owner and to an administrator (EP010, EP130).

use hellojohn_control::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::refresh_token::{FamilyId, Session};
use crate::http::extract::Page;
use crate::service::{Code, Error, Result};

/// A session.
#[derive(Serialize)]
pub(super) struct SessionBody {
    id: String,
    kind: &'static str,
    client_id: Option<String>,
    amr: Vec<String>,
    created_at: Timestamp,
    last_used_at: Timestamp,
    expires_at: Timestamp,
    /// Whether it is the one of the token or of the browser that asks; only its owner is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<bool>,
}

impl SessionBody {
    /// The session as its owner sees it, who asks with a token of the session `current` and from a browser of the session
    /// `browser`.
    pub(super) fn own(session: Session, current: Option<&str>, browser: Option<FamilyId>) -> Self {
        let asks = browser == Some(session.id);
        let body = Self::from(session);
        Self { current: Some(asks || current == Some(&body.id)), ..body }
    }

    /// Its key in a list.
    pub(super) fn id(&self) -> &str {
        &self.id
    }
}

impl From<Session> for SessionBody {
    fn from(session: Session) -> Self {
        Self {
            id: session.id.0.to_string(),
            kind: session.kind.as_str(),
            client_id: session.client_id.map(|client_id| client_id.to_string()),
            amr: session.amr,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            expires_at: session.expires_at,
            current: None,
        }
    }
}

/// The session after which a page begins.
///
/// # Errors
/// `invalid_parameter`.
pub(super) fn after(page: &Page) -> Result<Option<FamilyId>> {
    let after = page.after.as_deref().map(Uuid::try_parse).transpose();
    let after = after
        .map_err(|_| Error::bad_input(Code::InvalidParameter, "cursor is not one that this API gave"))?;
    Ok(after.map(FamilyId))
}
