//! `/verify-email`: a button that confirms an address.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::html::{dead_link, escaped, page};
use super::{Below, Form, Link};
use crate::http::ApiResult;
use crate::http::extract::Query;
use crate::service::Code;
use crate::service::account::AccountService;
use crate::service::audit::Requester;

const AGAIN: &str = "Ask for a new one where you registered.";

pub(super) async fn show(below: Below, Query(Link { token }): Query<Link>) -> Response {
    let token = token.and_then(|token| below.token(&token));
    let Some(token) = token else { return dead_link(AGAIN) };
    let body = format!(
        "<p>Press the button to confirm that this e-mail address is yours.</p>\
         <form method=\"post\" action=\"verify-email\"><input type=\"hidden\" name=\"token\" value=\"{}\">\
         <button>Confirm my address</button></form>",
        escaped(token.expose())
    );
    page(StatusCode::OK, "Confirm your e-mail address", &body)
}

pub(super) async fn confirm(
    State(accounts): State<AccountService>,
    requester: Requester,
    below: Below,
    request: Request,
) -> ApiResult<Response> {
    let token = Form::read(request).await?.field("token")?;
    if below.token(&token).is_none() {
        return Ok(dead_link(AGAIN));
    }
    match accounts.verify_email(&requester, &token).await {
        Ok(()) => {
            let body = "<p>Thank you. You can close this page.</p>";
            Ok(page(StatusCode::OK, "Your e-mail address is confirmed", body))
        }
        Err(error) if error.code() == Code::InvalidMailToken => Ok(dead_link(AGAIN)),
        Err(error) => Err(error.into()),
    }
}
