//! `/login`: address and password, and what comes after them.

use axum::extract::{Request, State};
use axum::http::header;
use axum::response::Response;
use minijinja::context;

use super::desk::{Desk, told};
use super::page::Page;
use super::texts::text;
use super::{HALF, HALF_LIFE, answered, redirect};
use crate::domain::return_to::ReturnTo;
use crate::http::cookies::CookieRules;
use crate::http::extract::Below;
use crate::http::oauth2;
use crate::service::account::{AccountService, BrowserStart, LoggedIn, Started};
use crate::service::audit::Requester;
use crate::service::oauth::OAuthService;
use crate::service::{Error, Result};

pub(super) async fn show(
    State(oauth): State<OAuthService>,
    State(rules): State<CookieRules>,
    Below(below): Below,
    request: Request,
) -> Response {
    let headers = request.headers();
    let desk = Desk::open(&oauth, &rules, headers, below, request.uri().query());
    answered(headers, desk.and_then(|desk| form(&desk, desk.visit.login_hint.as_deref(), None)))
}

pub(super) async fn submit(
    State(accounts): State<AccountService>,
    State(oauth): State<OAuthService>,
    State(rules): State<CookieRules>,
    requester: Requester,
    Below(below): Below,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let submitted = async {
        let desk = Desk::open(&oauth, &rules, &headers, below, request.uri().query())?;
        let (_, params) = oauth2::form(request).await?;
        let entered = match desk.check(&params) {
            Ok(()) => accounts.log_in_browser(&requester, &desk.login(&params)).await,
            Err(error) => Err(error),
        };
        match entered {
            Ok(reached) => on(&desk, reached),
            Err(error) => form(&desk, params.get("email"), Some(error)),
        }
    };
    answered(&headers, submitted.await)
}

/// # Errors
/// The error itself where no form is to blame for it.
fn form(desk: &Desk<'_>, email: Option<&str>, error: Option<Error>) -> Result<Response> {
    let values = context! {
        email => email.unwrap_or_default(),
        forgot => desk.visit.to("forgot"),
        // People register through a client.
        register => desk.hosted.client().map(|_| desk.visit.to("register")),
    };
    match error {
        None => desk.form("login", values, None),
        Some(error) => match told(&error) {
            Some(told) => desk.form("login", values, Some((&error, told))),
            None => Err(error),
        },
    }
}

/// After the right password: on, or to the second factor.
///
/// # Errors
/// `internal`, as [`CookieRules::set`].
pub(super) fn on(desk: &Desk<'_>, reached: LoggedIn) -> Result<Response> {
    match reached {
        LoggedIn::Session(Started::Browser(start)) => gone_on(desk, &start),
        LoggedIn::Session(Started::Tokens(_)) => {
            Err(Error::internal("a page has started a session of tokens"))
        }
        LoggedIn::MfaRequired(half) => {
            let mut response = redirect(&desk.visit.to("mfa"))?;
            let cookie = desk.rules.set(&desk.rules.own_name(HALF), &half.token, HALF_LIFE)?;
            response.headers_mut().append(header::SET_COOKIE, cookie);
            Ok(response)
        }
    }
}

/// A session has begun: the browser goes to where its owner wanted to go.
///
/// # Errors
/// `internal`, as [`CookieRules::set`].
pub(super) fn gone_on(desk: &Desk<'_>, start: &BrowserStart) -> Result<Response> {
    let mut response = match start.return_to.as_ref().map(ReturnTo::as_str) {
        Some(path) => {
            let language = desk.visit.language;
            let title = text(language, "one_moment");
            Page { go: Some(path), ..Page::new(language, Some(&desk.hosted), title) }.say("")?
        }
        None => redirect(&desk.visit.to("account"))?,
    };
    response.headers_mut().append(header::SET_COOKIE, desk.rules.set_session(&start.cookie)?);
    Ok(response)
}
