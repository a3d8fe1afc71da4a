//! `/consent`: what a client asks for, and the person's answer (EP035). The page is about the authorization request that is in
//! `return_to`, whole: what is allowed is what was shown.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use hellojohn_control::Slug;
use hellojohn_control::documents::ResponseMode;
use minijinja::context;

use super::guard::{check_session, with_origin};
use super::page::Page;
use super::texts::text;
use super::visit::Visit;
use super::{Language, answered};
use crate::domain::return_to::ReturnTo;
use crate::http::cookies::CookieRules;
use crate::http::extract::Below;
use crate::http::oauth2;
use crate::service::audit::Requester;
use crate::service::oauth::{AskConsent, Asked, Back, Decision, OAuthService, Params, Whereabouts};
use crate::service::{Code, Error, Result};

pub(super) async fn show(
    State(oauth): State<OAuthService>,
    State(rules): State<CookieRules>,
    requester: Requester,
    Below(below): Below,
    request: Request,
) -> Response {
    let (parts, _) = request.into_parts();
    let shown = async {
        let question = Question::read(&oauth, &rules, &parts.headers, below, parts.uri.query())?;
        match question.put(&requester, None).await? {
            Decision::Consent(ask) => question.show(&ask, None),
            other => oauth2::show(other, false).map_err(|error| error.service().clone()),
        }
    };
    answered(&parts.headers, shown.await)
}

pub(super) async fn submit(
    State(oauth): State<OAuthService>,
    State(rules): State<CookieRules>,
    requester: Requester,
    Below(below): Below,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let submitted = async {
        let question = Question::read(&oauth, &rules, &headers, below, request.uri().query())?;
        let (_, params) = oauth2::form(request).await?;
        let allowed = match params.get("answer") {
            Some("allow") => true,
            Some("deny") => false,
            Some(_) | None => {
                return Err(Error::bad_input(
                    Code::InvalidParameter,
                    "the form needs an answer: allow or deny",
                ));
            }
        };
        let refused = check_session(&headers, &rules, &oauth, &params).err();
        let answer = if refused.is_some() { None } else { Some(allowed) };
        match question.put(&requester, answer).await? {
            Decision::Consent(ask) => question.show(&ask, refused.as_ref()),
            other => match oauth2::settled(other) {
                Ok(back) => question.go_back(&back),
                Err(other) => oauth2::show(other, false).map_err(|error| error.service().clone()),
            },
        }
    };
    answered(&headers, submitted.await)
}

/// The request of a client that a person is asked about.
struct Question<'a> {
    oauth: &'a OAuthService,
    rules: &'a CookieRules,
    headers: &'a HeaderMap,
    visit: Visit,
    path: Option<Slug>,
    params: Params,
}

impl<'a> Question<'a> {
    fn read(
        oauth: &'a OAuthService,
        rules: &'a CookieRules,
        headers: &'a HeaderMap,
        below: Option<Slug>,
        query: Option<&str>,
    ) -> Result<Self> {
        let visit = Visit::read(below, query, headers)?;
        let none = || Error::bad_input(Code::InvalidParameter, "return_to is no authorization request");
        let return_to = visit.return_to.as_ref().map(ReturnTo::as_str).ok_or_else(none)?;
        let (path, query) = return_to.split_once('?').ok_or_else(none)?;
        let path = match path.strip_prefix("/t/").and_then(|path| path.split_once('/')) {
            Some((slug, "oauth2/authorize")) => Some(Slug::parse(slug).map_err(|_| none())?),
            None if path == "/oauth2/authorize" => None,
            Some(_) | None => return Err(none()),
        };
        Ok(Self { oauth, rules, headers, params: oauth2::query(Some(query))?, visit, path })
    }

    /// Puts the request again, with the person's answer if there is one.
    async fn put(&self, requester: &Requester, answered: Option<bool>) -> Result<Decision> {
        let (path, params) = (self.path.clone(), &self.params);
        let cookie = self.rules.session_in(self.headers);
        self.oauth.authorize(&Asked { requester, path, params, cookie, bearer: None, answered }).await
    }

    fn show(&self, ask: &AskConsent, refused: Option<&Error>) -> Result<Response> {
        let language = self.visit.language;
        let whereabouts = Whereabouts { path: Some(ask.tenant.clone()), named: None, token: None };
        let hosted = self.oauth.hosted(&whereabouts, Some(&ask.client_id))?;
        let title = text(language, "consent_title").replace("{client}", &ask.client_name);
        let page = Page {
            status: if refused.is_some() { StatusCode::FORBIDDEN } else { StatusCode::OK },
            alert: refused.map(|_| text(language, "form_expired")),
            ..Page::new(language, Some(&hosted), &title)
        };
        let named = ask.scopes.iter().map(|(name, said)| described(language, name.as_str(), said));
        let scopes = named.map(str::to_owned).collect::<Vec<_>>();
        let cookie = self.rules.session_in(self.headers).ok_or(Code::LoginRequired)?;
        let client = hosted.client();
        let values = context! {
            email => ask.email.as_str(),
            scopes,
            csrf_token => self.oauth.form_token(&cookie),
            action => self.visit.to("consent"),
            policy => client.and_then(|client| client.policy_uri.as_deref()),
            tos => client.and_then(|client| client.tos_uri.as_deref()),
        };
        let mut response = page.show("consent.html", values)?;
        with_origin(&mut response);
        Ok(response)
    }

    /// Back to the client, as it wants to be answered.
    fn go_back(&self, back: &Back) -> Result<Response> {
        match back.mode {
            ResponseMode::FormPost => oauth2::post_back(back),
            ResponseMode::Query => {
                let (language, location) = (self.visit.language, back.location());
                let page =
                    Page { go: Some(&location), ..Page::new(language, None, text(language, "one_moment")) };
                page.say("")
            }
        }
    }
}

/// What a scope is called: in our words where everybody has it, else in those of the tenant.
fn described<'a>(language: Language, name: &'a str, said: &'a str) -> &'a str {
    let own = match name {
        "openid" => text(language, "scope_openid"),
        "profile" => text(language, "scope_profile"),
        "email" => text(language, "scope_email"),
        "offline_access" => text(language, "scope_offline_access"),
        _ => said,
    };
    if own.is_empty() { name } else { own }
}
