//! What the pages of mailed links share: the token in the address, the tenant that it is of, and the page of one that is dead.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use hellojohn_control::Slug;
use serde::Deserialize;

use super::language::Language;
use super::page::Page;
use super::texts::text;
use crate::crypto::secret::SecretString;
use crate::crypto::token_hash::{Kind, OpaqueToken};
use crate::service::Result;
use crate::service::oauth::{Hosted, OAuthService, Whereabouts};

/// The query of a mailed link.
#[derive(Debug, Deserialize)]
pub(super) struct Link {
    #[serde(default)]
    pub(super) token: Option<SecretString>,
    #[serde(default)]
    pub(super) ui_locales: Option<String>,
}

/// The token, if it has the form of one and may be used here: below a tenant those of another one are none.
pub(super) fn token(below: Option<&Slug>, text: &SecretString) -> Option<OpaqueToken> {
    let token = OpaqueToken::parse_of(Kind::Mail, text.expose()).ok()?;
    below.is_none_or(|slug| slug == token.tenant()).then_some(token)
}

/// The tenant of a token, if there is one. Proven by nothing: it is good for the look of a page.
pub(super) fn hosted(oauth: &OAuthService, token: &OpaqueToken) -> Option<Hosted> {
    let whereabouts = Whereabouts { path: Some(token.tenant().clone()), named: None, token: None };
    oauth.hosted(&whereabouts, None).ok()
}

/// In which language a mailed link is answered.
pub(super) fn language(ui_locales: Option<&str>, headers: &HeaderMap) -> Language {
    Language::of(ui_locales, headers)
}

/// The page for a link that works no more.
///
/// # Errors
/// As [`Page::show`].
pub(super) fn dead(language: Language) -> Result<Response> {
    let title = text(language, "link_dead_title");
    let page = Page { status: StatusCode::BAD_REQUEST, ..Page::new(language, None, title) };
    page.say(text(language, "link_dead_text"))
}
