//! The hosted pages (spec §13.8), also below `/t/{slug}`: how people log in, register, prove a second factor, consent and leave; and
//! those that links in mails lead to. Forms lead back by the same path, whatever a proxy put before it.
//!
//! A GET shows a form and does nothing, so whatever looks at links before people do changes nothing (S74). Every form proves that a
//! page of ours made it (`guard`); those of mailed links carry the mailed token, which is the proof and needs no other (S72). No
//! script runs, nothing is loaded but the tenant's logo, no page can be framed, and no address with a token in it is passed on (S18,
//! S20). What comes from outside is escaped by the templates (S108).

mod account;
mod color;
mod consent;
mod desk;
mod error;
mod forgot;
mod guard;
mod language;
mod login;
mod mailed;
mod mfa;
mod page;
mod register;
mod reset;
mod texts;
mod verify_email;
mod visit;

pub(in crate::http) use page::escaped;

use std::time::Duration;

use axum::extract::FromRef;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};

use self::language::Language;
use self::page::{Page, tell_when};
use self::texts::text;
use crate::crypto::secret::SecretString;
use crate::http::cookies::CookieRules;
use crate::http::error::status;
use crate::http::middleware::render::log as log_refusal;
use crate::http::{Auth, Plane, Surface, Verb};
use crate::service::account::AccountService;
use crate::service::oauth::{OAuthService, Params};
use crate::service::{Code, Error, Result};

/// The cookie with the first half of a login.
const HALF: &str = "hj_half";
/// As long as the half login.
const HALF_LIFE: Duration = Duration::from_secs(5 * 60);

/// The routes.
pub fn surface<S>() -> Surface<S>
where
    S: Clone + Send + Sync + 'static,
    AccountService: FromRef<S>,
    OAuthService: FromRef<S>,
    CookieRules: FromRef<S>,
{
    use Auth::Public;
    use Plane::User;
    use Verb::{Get, Post};
    Surface::new()
        .route(Get, "/login", User, Public, login::show)
        .route(Post, "/login", User, Public, login::submit)
        .route(Get, "/register", User, Public, register::show)
        .route(Post, "/register", User, Public, register::submit)
        .route(Get, "/mfa", User, Public, mfa::show)
        .route(Post, "/mfa", User, Public, mfa::submit)
        .route(Get, "/consent", User, Public, consent::show)
        .route(Post, "/consent", User, Public, consent::submit)
        .route(Get, "/account", User, Public, account::show)
        .route(Post, "/account", User, Public, account::submit)
        .route(Get, "/forgot", User, Public, forgot::show)
        .route(Post, "/forgot", User, Public, forgot::submit)
        .route(Get, "/reset", User, Public, reset::show)
        .route(Post, "/reset", User, Public, reset::set)
        .route(Get, "/verify-email", User, Public, verify_email::show)
        .route(Post, "/verify-email", User, Public, verify_email::confirm)
        .route(Get, "/error", User, Public, error::show)
        .route(Get, "/t/{slug}/login", User, Public, login::show)
        .route(Post, "/t/{slug}/login", User, Public, login::submit)
        .route(Get, "/t/{slug}/register", User, Public, register::show)
        .route(Post, "/t/{slug}/register", User, Public, register::submit)
        .route(Get, "/t/{slug}/mfa", User, Public, mfa::show)
        .route(Post, "/t/{slug}/mfa", User, Public, mfa::submit)
        .route(Get, "/t/{slug}/consent", User, Public, consent::show)
        .route(Post, "/t/{slug}/consent", User, Public, consent::submit)
        .route(Get, "/t/{slug}/account", User, Public, account::show)
        .route(Post, "/t/{slug}/account", User, Public, account::submit)
        .route(Get, "/t/{slug}/forgot", User, Public, forgot::show)
        .route(Post, "/t/{slug}/forgot", User, Public, forgot::submit)
        .route(Get, "/t/{slug}/reset", User, Public, reset::show)
        .route(Post, "/t/{slug}/reset", User, Public, reset::set)
        .route(Get, "/t/{slug}/verify-email", User, Public, verify_email::show)
        .route(Post, "/t/{slug}/verify-email", User, Public, verify_email::confirm)
        .route(Get, "/t/{slug}/error", User, Public, error::show)
}

/// The page for a request that cannot be answered anywhere else.
pub(in crate::http) fn error_page(headers: &HeaderMap, ui_locales: Option<&str>, error: &Error) -> Response {
    log_refusal(error);
    let status = status::of(error.code());
    let language = Language::of(ui_locales, headers);
    let page = Page { status, ..Page::new(language, None, text(language, "error_title")) };
    let mut response = page.say(error.public_text()).unwrap_or_else(|_| status.into_response());
    tell_when(response.headers_mut(), error);
    response
}

/// What a page answers: itself, or the page of an error.
fn answered(headers: &HeaderMap, shown: Result<Response>) -> Response {
    shown.unwrap_or_else(|error| error_page(headers, None, &error))
}

/// On to another page, by GET (S19).
fn redirect(to: &str) -> Result<Response> {
    let location = HeaderValue::try_from(to).map_err(Error::internal)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

/// A field of a form that must be there.
fn one(params: &Params, name: &'static str) -> Result<SecretString> {
    let missing = || Error::bad_input(Code::InvalidParameter, format!("the form needs {name} once"));
    params.secret(name).cloned().ok_or_else(missing)
}
