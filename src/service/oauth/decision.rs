//! What becomes of an authorization request: back to the client, or first to a page of ours.

use hellojohn_control::documents::ResponseMode;
use hellojohn_control::{ClientId, ScopeName, Slug};
use url::form_urlencoded;

use crate::domain::return_to::ReturnTo;
use crate::service::Error;

/// An answer to the client, at an address that is proven to be its own.
#[derive(Clone, PartialEq, Eq)]
pub struct Back {
    /// The address.
    pub redirect_uri: String,
    /// How it travels.
    pub mode: ResponseMode,
    /// What it says. `iss` is always among it (RFC 9207).
    pub params: Vec<(&'static str, String)>,
}

/// A code is among the parameters.
impl std::fmt::Debug for Back {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Back").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

impl Back {
    /// The address with the parameters in its query. What is in the query already stays (RFC 6749 §3.1.2).
    pub fn location(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(self.params.iter().map(|(name, value)| (*name, value.as_str())));
        let query = query.finish();
        let joint = if self.redirect_uri.contains('?') { '&' } else { '?' };
        format!("{}{joint}{query}", self.redirect_uri)
    }
}

/// Where the person is sent who must log in, and what with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIn {
    /// The tenant.
    pub tenant: Slug,
    /// The client that they come from.
    pub client_id: ClientId,
    /// Whether the request came below `/t/{slug}`.
    pub below: bool,
    /// Whether they want an account rather than to log in (`prompt=create`).
    pub create: bool,
    /// Who they may be.
    pub login_hint: Option<String>,
    /// The languages that they may read, as sent.
    pub ui_locales: Option<String>,
    /// Where it goes on.
    pub return_to: ReturnTo,
}

/// What the person is asked to consent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskConsent {
    /// The tenant.
    pub tenant: Slug,
    /// The client.
    pub client_id: ClientId,
    /// Its name for people.
    pub client_name: String,
    /// What it asks for, by name and description.
    pub scopes: Vec<(ScopeName, String)>,
    /// The address of the person's account.
    pub email: String,
    /// Whether the request came below `/t/{slug}`.
    pub below: bool,
    /// The languages that they may read, as sent.
    pub ui_locales: Option<String>,
    /// Where it goes on.
    pub return_to: ReturnTo,
}

/// What becomes of an authorization request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The client is let in.
    Back(Back),
    /// It is not, for this reason.
    Refused(Back, Error),
    /// Somebody must log in first.
    LogIn(LogIn),
    /// Somebody must consent first.
    Consent(Box<AskConsent>),
}
