//! Cookies that this server sets itself (spec §13.8). Owns their attributes, and from which pages a request comes that may be
//! answered with one; the values are the services'.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::auth::DEVICE_COOKIE;
use crate::config::{Config, SameSite};
use crate::crypto::secret::SecretString;
use crate::http::own_page::OwnPages;
use crate::service::{Error, Result};

/// What a trusted device shows (S69).
pub const DEVICE: &str = DEVICE_COOKIE;
/// Longest value that is looked at.
const MAX_VALUE: usize = 512;

/// How cookies are set. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CookieRules(Arc<Rules>);

#[derive(Debug)]
struct Rules {
    /// Whether the public URL is https: then no cookie ever travels in clear.
    secure: bool,
    session: SessionCookie,
    pages: OwnPages,
}

/// The cookie of browser sessions (`AUTH_SESSION_*`).
#[derive(Debug)]
struct SessionCookie {
    name: String,
    domain: Option<String>,
    same_site: SameSite,
    secure: bool,
}

impl CookieRules {
    /// The rules of this node.
    pub fn from_config(config: &Config) -> Self {
        let auth = &config.auth;
        Self(Arc::new(Rules {
            secure: config.server.public_url.is_https(),
            session: SessionCookie {
                name: auth.session_cookie_name.clone(),
                domain: auth.session_domain.clone(),
                same_site: auth.session_samesite,
                secure: auth.session_secure,
            },
            pages: OwnPages::from_config(config),
        }))
    }

    /// The pages whose requests may be answered with the cookie of a session.
    pub(in crate::http) fn pages(&self) -> &OwnPages {
        &self.0.pages
    }

    /// The header that sets a cookie for this host alone, out of reach of scripts and of other sites' forms.
    ///
    /// # Errors
    /// `internal` for a value that no header can carry; ours are base64url.
    pub fn set(&self, name: &str, value: &SecretString, life: Duration) -> Result<HeaderValue> {
        let secure = if self.0.secure { "; Secure" } else { "" };
        header_of(format!(
            "{name}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            value.expose(),
            life.as_secs()
        ))
    }

    /// The header that gives a browser its session. Without an age: it goes with the browser, and the session has an end of
    /// its own besides.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub(in crate::http) fn set_session(&self, value: &SecretString) -> Result<HeaderValue> {
        let SessionCookie { name, .. } = &self.0.session;
        header_of(format!("{name}={}; Path=/; {}", value.expose(), self.session_attributes()))
    }

    /// The header that makes a browser forget its session.
    ///
    /// # Errors
    /// `internal`; the configuration has no name that a header cannot carry.
    pub(in crate::http) fn clear_session(&self) -> Result<HeaderValue> {
        let SessionCookie { name, .. } = &self.0.session;
        header_of(format!("{name}=; Path=/; Max-Age=0; {}", self.session_attributes()))
    }

    /// Takes a cookie that [`Self::set`] has set away.
    ///
    /// # Errors
    /// As [`Self::set`].
    pub(in crate::http) fn clear(&self, name: &str) -> Result<HeaderValue> {
        self.set(name, &SecretString::from(""), Duration::ZERO)
    }

    /// The name of a cookie of the hosted pages. With https no neighbour of this host can set one of that name.
    pub(in crate::http) fn own_name(&self, name: &str) -> String {
        if self.0.secure { format!("__Host-{name}") } else { name.to_owned() }
    }

    fn session_attributes(&self) -> String {
        let SessionCookie { domain, same_site, secure, .. } = &self.0.session;
        let domain = domain.as_ref().map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let secure = if *secure { "; Secure" } else { "" };
        format!("HttpOnly; SameSite={}{secure}{domain}", same_site.as_str())
    }

    /// What the browser holds as its session.
    pub(in crate::http) fn session_in(&self, headers: &HeaderMap) -> Option<SecretString> {
        value_of(headers, &self.0.session.name)
    }
}

fn header_of(text: String) -> Result<HeaderValue> {
    let mut header = HeaderValue::try_from(text).map_err(Error::internal)?;
    header.set_sensitive(true);
    Ok(header)
}

/// The value of a cookie. One that comes twice is nobody's: a neighbour of this host may have set the other.
pub fn value_of(headers: &HeaderMap, name: &str) -> Option<SecretString> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut values = pairs.filter(|(found, _)| *found == name).map(|(_, value)| value);
    let value = values.next().filter(|value| value.len() <= MAX_VALUE)?;
    values.next().is_none().then(|| SecretString::from(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(header::COOKIE, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    #[test]
    fn a_cookie_is_found_among_others_and_only_if_it_comes_once() {
        let find = |lines: &[&str]| value_of(&headers(lines), DEVICE).map(|value| value.expose().to_owned());
        assert_eq!(find(&["a=b; hj_device=xyz; c=d"]).as_deref(), Some("xyz"));
        assert_eq!(find(&["a=b", "hj_device=x=y"]).as_deref(), Some("x=y"));
        let long = format!("hj_device={}", "x".repeat(MAX_VALUE + 1));
        for none in [&[][..], &["a=b"], &["xhj_device=1"], &["hj_device=1; hj_device=2"], &[&long]] {
            assert_eq!(find(none), None, "{none:?}");
        }
        assert_eq!(find(&["hj_device=1", "hj_device=1"]), None);
    }

    fn rules(more: &[(&str, &str)]) -> CookieRules {
        CookieRules::from_config(&crate::config::tests::loaded(more).config)
    }

    /// Spec §13.8, S78
    #[test]
    fn a_cookie_is_for_this_host_and_over_https_if_that_is_the_public_url() {
        let set = |url| {
            let rules = rules(&[("SERVER_PUBLIC_URL", url)]);
            rules.set(DEVICE, &SecretString::from("v"), Duration::from_secs(60)).unwrap()
        };
        let (plain, secure) = (set("http://localhost:8080"), set("https://id.example"));
        assert_eq!(plain, "hj_device=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
        assert_eq!(secure, "hj_device=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        assert!(secure.is_sensitive());
    }

    /// Spec §13.8, S78
    #[test]
    fn the_cookie_of_a_session_has_the_attributes_of_the_configuration() {
        const URL: (&str, &str) = ("SERVER_PUBLIC_URL", "https://id.example.com");
        let both = |more: &[(&str, &str)]| {
            let rules = rules(more);
            let set = rules.set_session(&SecretString::from("v")).unwrap();
            assert!(set.is_sensitive());
            [set, rules.clear_session().unwrap()].map(|header| header.to_str().unwrap().to_owned())
        };
        assert_eq!(
            both(&[]),
            [
                "hj_session=v; Path=/; HttpOnly; SameSite=Lax",
                "hj_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"
            ]
        );
        assert_eq!(
            both(&[URL]),
            [
                "__Host-hj_session=v; Path=/; HttpOnly; SameSite=Lax; Secure",
                "__Host-hj_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"
            ]
        );
        let domain = ("AUTH_SESSION_DOMAIN", "example.com");
        assert_eq!(
            both(&[URL, domain, ("AUTH_SESSION_SAMESITE", "none")])[0],
            "hj_session=v; Path=/; HttpOnly; SameSite=None; Secure; Domain=example.com"
        );
        let named = [URL, ("AUTH_SESSION_COOKIE_NAME", "sid"), ("AUTH_SESSION_SAMESITE", "Strict")];
        assert_eq!(both(&named)[0], "sid=v; Path=/; HttpOnly; SameSite=Strict; Secure");
    }
}
