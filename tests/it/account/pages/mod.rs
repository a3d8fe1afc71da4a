//! The hosted pages (spec §13.8), as a browser without scripts uses them.

mod account;
mod consent;
mod error;
mod forgot;
mod guard;
mod login;
mod look;
mod mfa;
mod register;

use std::collections::BTreeMap;

use axum::http::{HeaderName, HeaderValue};
use url::Url;

use super::oauth::{encoded, sent, value};
use super::world::{Answer, ISSUER, PASSWORD, World, call};

/// A browser: it keeps cookies, follows links and sends forms.
pub(super) struct Visitor<'a> {
    world: &'a World,
    pub(super) jar: BTreeMap<String, String>,
    pub(super) language: &'static str,
}

/// A page, and where it is.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) url: Url,
    pub(super) answer: Answer,
}

impl World {
    pub(super) fn visitor(&self) -> Visitor<'_> {
        Visitor { world: self, jar: BTreeMap::new(), language: "en" }
    }
}

impl Visitor<'_> {
    pub(super) async fn open(&mut self, path: &str) -> Shown {
        let url = Url::parse(ISSUER).unwrap().join(path).unwrap();
        self.exchange("GET", url, &[], "").await
    }

    /// Follows a redirect.
    pub(super) async fn follow(&mut self, from: &Shown) -> Shown {
        assert_eq!(from.answer.status, 303, "{}", from.answer.text());
        let url = from.url.join(from.answer.header("location").unwrap()).unwrap();
        self.exchange("GET", url, &[], "").await
    }

    /// Goes where a page leads by itself.
    pub(super) async fn go_on(&mut self, from: &Shown) -> Shown {
        let url = from.url.join(&from.goes_to()).unwrap();
        self.exchange("GET", url, &[], "").await
    }

    /// Fills in the form of a page, with the hidden fields that it has.
    pub(super) async fn submit(&mut self, page: &Shown, fields: &[(&str, &str)]) -> Shown {
        let token = page.token();
        let fields: Vec<_> = fields.iter().copied().chain([("csrf_token", token.as_str())]).collect();
        self.post(&page.action(), &[], &fields).await
    }

    pub(super) async fn post(
        &mut self,
        url: &Url,
        headers: &[(&'static str, &str)],
        fields: &[(&str, &str)],
    ) -> Shown {
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers: Vec<_> = headers.iter().copied().chain([form]).collect();
        self.exchange("POST", url.clone(), &headers, &encoded(fields)).await
    }

    async fn exchange(
        &mut self,
        method: &str,
        url: Url,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> Shown {
        let path = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut request = call(method, &path, None, body);
        let jar = self.jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        let own = [("accept", "text/html"), ("accept-language", self.language), ("cookie", &jar.join("; "))];
        for (name, value) in own.iter().chain(headers) {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        let answer = self.world.send(request).await;
        for set in answer.headers.get_all("set-cookie") {
            let (name, rest) = set.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            if rest.contains("Max-Age=0") {
                self.jar.remove(name);
            } else {
                self.jar.insert(name.to_owned(), value.to_owned());
            }
        }
        Shown { url, answer }
    }

    /// Opens the login that an authorization request leads to.
    pub(super) async fn arrive(&mut self, ask: &[(&str, &str)]) -> Shown {
        let asked = self.open(&format!("/oauth2/authorize?{}", encoded(ask))).await;
        self.follow(&asked).await
    }

    /// Logs in on the page.
    pub(super) async fn enter(&mut self, page: &Shown, email: &str) -> Shown {
        self.submit(page, &[("email", email), ("password", PASSWORD)]).await
    }

    /// A browser in which somebody is logged in.
    pub(super) async fn sit(&mut self, email: &str) {
        let page = self.open("/login?tenant_id=acme").await;
        let done = self.enter(&page, email).await;
        assert_eq!(done.answer.header("location"), Some("account?tenant_id=acme"));
    }
}

impl Shown {
    pub(super) fn text(&self) -> String {
        self.answer.text()
    }

    /// Where the first form of the page is sent.
    pub(super) fn action(&self) -> Url {
        self.url.join(&self.after("action=\"")).unwrap()
    }

    /// Its hidden field.
    pub(super) fn token(&self) -> String {
        self.after("name=\"csrf_token\" value=\"")
    }

    /// Where the page leads by itself; whoever does not want that has a link to it.
    pub(super) fn goes_to(&self) -> String {
        assert_eq!(self.answer.status, 200, "{}", self.text());
        let to = self.after("http-equiv=\"refresh\" content=\"0;url=");
        assert_eq!(self.after("<p><a href=\""), to);
        to
    }

    /// What the page sends a client.
    pub(super) fn sends(&self) -> Vec<(String, String)> {
        if self.answer.status == 303 {
            return sent(&self.answer);
        }
        let to = Url::parse(&self.goes_to()).unwrap();
        assert!(to.as_str().starts_with(super::oauth::CALLBACK), "{to}");
        to.query_pairs().into_owned().collect()
    }

    pub(super) fn sent(&self, name: &str) -> Option<String> {
        value(&self.sends(), name).map(str::to_owned)
    }

    /// The value that follows, up to its quote.
    fn after(&self, mark: &str) -> String {
        let text = self.text();
        let (_, rest) = text.split_once(mark).unwrap_or_else(|| panic!("{mark} is not in {text}"));
        unescaped(rest.split('"').next().unwrap())
    }
}

fn unescaped(text: &str) -> String {
    let signs =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#x2f;", "/"), ("&amp;", "&")];
    signs.iter().fold(text.to_owned(), |text, (escape, sign)| text.replace(escape, sign))
}
