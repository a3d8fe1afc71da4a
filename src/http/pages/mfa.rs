//! `/mfa`: the second half of a login. What the first half was answered is in a cookie that no script reads.

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::Response;
use minijinja::context;
use serde_json::Value;

use super::desk::{Desk, told};
use super::page::Page;
use super::texts::text;
use super::{HALF, answered, login};
use crate::crypto::recovery_code::RecoveryCode;
use crate::domain::mfa::{DEVICE_TTL, TotpCode};
use crate::http::cookies::{self, CookieRules};
use crate::http::extract::Below;
use crate::http::oauth2;
use crate::service::account::{AccountService, Challenge, Passed, Proof, Started};
use crate::service::audit::Requester;
use crate::service::oauth::{OAuthService, Params};
use crate::service::{Code, Error, Result};

pub(super) async fn show(
    State(oauth): State<OAuthService>,
    State(rules): State<CookieRules>,
    Below(below): Below,
    request: Request,
) -> Response {
    let headers = request.headers();
    let desk = Desk::open(&oauth, &rules, headers, below, request.uri().query());
    let begun = cookies::value_of(headers, &rules.own_name(HALF)).is_some();
    answered(headers, desk.and_then(|desk| if begun { form(&desk, None) } else { over(&desk) }))
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
        let Some(token) = cookies::value_of(&headers, &rules.own_name(HALF)) else { return over(&desk) };
        let proof =
            desk.check(&params).and_then(|()| proof(&params).ok_or_else(|| Code::InvalidMfaCode.into()));
        let passed = match proof {
            Ok(proof) => {
                let challenge = Challenge {
                    token,
                    proof,
                    remember_device: params.get("remember_device").is_some(),
                    cookie: rules.session_in(&headers),
                    no_cookie: None,
                };
                accounts.challenge(&requester, &challenge).await
            }
            Err(error) => Err(error),
        };
        match passed {
            Ok(passed) => gone_on(&desk, &passed),
            Err(error) if error.code() == Code::InvalidMfaToken => over(&desk),
            Err(error) => form(&desk, Some(error)),
        }
    };
    answered(&headers, submitted.await)
}

/// The code or the recovery code of a form, if it has the form of one.
fn proof(params: &Params) -> Option<Proof> {
    let typed = |name: &str| params.get(name).map(|text| Value::from(text.trim()));
    match typed("code") {
        Some(code) => serde_json::from_value::<TotpCode>(code).ok().map(Proof::Totp),
        None => serde_json::from_value::<RecoveryCode>(typed("recovery_code")?).ok().map(Proof::Recovery),
    }
}

/// # Errors
/// The error itself where no form is to blame for it.
fn form(desk: &Desk<'_>, error: Option<Error>) -> Result<Response> {
    let Some(error) = error else { return desk.form("mfa", context! {}, None) };
    let told = match error.code() {
        Code::InvalidMfaCode => Some((StatusCode::UNAUTHORIZED, "mfa_wrong")),
        _ => told(&error),
    };
    match told {
        Some(told) => desk.form("mfa", context! {}, Some((&error, told))),
        None => Err(error),
    }
}

/// There is no half login that could be finished: the person begins anew.
fn over(desk: &Desk<'_>) -> Result<Response> {
    let language = desk.visit.language;
    let page = Page {
        status: StatusCode::UNAUTHORIZED,
        alert: Some(text(language, "mfa_over")),
        ..Page::new(language, Some(&desk.hosted), text(language, "mfa_title"))
    };
    let (link, link_text) = (desk.visit.to("login"), text(language, "log_in"));
    let mut response = page.show("message.html", context! { text => "", link, link_text })?;
    response.headers_mut().append(header::SET_COOKIE, desk.rules.clear(&desk.rules.own_name(HALF))?);
    Ok(response)
}

fn gone_on(desk: &Desk<'_>, passed: &Passed) -> Result<Response> {
    let Started::Browser(start) = &passed.started else {
        return Err(Error::internal("a half login of a page was finished with tokens"));
    };
    let mut response = login::gone_on(desk, start)?;
    let headers = response.headers_mut();
    headers.append(header::SET_COOKIE, desk.rules.clear(&desk.rules.own_name(HALF))?);
    if let Some(device) = &passed.device {
        headers.append(header::SET_COOKIE, desk.rules.set(cookies::DEVICE, device, DEVICE_TTL)?);
    }
    Ok(response)
}
