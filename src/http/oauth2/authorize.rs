//! GET and POST /oauth2/authorize (EP030).

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hellojohn_control::Slug;
use hellojohn_control::documents::ResponseMode;
use url::form_urlencoded;

use super::{form, form_post};
use crate::crypto::secret::SecretString;
use crate::http::bearer::bearer_of;
use crate::http::cookies::CookieRules;
use crate::http::error::oauth::{described, error_of};
use crate::http::extract::Below;
use crate::http::pages::error_page;
use crate::http::{ApiError, ApiResult};
use crate::service::audit::Requester;
use crate::service::oauth::{AskConsent, Asked, Back, Decision, LogIn, OAuthService, Params};
use crate::service::{Code, Error, Result};

pub(super) async fn get(
    State(oauth): State<OAuthService>,
    State(rules): State<CookieRules>,
    requester: Requester,
    Below(path): Below,
    request: Request,
) -> ApiResult<Response> {
    let params = form::query(request.uri().query());
    answer(&oauth, &rules, &requester, path, request.headers(), params).await
}

pub(super) async fn post(
    State(oauth): State<OAuthService>,
    State(rules): State<CookieRules>,
    requester: Requester,
    Below(path): Below,
    request: Request,
) -> ApiResult<Response> {
    let headers = request.headers().clone();
    let params = form::form(request).await.map(|(_, params)| params);
    answer(&oauth, &rules, &requester, path, &headers, params).await
}

async fn answer(
    oauth: &OAuthService,
    rules: &CookieRules,
    requester: &Requester,
    path: Option<Slug>,
    headers: &HeaderMap,
    params: Result<Params>,
) -> ApiResult<Response> {
    let program = is_program(headers);
    let decided = async {
        let params = &params?;
        let bearer = bearer_of(headers).ok().map(|bearer| SecretString::from(bearer.expose()));
        let cookie = rules.session_in(headers);
        oauth.authorize(&Asked { requester, path, params, cookie, bearer, answered: None }).await
    };
    match decided.await {
        Ok(decision) => show(decision, program),
        // Nothing proves that the address in the request is the client's (S04).
        Err(error) if program => Err(error.into()),
        Err(error) => Ok(error_page(headers, None, &error)),
    }
}

/// The answer to the client, where there is one; else what has to be done before.
pub(in crate::http) fn settled(decision: Decision) -> std::result::Result<Back, Decision> {
    match decision {
        Decision::Back(back) => Ok(back),
        Decision::Refused(mut back, error) => {
            let (_, name) = error_of(error.code());
            back.params.splice(0..0, [("error", name.to_owned()), ("error_description", described(&error))]);
            Ok(back)
        }
        Decision::LogIn(_) | Decision::Consent(_) => Err(decision),
    }
}

/// What the person's browser, or a program in its stead, is answered.
pub(in crate::http) fn show(decision: Decision, program: bool) -> ApiResult<Response> {
    match decision {
        Decision::Refused(_, error)
            if program && matches!(error.code(), Code::LoginRequired | Code::ConsentRequired) =>
        {
            Err(error.into())
        }
        Decision::LogIn(_) if program => Err(ApiError::from(Code::LoginRequired)),
        Decision::Consent(_) if program => Err(ApiError::from(Code::ConsentRequired)),
        Decision::LogIn(page) => Ok(see_other(&login_page(&page))?),
        Decision::Consent(page) => Ok(see_other(&consent_page(&page))?),
        answer => match settled(answer) {
            Ok(back) => Ok(back_to(&back)?),
            Err(_) => Err(Error::internal("a question was taken for an answer").into()),
        },
    }
}

/// The answer to the client.
fn back_to(back: &Back) -> Result<Response> {
    match back.mode {
        ResponseMode::Query => see_other(&back.location()),
        ResponseMode::FormPost => form_post::page(back),
    }
}

/// 303, so that no browser posts a form of ours to somebody else (S19).
fn see_other(location: &str) -> Result<Response> {
    let location = HeaderValue::try_from(location).map_err(Error::internal)?;
    Ok((StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response())
}

fn login_page(page: &LogIn) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("tenant_id", page.tenant.as_str()).append_pair("client_id", page.client_id.as_str());
    if let Some(hint) = &page.login_hint {
        query.append_pair("login_hint", hint);
    }
    if let Some(locales) = &page.ui_locales {
        query.append_pair("ui_locales", locales);
    }
    query.append_pair("return_to", page.return_to.as_str());
    let name = if page.create { "register" } else { "login" };
    format!("{}/{name}?{}", below(page.below, &page.tenant), query.finish())
}

fn consent_page(page: &AskConsent) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(locales) = &page.ui_locales {
        query.append_pair("ui_locales", locales);
    }
    query.append_pair("return_to", page.return_to.as_str());
    format!("{}/consent?{}", below(page.below, &page.tenant), query.finish())
}

fn below(below: bool, tenant: &Slug) -> String {
    if below { format!("/t/{tenant}") } else { String::new() }
}

/// Whether the caller reads JSON and no pages.
fn is_program(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let accepted: String = accepted.collect::<Vec<_>>().join(",").to_ascii_lowercase();
    accepted.contains("application/json") && !accepted.contains("text/html")
}
