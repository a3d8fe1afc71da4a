//! `/account`: who is logged in here.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use minijinja::context;

use super::guard::{check_session, with_origin};
use super::page::Page;
use super::texts::text;
use super::visit::Visit;
use super::{answered, redirect};
use crate::http::cookies::CookieRules;
use crate::http::extract::Below;
use crate::http::oauth2;
use crate::service::account::AccountService;
use crate::service::audit::Requester;
use crate::service::oauth::{Hosted, OAuthService, Whereabouts};
use crate::service::{Code, Error, Result};

pub(super) async fn show(
    State(accounts): State<AccountService>,
    State(oauth): State<OAuthService>,
    State(rules): State<CookieRules>,
    Below(below): Below,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let headers = &parts.headers;
    let shown = async {
        let visit = Visit::read(below, parts.uri.query(), headers)?;
        Account { accounts: &accounts, oauth: &oauth, rules: &rules, headers, visit: &visit }.show(None).await
    };
    answered(headers, shown.await)
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
        let visit = Visit::read(below, request.uri().query(), &headers)?;
        let (_, params) = oauth2::form(request).await?;
        let page =
            Account { accounts: &accounts, oauth: &oauth, rules: &rules, headers: &headers, visit: &visit };
        if let Err(error) = check_session(&headers, &rules, &oauth, &params) {
            return page.show(Some(&error)).await;
        }
        match params.get("do") {
            Some("log_out") => page.log_out(&requester).await,
            Some(_) | None => Err(Error::bad_input(Code::InvalidParameter, "the form says nothing to do")),
        }
    };
    answered(&headers, submitted.await)
}

struct Account<'a> {
    accounts: &'a AccountService,
    oauth: &'a OAuthService,
    rules: &'a CookieRules,
    headers: &'a HeaderMap,
    visit: &'a Visit,
}

impl Account<'_> {
    async fn show(&self, refused: Option<&Error>) -> Result<Response> {
        let Self { accounts, oauth, rules, headers, visit } = self;
        let cookie = rules.session_in(headers);
        let seated = match &cookie {
            Some(cookie) => accounts.person_at(cookie).await?.map(|person| (cookie, person)),
            None => None,
        };
        let Some((cookie, (tenant, user))) = seated else { return redirect(&visit.to("login")) };
        let hosted = self.of(tenant)?;
        let language = visit.language;
        let page = Page {
            status: if refused.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK },
            alert: refused.map(|_| text(language, "form_expired")),
            ..Page::new(language, Some(&hosted), text(language, "account_title"))
        };
        let (email, csrf_token) = (user.email.as_str(), oauth.form_token(cookie));
        let values = context! { email, csrf_token, action => visit.to("account") };
        let mut response = page.show("account.html", values)?;
        with_origin(&mut response);
        Ok(response)
    }

    async fn log_out(&self, requester: &Requester) -> Result<Response> {
        let Self { accounts, rules, headers, visit, .. } = self;
        let cookie = rules.session_in(headers);
        let person = match &cookie {
            Some(cookie) => accounts.person_at(cookie).await?,
            None => None,
        };
        accounts.leave(requester, cookie.as_ref()).await?;
        let hosted = person.map(|(tenant, _)| self.of(tenant)).transpose()?;
        let language = visit.language;
        let page = Page::new(language, hosted.as_ref(), text(language, "logged_out_title"));
        let mut response = page.say(text(language, "logged_out_text"))?;
        response.headers_mut().append(header::SET_COOKIE, rules.clear_session()?);
        Ok(response)
    }

    fn of(&self, tenant: hellojohn_control::Slug) -> Result<Hosted> {
        self.oauth.hosted(&Whereabouts { path: Some(tenant), named: None, token: None }, None)
    }
}
