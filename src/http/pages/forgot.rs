//! `/forgot`: has a link mailed that sets a new password. The answer tells nothing of whether there is an account (S60).

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;

use super::answered;
use super::desk::{Desk, told};
use crate::http::cookies::CookieRules;
use crate::http::extract::Below;
use crate::http::oauth2;
use crate::service::account::{AccountService, LinkRequest};
use crate::service::audit::Requester;
use crate::service::oauth::OAuthService;
use crate::service::{Code, Error, Result};

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
        let asked = LinkRequest {
            tenant: desk.hosted.tenant().clone(),
            client_id: desk.visit.client_id.clone(),
            email: params.get("email").unwrap_or_default().to_owned(),
        };
        let mailed = match desk.check(&params) {
            Ok(()) => accounts.forgot(&requester, &asked).await,
            Err(error) => Err(error),
        };
        match mailed {
            Ok(()) => desk.say("inbox_title", "forgot_sent"),
            Err(error) => form(&desk, Some(&asked.email), Some(error)),
        }
    };
    answered(&headers, submitted.await)
}

/// # Errors
/// The error itself where no form is to blame for it.
fn form(desk: &Desk<'_>, email: Option<&str>, error: Option<Error>) -> Result<Response> {
    let values = context! { email => email.unwrap_or_default() };
    let Some(error) = error else { return desk.form("forgot", values, None) };
    let told = match error.code() {
        Code::ValidationFailed => Some((StatusCode::UNPROCESSABLE_ENTITY, "email_wrong")),
        _ => told(&error),
    };
    match told {
        Some(told) => desk.form("forgot", values, Some((&error, told))),
        None => Err(error),
    }
}
