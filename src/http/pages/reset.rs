//! `/reset`: a form for a new password.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::html::{dead_link, escaped, page};
use super::{Below, Form, Link};
use crate::http::ApiResult;
use crate::http::extract::Query;
use crate::service::account::{AccountService, PasswordReset};
use crate::service::audit::Requester;
use crate::service::{Code, Payload};

const AGAIN: &str = "Ask for a new one where you log in.";

pub(super) async fn show(below: Below, Query(Link { token }): Query<Link>) -> Response {
    match token.and_then(|token| below.token(&token)) {
        Some(token) => form(StatusCode::OK, token.expose(), &[]),
        None => dead_link(AGAIN),
    }
}

pub(super) async fn set(
    State(accounts): State<AccountService>,
    requester: Requester,
    below: Below,
    request: Request,
) -> ApiResult<Response> {
    let fields = Form::read(request).await?;
    let (token, new_password) = (fields.field("token")?, fields.field("new_password")?);
    if below.token(&token).is_none() {
        return Ok(dead_link(AGAIN));
    }
    let reset = PasswordReset { token: token.clone(), new_password, client_id: None, log_in: false };
    match accounts.reset_password(&requester, &reset).await {
        Ok(_) => {
            let body = "<p>All sessions have ended. Log in with your new password.</p>";
            Ok(page(StatusCode::OK, "Your password is changed", body))
        }
        Err(error) if error.code() == Code::InvalidMailToken => Ok(dead_link(AGAIN)),
        Err(error) => match error.payload() {
            Payload::Fields(wrong) => {
                let messages: Vec<&str> = wrong.iter().map(|field| field.message.as_ref()).collect();
                Ok(form(StatusCode::UNPROCESSABLE_ENTITY, token.expose(), &messages))
            }
            Payload::None
            | Payload::CurrentRevision(_)
            | Payload::Leader(_)
            | Payload::RetryAfter(_)
            | Payload::RateLimited(_)
            | Payload::NoCredentials
            | Payload::RequiredScope(_) => Err(error.into()),
        },
    }
}

fn form(status: StatusCode, token: &str, wrong: &[&str]) -> Response {
    let wrong: String = wrong
        .iter()
        .map(|message| format!("<p class=\"error\">The password {}.</p>", escaped(message)))
        .collect();
    let body = format!(
        "{wrong}<form method=\"post\" action=\"reset\"><input type=\"hidden\" name=\"token\" value=\"{}\">\
         <label>New password<input type=\"password\" name=\"new_password\" autocomplete=\"new-password\" required>\
         </label><button>Change my password</button></form>",
        escaped(token)
    );
    page(status, "Choose a new password", &body)
}
