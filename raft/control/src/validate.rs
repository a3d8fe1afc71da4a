//! Checks that every document goes through before it enters the state; errors name the field.

use serde::{Deserialize, Serialize};
use url::{Host, Url};

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

    /// A number within `range`.
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
        if let Some(url) = self.absolute_url(field, text)
            && !(url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)))
        {
            self.add(field, "insecure_url", "must be an https URL (http only for loopback addresses)");
        }
    }

    /// A redirect URI as RFC 9700 §2.1 and §2.6 want it: `https`, `http` on loopback only, or a private-use
    /// scheme in reverse domain form (RFC 8252 §7.1).
    pub fn redirect_uri(&mut self, field: &str, text: &str) {
        if let Some(url) = self.absolute_url(field, text) {
            let allowed = match url.scheme() {
                "https" => true,
                "http" => is_loopback(&url),
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

    /// A web origin (RFC 6454): scheme, host and optional port, nothing else.
    pub fn origin(&mut self, field: &str, text: &str) {
        let serialized = Url::parse(text).ok().map(|url| url.origin().ascii_serialization());
        if text.len() > limits::URL || serialized.as_deref() != Some(text) || !text.starts_with("http") {
            self.add(field, "invalid_origin", "must be an origin such as https://app.example.com");
        }
    }

    fn absolute_url(&mut self, field: &str, text: &str) -> Option<Url> {
        if text.len() > limits::URL {
            self.add(field, "too_long", format!("must have at most {} bytes", limits::URL));
            return None;
        }
        let odd = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '*' | '#');
        match Url::parse(text) {
            Ok(url)
                if !text.contains(odd)
                    && url.username().is_empty()
                    && url.password().is_none()
                    && !url.path().split('/').any(|segment| segment == "..")
                    && !text.contains("/../") =>
            {
                Some(url)
            }
            Ok(_) | Err(_) => {
                self.add(
                    field,
                    "invalid_url",
                    "must be an absolute URL without fragment, user information, wildcard, backslash or '..'",
                );
                None
            }
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
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
        ] {
            assert!(codes(|f| f.redirect_uri("u", good)).is_empty(), "{good}");
        }
        for bad in [
            "http://app.example.com/cb",
            "javascript:alert(1)",
            "data:text/html,x",
            "file:///etc/passwd",
            "https://user@app.example.com/cb",
            "https://app.example.com/cb#x",
            "https://app.example.com/*",
            "https://app.example.com\\cb",
            "https://app.example.com/a/../b",
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
        for bad in ["https://app.example.com/", "HTTPS://APP", "null", "*", "https://app.example.com:443"] {
            assert!(!codes(|f| f.origin("o", bad)).is_empty(), "{bad}");
        }
    }
}
