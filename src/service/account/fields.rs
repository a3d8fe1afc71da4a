//! Fields of an account as a person sends them, checked together, so that one answer names all that is wrong.

use hellojohn_control::documents::{PasswordRules, Tenant};
use serde_json::{Map, Value};
use url::Url;

use super::AccountSettings;
use crate::crypto::password::Password;
use crate::domain::email::Email;
use crate::domain::password_policy::{Context, PasswordPolicy};
use crate::service::{Error, FieldError, Result};

/// Most characters of a given or family name.
const MAX_NAME: usize = 200;
/// Longest URL of a picture, in bytes.
const MAX_PICTURE: usize = 2048;
/// Longest custom attributes, in bytes of JSON.
const MAX_CUSTOM: usize = 16 * 1024;
/// Longest language tag, in bytes (RFC 5646 §4.4.1).
const MAX_LOCALE: usize = 35;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub(super) struct Findings(Vec<FieldError>);

impl Findings {
    /// The address, if it is one.
    pub(super) fn email(&mut self, text: &str) -> Option<Email> {
        let parsed = Email::parse(text);
        parsed.map_err(|error| self.add("email", "invalid_email", error.to_string())).ok()
    }

    /// A name: without the space around it, and absent when nothing else is there.
    pub(super) fn name(&mut self, field: &'static str, text: Option<&str>) -> Option<String> {
        let text = text?.trim();
        if text.chars().any(char::is_control) {
            self.add(field, "invalid", "must not contain control characters".to_owned());
        } else if text.chars().count() > MAX_NAME {
            self.add(field, "too_long", format!("must have at most {MAX_NAME} characters"));
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// URL of a picture: absolute, https, without credentials; absent when it is empty.
    pub(super) fn picture(&mut self, text: &str) -> Option<String> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        let url = picture_url(text);
        if url.is_none() {
            let message = format!("must be an https URL of at most {MAX_PICTURE} bytes");
            self.add("picture", "invalid_url", message);
        }
        url
    }

    /// A language tag; absent when it is empty.
    pub(super) fn locale(&mut self, text: &str) -> Option<String> {
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        if !is_locale(text) {
            self.add("locale", "invalid_locale", "must be a language tag such as de or pt-BR".to_owned());
        }
        Some(text.to_owned())
    }

    /// Attributes of the tenant's own choosing, as they would be kept.
    pub(super) fn custom(&mut self, custom: &Map<String, Value>) {
        let text = Value::from(custom.clone()).to_string();
        if text.len() > MAX_CUSTOM {
            self.add("custom", "too_long", format!("must have at most {MAX_CUSTOM} bytes of JSON"));
        }
        // PostgreSQL keeps no NUL.
        if text.contains("\\u0000") {
            self.add("custom", "invalid", "must not contain the character NUL".to_owned());
        }
    }

    /// A field that cannot be without a value.
    pub(super) fn required(&mut self, field: &'static str) {
        self.add(field, "required", "cannot be removed".to_owned());
    }

    /// A new password, by the rules of the tenant.
    pub(super) fn new_password(
        &mut self,
        field: &'static str,
        password: &Password,
        email: &str,
        tenant: &Tenant,
        policy: &PasswordPolicy,
        settings: &AccountSettings,
    ) {
        let context = Context {
            email: Some(email),
            tenant: Some(tenant.slug.as_str()),
            tenant_name: Some(tenant.name.as_str()),
        };
        if let Err(violations) = policy.check(password.expose(), &context, &settings.blacklist) {
            for violation in violations {
                self.add(field, violation.code(), violation.to_string());
            }
        }
    }

    /// A new password that is the current one.
    pub(super) fn unchanged_password(&mut self, field: &'static str) {
        self.add(field, "unchanged", "must be another than the current one".to_owned());
    }

    /// Anything else.
    pub(super) fn add(&mut self, field: &'static str, code: &'static str, message: String) {
        self.0.push(FieldError::new(field, code, message));
    }

    /// Everything that was found, where that is no error of the whole request.
    pub(super) fn into_errors(self) -> Vec<FieldError> {
        self.0
    }

    /// # Errors
    /// `validation_failed` with everything that was found.
    pub(super) fn into_result(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::invalid(self.0)) }
    }
}

/// The URL as a parser writes it, so that nothing is kept that it only forgave.
fn picture_url(text: &str) -> Option<String> {
    let url = text.starts_with("https://").then(|| Url::parse(text).ok()).flatten()?;
    let plain = url.has_host() && url.username().is_empty() && url.password().is_none();
    let url = url.to_string();
    (plain && !text.contains('@') && url.len() <= MAX_PICTURE).then_some(url)
}

/// RFC 5646 §2.1 in its common form: a language of letters, and subtags.
fn is_locale(text: &str) -> bool {
    let mut parts = text.split('-');
    let language = parts.next().unwrap_or_default();
    text.len() <= MAX_LOCALE
        && (2..=8).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphabetic())
        && parts.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()))
}

/// The rules of a tenant: its own where it has some, else the node's.
pub(super) fn policy_of(base: &PasswordPolicy, own: Option<&PasswordRules>) -> PasswordPolicy {
    let Some(own) = own else { return *base };
    PasswordPolicy {
        min_length: own.min_length.map_or(base.min_length, usize::from),
        max_length: own.max_length.map_or(base.max_length, usize::from),
        require_upper: own.require_upper.unwrap_or(base.require_upper),
        require_lower: own.require_lower.unwrap_or(base.require_lower),
        require_digit: own.require_digit.unwrap_or(base.require_digit),
        require_symbol: own.require_symbol.unwrap_or(base.require_symbol),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_overrides_only_the_rules_that_it_names() {
        let base = PasswordPolicy { require_digit: true, ..PasswordPolicy::default() };
        assert_eq!(policy_of(&base, None), base);
        let own =
            PasswordRules { min_length: Some(12), require_digit: Some(false), ..PasswordRules::default() };
        let merged = policy_of(&base, Some(&own));
        let expected = PasswordPolicy { min_length: 12, require_digit: false, ..base };
        assert_eq!(merged, expected);
    }

    #[test]
    fn names_are_trimmed_bounded_and_free_of_control_characters() {
        let mut findings = Findings::default();
        assert_eq!(findings.name("given_name", Some("  Ann ")).as_deref(), Some("Ann"));
        assert_eq!(findings.name("given_name", Some(" ")), None);
        assert_eq!(findings.name("given_name", None), None);
        findings.into_result().unwrap();
        for bad in ["a\u{0}b", "a\nb", &"x".repeat(MAX_NAME + 1)] {
            let mut findings = Findings::default();
            findings.name("given_name", Some(bad));
            findings.into_result().unwrap_err();
        }
    }
}
