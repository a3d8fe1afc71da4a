//! How a page is made: a template in which every value is escaped, the tenant's look, and the headers of a page (S16, S18, S20,
//! S108).

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::color::Color;
use super::language::Language;
use super::texts;
use crate::service::oauth::Hosted;
use crate::service::{Error, Payload, Result};

const STYLE: &str = include_str!("templates/style.css");

macro_rules! templates {
    ($($file:literal),+ $(,)?) => { &[$(($file, include_str!(concat!("templates/", $file)))),+] };
}

const TEMPLATES: &[(&str, &str)] = templates![
    "account.html",
    "consent.html",
    "forgot.html",
    "layout.html",
    "login.html",
    "message.html",
    "mfa.html",
    "register.html",
    "reset.html",
    "verify_email.html",
];

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    for (name, source) in TEMPLATES {
        if let Err(error) = environment.add_template(name, source) {
            tracing::error!(%error, name, "a template of a page is wrong");
        }
    }
    environment
});

/// A page that is to be shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page<'a> {
    /// In which language.
    pub(super) language: Language,
    /// Whose; none where that is not known.
    pub(super) hosted: Option<&'a Hosted>,
    /// With which status.
    pub(super) status: StatusCode,
    /// Its heading.
    pub(super) title: &'a str,
    /// What went wrong.
    pub(super) alert: Option<&'a str>,
    /// Where the browser goes on by itself. A redirect behind a form would be held to `form-action` by browsers, all the way to
    /// the client and beyond.
    pub(super) go: Option<&'a str>,
}

impl<'a> Page<'a> {
    /// A page in which nothing went wrong.
    pub(super) fn new(language: Language, hosted: Option<&'a Hosted>, title: &'a str) -> Self {
        Self { language, hosted, status: StatusCode::OK, title, alert: None, go: None }
    }

    /// The page, made from `template` with `values`.
    ///
    /// # Errors
    /// `internal` for a template that cannot be rendered.
    pub(super) fn show(&self, template: &str, values: Value) -> Result<Response> {
        let branding = self.hosted.and_then(Hosted::branding);
        let color = branding.and_then(|branding| Color::parse(branding.primary_color.as_deref()?));
        let brand = color.map(Color::style);
        let logo = branding.and_then(|branding| branding.logo_url.as_deref()).and_then(logo);
        let around = context! {
            lang => self.language.tag(),
            t => texts::of(self.language),
            title => self.title,
            alert => self.alert,
            go => self.go,
            app => self.hosted.map(Hosted::app),
            logo => logo.as_ref().map(|(url, _)| url),
            style => STYLE,
            brand => brand.as_deref(),
        };
        let template = ENVIRONMENT.get_template(template).map_err(Error::internal)?;
        let html = template.render(context! { ..values, ..around }).map_err(Error::internal)?;
        let policy = policy(brand.as_deref(), logo.as_ref().map(|(_, origin)| origin.as_str()));
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
            (header::CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy).map_err(Error::internal)?),
        ];
        Ok((self.status, headers, html).into_response())
    }

    /// A page that says something.
    ///
    /// # Errors
    /// As [`Self::show`].
    pub(super) fn say(&self, text: &str) -> Result<Response> {
        self.show("message.html", context! { text, link => "", link_text => "" })
    }
}

/// A logo that a page may load, and where from.
fn logo(url: &str) -> Option<(String, String)> {
    let url = Url::parse(url).ok().filter(|url| url.scheme() == "https")?;
    let origin = url.origin().ascii_serialization();
    Some((url.into(), origin))
}

/// Nothing but our own style and the tenant's colour, by their hashes; its logo; and forms back to us.
fn policy(brand: Option<&str>, logo: Option<&str>) -> String {
    static OWN: LazyLock<String> = LazyLock::new(|| hash(STYLE));
    let brand = brand.map(|brand| format!(" '{}'", hash(brand))).unwrap_or_default();
    let images = logo.map(|origin| format!(" img-src {origin};")).unwrap_or_default();
    format!(
        "default-src 'none'; style-src '{}'{brand};{images} form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        *OWN
    )
}

fn hash(style: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(style)))
}

/// Says to the browser when to try again, where the error knows.
pub(super) fn tell_when(headers: &mut HeaderMap, error: &Error) {
    let after = match error.payload() {
        Payload::RetryAfter(after) => Some(after.as_secs().max(1)),
        Payload::RateLimited(standing) => Some(standing.reset.as_secs().max(1)),
        Payload::None
        | Payload::Fields(_)
        | Payload::CurrentRevision(_)
        | Payload::Leader(_)
        | Payload::NoCredentials
        | Payload::RequiredScope(_) => None,
    };
    if let Some(after) = after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(after));
    }
}

/// For text and double-quoted attributes.
pub(in crate::http) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A template that is wrong would be found by whoever opens its page.
    #[test]
    fn every_template_is_there() {
        for (name, _) in TEMPLATES {
            assert!(ENVIRONMENT.get_template(name).is_ok(), "{name}");
        }
    }

    /// The words that templates use are those of the catalogue.
    #[test]
    fn every_text_that_a_template_names_exists() {
        for (name, source) in TEMPLATES {
            for part in source.split(" t.").skip(1) {
                let text = part.split(|c: char| !(c.is_ascii_lowercase() || c == '_')).next().unwrap();
                assert!(texts::of(Language::English).contains_key(text), "{name}: t.{text}");
            }
        }
    }

    #[test]
    fn a_page_loads_its_style_and_nothing_else() {
        let policy = policy(Some("x"), Some("https://cdn.example"));
        assert!(
            policy.contains("img-src https://cdn.example;") && policy.contains("form-action 'self'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(logo("http://cdn.example/l.png"), None);
        assert_eq!(logo("javascript:alert(1)"), None);
        assert_eq!(logo("https://cdn.example/a;b").unwrap().1, "https://cdn.example");
    }
}
