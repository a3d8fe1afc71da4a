//! Checks that every document goes through before it enters the state; errors name the field.

mod redirect;
mod uri;

use serde::{Deserialize, Serialize};

pub use self::redirect::redirect_uri_matches;
use self::uri::Uri;
use crate::limits;

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldError {
    /// Path of the member, such as `settings.smtp.host` or `redirect_uris[2]`.
    pub field: String,
    /// Stable snake_case code.
    pub code: String,
    /// What is wrong and what would be right, for a person.
    pub message: String,
}

/// Gathers everything that is wrong with a document, so that a caller sees all of it at once.
#[derive(Debug, Default)]
pub struct Findings(Vec<FieldError>);

impl Findings {
    /// Notes one finding.
    pub fn add(&mut self, field: impl Into<String>, code: &str, message: impl Into<String>) {
        self.0.push(FieldError { field: field.into(), code: code.to_owned(), message: message.into() });
    }

    /// All findings, or `Ok` when there are none.
    pub fn into_result(self) -> Result<(), Vec<FieldError>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }

    /// A text of 1 to [`limits::TEXT`] characters without control characters.
    pub fn text(&mut self, field: &str, text: &str) {
        if text.trim().is_empty() {
            self.add(field, "required", "must not be empty");
        } else {
            self.optional_text(field, text);
        }
    }

    /// A text of up to [`limits::TEXT`] characters without control characters.
    pub fn optional_text(&mut self, field: &str, text: &str) {
        if text.chars().count() > limits::TEXT {
            self.add(field, "too_long", format!("must have at most {} characters", limits::TEXT));
        }
        if text.chars().any(char::is_control) {
            self.add(field, "invalid_characters", "must not contain control characters");
        }
    }

    /// A number of seconds that may be zero.
    pub fn at_most_seconds(&mut self, field: &str, value: u32, max: u32) {
        if value > max {
            self.add(field, "out_of_range", format!("must be at most {max} seconds"));
        }
    }

    /// A number of seconds from 1 to `max`.
    pub fn seconds(&mut self, field: &str, value: u32, max: u32) {
        if value == 0 || value > max {
            self.add(field, "out_of_range", format!("must be between 1 and {max} seconds"));
        }
    }

    /// A list of at most [`limits::LIST`] different values.
    pub fn list<T: PartialEq>(&mut self, field: &str, values: &[T]) {
        if values.len() > limits::LIST {
            self.add(field, "too_many", format!("must have at most {} items", limits::LIST));
            return;
        }
        for (i, value) in values.iter().enumerate() {
            if values.iter().take(i).any(|earlier| earlier == value) {
                self.add(format!("{field}[{i}]"), "duplicate", "appears twice");
            }
        }
    }

    /// An absolute `https` URL without fragment or user information; `http` only on loopback.
    pub fn web_url(&mut self, field: &str, text: &str) {
        if let Some(uri) = self.absolute_url(field, text)
            && !(uri.scheme == "https" || (uri.scheme == "http" && uri.is_loopback()))
        {
            self.add(field, "insecure_url", "must be an https URL (http only for loopback addresses)");
        }
    }

    /// A redirect URI as RFC 9700 §2.1 and §2.6 want it: `https`, `http` on loopback only, or a private-use
    /// scheme in reverse domain form (RFC 8252 §7.1).
    pub fn redirect_uri(&mut self, field: &str, text: &str) {
        if let Some(uri) = self.absolute_url(field, text) {
            let allowed = match uri.scheme {
                "https" => true,
                "http" => uri.is_loopback(),
                scheme => scheme.contains('.'),
            };
            if !allowed {
                self.add(
                    field,
                    "insecure_redirect_uri",
                    "must use https, http on a loopback address, or a private-use scheme such as com.example.app",
                );
            }
        }
    }

    /// A resource indicator (RFC 8707 §2): an absolute URI without fragment. It names something and is never called.
    pub fn resource(&mut self, field: &str, text: &str) {
        let urn = text.len() <= limits::URL && uri::is_urn(text);
        if !urn {
            self.absolute_url(field, text);
        }
    }

    /// The name of a domain in lower case, with at least one dot.
    pub fn domain(&mut self, field: &str, text: &str) {
        if !uri::is_domain(text) {
            self.add(field, "invalid_domain", "must be a domain in lower case such as example.com");
        }
    }

    /// A web origin as a browser writes it (RFC 6454 §6.2): scheme, host and optional port, nothing else.
    pub fn origin(&mut self, field: &str, text: &str) {
        let canonical = |uri: Uri<'_>| {
            let default_port = match uri.scheme {
                "https" => 443,
                "http" => 80,
                _ => return false,
            };
            let lower_case = !text.bytes().any(|b| b.is_ascii_uppercase());
            uri.rest.is_empty() && uri.host.is_some() && uri.port != Some(default_port) && lower_case
        };
        if text.len() > limits::URL || !Uri::parse(text).is_ok_and(canonical) {
            self.add(field, "invalid_origin", "must be an origin such as https://app.example.com");
        }
    }

    fn absolute_url<'a>(&mut self, field: &str, text: &'a str) -> Option<Uri<'a>> {
        if text.len() > limits::URL {
            self.add(field, "too_long", format!("must have at most {} bytes", limits::URL));
            return None;
        }
        match Uri::parse(text) {
            Ok(uri) => Some(uri),
            Err(message) => {
                self.add(field, "invalid_url", message);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(check: impl FnOnce(&mut Findings)) -> Vec<String> {
        let mut findings = Findings::default();
        check(&mut findings);
        findings.0.into_iter().map(|e| e.code).collect()
    }

    /// S03: what a redirect URI may be at registration.
    #[test]
    fn redirect_uris_of_s03() {
        for good in [
            "https://app.example.com/cb",
            "http://localhost/cb",
            "http://127.0.0.1:3000/cb",
            "http://[::1]/cb",
            "com.example.app:/cb",
            "com.example.app://cb",
            "https://app.example.com",
            "https://app.example.com/cb?tenant=a&x=%2F",
        ] {
            assert!(codes(|f| f.redirect_uri("u", good)).is_empty(), "{good}");
        }
        for bad in [
            "http://app.example.com/cb",
            "javascript:alert(1)",
            "javascript://app.example.com/%0aalert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "https://user@app.example.com/cb",
            "https://app.example.com/cb#x",
            "https://app.example.com/*",
            "https://app.example.com\\cb",
            "https://app.example.com/a/../b",
            "https://app.example.com/a/%2e%2e",
            "https://@app.example.com/cb",
            "myapp://cb",
            "ftp://app.example.com/cb",
            "/cb",
            "",
        ] {
            assert!(!codes(|f| f.redirect_uri("u", bad)).is_empty(), "{bad}");
        }
    }

    #[test]
    fn origins_have_no_path_and_are_canonical() {
        assert!(codes(|f| f.origin("o", "https://app.example.com")).is_empty());
        assert!(codes(|f| f.origin("o", "http://localhost:3000")).is_empty());
        assert!(codes(|f| f.origin("o", "http://[::1]:8080")).is_empty());
        for bad in [
            "https://app.example.com/",
            "https://app.example.com?x",
            "https://App.example.com",
            "HTTPS://app",
            "null",
            "*",
            "https://*.example.com",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "com.example.app://x",
            "https://",
        ] {
            assert!(!codes(|f| f.origin("o", bad)).is_empty(), "{bad}");
        }
    }
}
