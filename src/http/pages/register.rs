//! `/register`: a new account, and with it a session of this browser.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use minijinja::context;

use super::desk::{Desk, told};
use super::language::Language;
use super::texts::text;
use super::{answered, login};
use crate::crypto::secret::SecretString;
use crate::http::cookies::CookieRules;
use crate::http::extract::Below;
use crate::http::oauth2;
use crate::service::account::{AccountService, Registered, Registration};
use crate::service::audit::Requester;
use crate::service::oauth::{OAuthService, Params};
use crate::service::{Code, Error, FieldError, Payload, Result};

pub(super) async fn show(
    State(oauth): State<OAuthService>,
    State(rules): State<CookieRules>,
    Below(below): Below,
    request: Request,
) -> Response {
    let headers = request.headers();
    let shown = || {
        let desk = Desk::open(&oauth, &rules, headers, below, request.uri().query())?;
        client_of(&desk)?;
        form(&desk, desk.visit.login_hint.as_deref(), None)
    };
    answered(headers, shown())
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
        let registered = match desk.check(&params) {
            Ok(()) => accounts.register(&requester, &registration(&desk, &params)?).await,
            Err(error) => Err(error),
        };
        match registered {
            Ok(Registered::Made(_)) => {}
            Ok(Registered::ToldByMail) => return desk.say("inbox_title", "inbox_text"),
            Err(error) => return form(&desk, params.get("email"), Some(error)),
        }
        login::on(&desk, accounts.log_in_browser(&requester, &desk.login(&params)).await?)
    };
    answered(&headers, submitted.await)
}

fn registration(desk: &Desk<'_>, params: &Params) -> Result<Registration> {
    Ok(Registration {
        tenant: desk.hosted.tenant().clone(),
        client_id: client_of(desk)?,
        email: params.get("email").unwrap_or_default().to_owned(),
        password: params.secret("password").cloned().unwrap_or_else(|| SecretString::from("")),
        given_name: None,
        family_name: None,
        by_page: true,
    })
}

/// People register through a client (EP001).
fn client_of(desk: &Desk<'_>) -> Result<hellojohn_control::ClientId> {
    let missing = || Error::bad_input(Code::InvalidParameter, "the parameter client_id is missing");
    desk.visit.client_id.clone().ok_or_else(missing)
}

/// # Errors
/// The error itself where no form is to blame for it.
fn form(desk: &Desk<'_>, email: Option<&str>, error: Option<Error>) -> Result<Response> {
    let language = desk.visit.language;
    let shown = |wrong_email: &str, wrong_password: &str| {
        context! {
            email => email.unwrap_or_default(),
            wrong => context! { email => wrong_email, password => wrong_password },
        }
    };
    let Some(error) = error else { return desk.form("register", shown("", ""), None) };
    // What is said beside a field is not said above it, too.
    if let Payload::Fields(fields) = error.payload() {
        let wrong = fields.iter().any(|field| field.field == "email");
        let email = if wrong { text(language, "email_wrong") } else { "" };
        let values = shown(email, &password_words(language, fields));
        return desk.form("register", values, Some((&error, (StatusCode::UNPROCESSABLE_ENTITY, ""))));
    }
    if error.code() == Code::EmailTaken {
        let values = shown(text(language, "email_taken"), "");
        return desk.form("register", values, Some((&error, (StatusCode::CONFLICT, ""))));
    }
    match told(&error) {
        Some(told) => desk.form("register", shown("", ""), Some((&error, told))),
        None => Err(error),
    }
}

/// What is wrong with a new password. The rules themselves are told in the words of the API.
pub(super) fn password_words(language: Language, fields: &[FieldError]) -> String {
    let of_password = fields.iter().filter(|field| field.field != "email");
    let why = of_password.map(|field| field.message.as_ref()).collect::<Vec<_>>().join("; ");
    if why.is_empty() { why } else { text(language, "password_wrong").replace("{why}", &why) }
}
