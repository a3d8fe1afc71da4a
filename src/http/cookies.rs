//! Cookies that this server sets itself (spec §13.8). Owns their attributes; the values are the services'.

use std::time::Duration;

use axum::extract::FromRef;
use axum::http::{HeaderMap, HeaderValue, header};

use crate::config::Config;
use crate::crypto::secret::SecretString;
use crate::http::state::AppState;
use crate::service::{Error, Result};

/// What a trusted device shows (S69).
pub const DEVICE: &str = "hj_device";
/// Longest value that is looked at.
const MAX_VALUE: usize = 512;

/// How cookies are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CookieRules {
    /// Whether the public URL is https: then no cookie ever travels in clear.
    secure: bool,
}

impl CookieRules {
    /// The rules of this node.
    pub fn from_config(config: &Config) -> Self {
        Self { secure: config.server.public_url.is_https() }
    }

    /// The header that sets a cookie for this host alone, out of reach of scripts and of other sites' forms.
    ///
    /// # Errors
    /// `internal` for a value that no header can carry; ours are base64url.
    pub fn set(self, name: &str, value: &SecretString, life: Duration) -> Result<HeaderValue> {
        let secure = if self.secure { "; Secure" } else { "" };
        let text = format!(
            "{name}={}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            value.expose(),
            life.as_secs()
        );
        let mut header = HeaderValue::try_from(text).map_err(Error::internal)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl FromRef<AppState> for CookieRules {
    fn from_ref(state: &AppState) -> Self {
        Self::from_config(&state.settings)
    }
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

    /// Spec §13.8, S78
    #[test]
    fn a_cookie_is_for_this_host_and_over_https_if_that_is_the_public_url() {
        let set = |secure| {
            let rules = CookieRules { secure };
            rules.set(DEVICE, &SecretString::from("v"), Duration::from_secs(60)).unwrap()
        };
        assert_eq!(set(false), "hj_device=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax");
        assert_eq!(set(true), "hj_device=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        assert!(set(true).is_sensitive());
    }
}
