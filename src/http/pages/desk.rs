//! What the pages share that people see before they are logged in: each is a form of one visit.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use hellojohn_control::Slug;
use minijinja::{Value, context};

use super::guard::{Bound, check_visitor};
use super::page::{Page, tell_when};
use super::texts::text;
use super::visit::Visit;
use crate::crypto::secret::SecretString;
use crate::http::cookies::{self, CookieRules};
use crate::service::account::{BrowserLogin, Credentials};
use crate::service::oauth::{Hosted, OAuthService, Params};
use crate::service::{Code, Error, Result};

/// A page of somebody's visit, and all that it is made from.
pub(super) struct Desk<'a> {
    oauth: &'a OAuthService,
    pub(super) rules: &'a CookieRules,
    headers: &'a HeaderMap,
    pub(super) visit: Visit,
    pub(super) hosted: Hosted,
}

/// A status, and what is said of it.
pub(super) type Told = (StatusCode, &'static str);

impl<'a> Desk<'a> {
    /// The page of that address.
    ///
    /// # Errors
    /// Those of [`Visit::read`] and [`Visit::hosted`].
    pub(super) fn open(
        oauth: &'a OAuthService,
        rules: &'a CookieRules,
        headers: &'a HeaderMap,
        below: Option<Slug>,
        query: Option<&str>,
    ) -> Result<Self> {
        let visit = Visit::read(below, query, headers)?;
        let hosted = visit.hosted(oauth)?;
        Ok(Self { oauth, rules, headers, visit, hosted })
    }

    /// The form called `name`: its template, its title and its address are called so, too.
    ///
    /// # Errors
    /// As [`Page::show`].
    pub(super) fn form(&self, name: &str, values: Value, error: Option<(&Error, Told)>) -> Result<Response> {
        let Self { oauth, rules, headers, visit, hosted } = self;
        let language = visit.language;
        let page = Page {
            status: error.map_or(StatusCode::OK, |(_, (status, _))| status),
            alert: error.map(|(_, (_, name))| text(language, name)).filter(|text| !text.is_empty()),
            ..Page::new(language, Some(hosted), text(language, &format!("{name}_title")))
        };
        let bound = Bound::of(headers, rules, oauth);
        let around = context! {
            csrf_token => bound.token(oauth),
            action => visit.to(name),
            login => visit.to("login"),
            client => hosted.client().map(|client| client.name.as_str()),
        };
        let mut response = page.show(&format!("{name}.html"), context! { ..values, ..around })?;
        if let Some((error, _)) = error {
            tell_when(response.headers_mut(), error);
        }
        bound.give(rules, response)
    }

    /// A page of this visit that says something.
    ///
    /// # Errors
    /// As [`Page::show`].
    pub(super) fn say(&self, title: &str, words: &str) -> Result<Response> {
        let language = self.visit.language;
        Page::new(language, Some(&self.hosted), text(language, title)).say(text(language, words))
    }

    /// Whether the form that was sent is one of ours.
    ///
    /// # Errors
    /// `csrf_refused`.
    pub(super) fn check(&self, params: &Params) -> Result<()> {
        check_visitor(self.headers, self.rules, self.oauth, params)
    }

    /// The login that a form of this visit asks for.
    pub(super) fn login(&self, params: &Params) -> BrowserLogin {
        BrowserLogin {
            credentials: Credentials {
                tenant: self.hosted.tenant().clone(),
                email: params.get("email").unwrap_or_default().to_owned(),
                password: params.secret("password").cloned().unwrap_or_else(|| SecretString::from("")),
                proof: None,
                device: cookies::value_of(self.headers, cookies::DEVICE),
            },
            client_id: self.visit.client_id.clone(),
            return_to: self.visit.return_to.clone(),
            cookie: self.rules.session_in(self.headers),
        }
    }
}

/// What a refusal is called on a page, and its status; none for one that no form is to blame for.
pub(super) fn told(error: &Error) -> Option<Told> {
    match error.code() {
        Code::CsrfRefused => Some((StatusCode::FORBIDDEN, "form_expired")),
        // A password that is too long is nobody's.
        Code::InvalidCredentials | Code::InvalidParameter => Some((StatusCode::UNAUTHORIZED, "login_wrong")),
        Code::AccountLocked => Some((StatusCode::FORBIDDEN, "login_locked")),
        Code::AccountDisabled => Some((StatusCode::FORBIDDEN, "login_disabled")),
        Code::ProviderNotAllowed => Some((StatusCode::FORBIDDEN, "login_way")),
        Code::TooManyRequests => Some((StatusCode::TOO_MANY_REQUESTS, "too_many")),
        Code::Busy => Some((StatusCode::SERVICE_UNAVAILABLE, "busy")),
        _ => None,
    }
}
