//! How an account and a set of tokens look in an answer.

use axum::Json;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use hellojohn_control::Timestamp;
use serde::Serialize;

use crate::crypto::secret::SecretString;
use crate::domain::return_to::ReturnTo;
use crate::domain::user::{User, UserId};
use crate::http::cookies::CookieRules;
use crate::service::Result;
use crate::service::account::{LoggedIn, Started};
use crate::service::tokens::TokenSet;

/// An account, as its owner may see it.
#[derive(Debug, Serialize)]
pub(in crate::http) struct UserBody<'a> {
    id: UserId,
    email: &'a str,
    email_verified: bool,
    given_name: Option<&'a str>,
    family_name: Option<&'a str>,
    picture: Option<&'a str>,
    locale: Option<&'a str>,
    created_at: Timestamp,
    updated_at: Timestamp,
    last_login_at: Option<Timestamp>,
}

impl<'a> From<&'a User> for UserBody<'a> {
    fn from(user: &'a User) -> Self {
        Self {
            id: user.id,
            email: user.email.as_str(),
            email_verified: user.email_verified,
            given_name: user.given_name.as_deref(),
            family_name: user.family_name.as_deref(),
            picture: user.picture.as_deref(),
            locale: user.locale.as_deref(),
            created_at: user.created_at,
            updated_at: user.updated_at,
            last_login_at: user.last_login_at,
        }
    }
}

/// Tokens (RFC 6749 §5.1, and the absolute end beside the relative one).
#[derive(Serialize)]
pub(in crate::http) struct TokensBody<'a> {
    access_token: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
    token_type: &'static str,
    expires_in: u64,
    expires_at: Timestamp,
    scope: &'a str,
}

impl<'a> From<&'a TokenSet> for TokensBody<'a> {
    fn from(tokens: &'a TokenSet) -> Self {
        Self {
            access_token: tokens.access.token.expose(),
            refresh_token: tokens.refresh.as_ref().map(SecretString::expose),
            id_token: tokens.id.as_ref().map(SecretString::expose),
            token_type: "Bearer",
            expires_in: tokens.access.expires_in,
            expires_at: tokens.access.expires_at,
            scope: &tokens.access.scope,
        }
    }
}

/// The answer to the first half of a login.
#[derive(Serialize)]
struct HalfBody<'a> {
    mfa_required: bool,
    mfa_token: &'a str,
    methods: &'a [&'static str],
}

/// The answer to a browser that has its session in a cookie.
#[derive(Serialize)]
struct BrowserBody<'a> {
    return_to: Option<&'a str>,
}

/// How far somebody came who has shown the first factor.
///
/// # Errors
/// `internal`, as [`CookieRules::set`].
pub(in crate::http) fn logged_in(login: &LoggedIn, rules: &CookieRules) -> Result<Response> {
    match login {
        LoggedIn::Session(session) => started(session, rules),
        LoggedIn::MfaRequired(half) => {
            let (mfa_token, methods) = (half.token.expose(), half.methods.as_slice());
            Ok(Json(HalfBody { mfa_required: true, mfa_token, methods }).into_response())
        }
    }
}

/// A session that was just started: tokens in the body, or a cookie.
///
/// # Errors
/// `internal`, as [`CookieRules::set`].
pub(in crate::http) fn started(session: &Started, rules: &CookieRules) -> Result<Response> {
    match session {
        Started::Tokens(tokens) => Ok(Json(TokensBody::from(tokens)).into_response()),
        Started::Browser(start) => {
            let return_to = start.return_to.as_ref().map(ReturnTo::as_str);
            let mut response = Json(BrowserBody { return_to }).into_response();
            response.headers_mut().append(header::SET_COOKIE, rules.set_session(&start.cookie)?);
            Ok(response)
        }
    }
}
