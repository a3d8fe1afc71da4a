//! `/verify-email`: a button that confirms an address.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::html::{dead_link, escaped, page};
use super::{Form, Link};
use crate::crypto::token_hash::OpaqueToken;
use crate::http::ApiResult;
use crate::http::extract::Query;
use crate::service::Code;
use crate::service::account::AccountService;
use crate::service::audit::Requester;

const AGAIN: &str = "Ask for a new one where you registered.";

pub(super) async fn show(Query(Link { token }): Query<Link>) -> Response {
    let token = token.and_then(|token| OpaqueToken::parse_mailed(token.expose()).ok());
    let Some(token) = token else { return dead_link(AGAIN) };
    let body = format!(
        "<p>Press the button to confirm that this e-mail address is yours.</p>\
         <form method=\"post\" action=\"/verify-email\"><input type=\"hidden\" name=\"token\" value=\"{}\">\
         <button>Confirm my address</button></form>",
        escaped(token.expose())
    );
    page(StatusCode::OK, "Confirm your e-mail address", &body)
}

pub(super) async fn confirm(
    State(accounts): State<AccountService>,
    requester: Requester,
    request: Request,
) -> ApiResult<Response> {
    let form = Form::read(request).await?;
    match accounts.verify_email(&requester, &form.field("token")?).await {
        Ok(()) => {
            let body = "<p>Thank you. You can close this page.</p>";
            Ok(page(StatusCode::OK, "Your e-mail address is confirmed", body))
        }
        Err(error) if error.code() == Code::InvalidMailToken => Ok(dead_link(AGAIN)),
        Err(error) => Err(error.into()),
    }
}
