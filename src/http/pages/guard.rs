//! Whether a form comes from a page of ours, in the browser that we gave it to (S78, S19): by what the browser says of where it
//! comes from, and by a token that is bound to a cookie. Before a login that is a cookie for this purpose; then it is the session.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

use crate::crypto::secret::SecretString;
use crate::http::cookies::{self, CookieRules};
use crate::service::oauth::{OAuthService, Params};
use crate::service::{Code, Result};

/// The cookie of a browser in which nobody is logged in.
const COOKIE: &str = "hj_form";
/// As long as a form is good.
const LIFE: Duration = Duration::from_secs(60 * 60);
/// The field of every form.
const FIELD: &str = "csrf_token";

/// The cookie that the forms of a visitor are bound to, and whether the browser has it already.
pub(super) struct Bound {
    cookie: SecretString,
}

impl Bound {
    /// That of the browser; a new one where it has none.
    pub(super) fn of(headers: &HeaderMap, rules: &CookieRules, oauth: &OAuthService) -> Self {
        Self { cookie: sent(headers, rules).unwrap_or_else(|| oauth.new_form_cookie()) }
    }

    /// What the form carries.
    pub(super) fn token(&self, oauth: &OAuthService) -> String {
        oauth.form_token(&self.cookie)
    }

    /// Gives the browser the cookie.
    ///
    /// # Errors
    /// `internal`, as [`CookieRules::set`].
    pub(super) fn give(&self, rules: &CookieRules, mut response: Response) -> Result<Response> {
        let cookie = rules.set(&rules.own_name(COOKIE), &self.cookie, LIFE)?;
        response.headers_mut().append(header::SET_COOKIE, cookie);
        with_origin(&mut response);
        Ok(response)
    }
}

fn sent(headers: &HeaderMap, rules: &CookieRules) -> Option<SecretString> {
    let cookie = cookies::value_of(headers, &rules.own_name(COOKIE))?;
    // Ours have 24 random bytes. A shorter one is somebody else's.
    (cookie.expose().len() == 32).then_some(cookie)
}

/// Browsers say `Origin: null` of a form on a page that passes no address on at all. These have no secret in theirs.
pub(super) fn with_origin(response: &mut Response) {
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
}

/// Whether the form of a visitor is one of ours.
///
/// # Errors
/// `csrf_refused`.
pub(super) fn check_visitor(
    headers: &HeaderMap,
    rules: &CookieRules,
    oauth: &OAuthService,
    params: &Params,
) -> Result<()> {
    check(headers, rules, oauth, params, sent(headers, rules).as_ref())
}

/// The same of somebody who is logged in.
///
/// # Errors
/// `csrf_refused`.
pub(super) fn check_session(
    headers: &HeaderMap,
    rules: &CookieRules,
    oauth: &OAuthService,
    params: &Params,
) -> Result<()> {
    check(headers, rules, oauth, params, rules.session_in(headers).as_ref())
}

fn check(
    headers: &HeaderMap,
    rules: &CookieRules,
    oauth: &OAuthService,
    params: &Params,
    cookie: Option<&SecretString>,
) -> Result<()> {
    rules.pages().check_form(headers)?;
    let right =
        cookie.zip(params.get(FIELD)).is_some_and(|(cookie, token)| oauth.is_form_token(token, cookie));
    if right { Ok(()) } else { Err(Code::CsrfRefused.into()) }
}
