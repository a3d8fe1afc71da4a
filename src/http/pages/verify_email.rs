//! `/verify-email`: a button that confirms an address.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use minijinja::context;

use super::mailed::{self, Link, dead};
use super::page::Page;
use super::texts::text;
use super::{answered, one};
use crate::http::extract::{Below, Query};
use crate::http::oauth2;
use crate::service::Code;
use crate::service::account::AccountService;
use crate::service::audit::Requester;
use crate::service::oauth::OAuthService;

pub(super) async fn show(
    State(oauth): State<OAuthService>,
    Below(below): Below,
    headers: HeaderMap,
    Query(Link { token, ui_locales }): Query<Link>,
) -> Response {
    let language = mailed::language(ui_locales.as_deref(), &headers);
    let shown = match token.and_then(|token| mailed::token(below.as_ref(), &token)) {
        None => dead(language),
        Some(token) => {
            let hosted = mailed::hosted(&oauth, &token);
            let page = Page::new(language, hosted.as_ref(), text(language, "verify_title"));
            page.show("verify_email.html", context! { token => token.expose() })
        }
    };
    answered(&headers, shown)
}

pub(super) async fn confirm(
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
        let sent = one(&params, "token")?;
        let Some(token) = mailed::token(below.as_ref(), &sent) else { return dead(language) };
        match accounts.verify_email(&requester, &sent).await {
            Ok(()) => {
                let hosted = mailed::hosted(&oauth, &token);
                let page = Page::new(language, hosted.as_ref(), text(language, "verify_done_title"));
                page.say(text(language, "verify_done_text"))
            }
            Err(error) if error.code() == Code::InvalidMailToken => dead(language),
            Err(error) => Err(error),
        }
    };
    answered(&headers, submitted.await)
}
