//! `/reset`: a form for a new password.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use minijinja::context;

use super::language::Language;
use super::mailed::{self, Link, dead};
use super::page::Page;
use super::register::password_words;
use super::texts::text;
use super::{answered, one};
use crate::crypto::token_hash::OpaqueToken;
use crate::http::extract::{Below, Query};
use crate::http::oauth2;
use crate::service::account::{AccountService, PasswordReset};
use crate::service::audit::Requester;
use crate::service::oauth::OAuthService;
use crate::service::{Code, Payload, Result};

pub(super) async fn show(
    State(oauth): State<OAuthService>,
    Below(below): Below,
    headers: HeaderMap,
    Query(Link { token, ui_locales }): Query<Link>,
) -> Response {
    let language = mailed::language(ui_locales.as_deref(), &headers);
    let token = token.and_then(|token| mailed::token(below.as_ref(), &token));
    answered(&headers, token.map_or_else(|| dead(language), |token| form(&oauth, language, &token, None)))
}

pub(super) async fn set(
    State(accounts): State<AccountService>,
    State(oauth): State<OAuthService>,
    requester: Requester,
    Below(below): Below,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let language = mailed::language(None, &headers);
    let submitted = async {
        let (_, params) = oauth2::form(request).await?;
        let (text_of_token, new_password) = (one(&params, "token")?, one(&params, "new_password")?);
        let Some(token) = mailed::token(below.as_ref(), &text_of_token) else { return dead(language) };
        let reset = PasswordReset { token: text_of_token, new_password, client_id: None, log_in: false };
        match accounts.reset_password(&requester, &reset).await {
            Ok(_) => {
                let hosted = mailed::hosted(&oauth, &token);
                let page = Page::new(language, hosted.as_ref(), text(language, "reset_done_title"));
                page.say(text(language, "reset_done_text"))
            }
            Err(error) if error.code() == Code::InvalidMailToken => dead(language),
            Err(error) => match error.payload() {
                Payload::Fields(wrong) => {
                    form(&oauth, language, &token, Some(&password_words(language, wrong)))
                }
                Payload::None
                | Payload::CurrentRevision(_)
                | Payload::Leader(_)
                | Payload::RetryAfter(_)
                | Payload::RateLimited(_)
                | Payload::NoCredentials
                | Payload::RequiredScope(_) => Err(error),
            },
        }
    };
    answered(&headers, submitted.await)
}

fn form(
    oauth: &OAuthService,
    language: Language,
    token: &OpaqueToken,
    wrong: Option<&str>,
) -> Result<Response> {
    let hosted = mailed::hosted(oauth, token);
    let page = Page {
        status: if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK },
        alert: wrong,
        ..Page::new(language, hosted.as_ref(), text(language, "reset_title"))
    };
    page.show("reset.html", context! { token => token.expose() })
}
