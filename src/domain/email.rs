//! E-mail addresses: parsed once at the edge, compared by a key.
//!
//! Owns the grammar of an address that we accept and the key that makes it unique in a tenant (spec §4:
//! unique, case-insensitive). Must never reach for the network: whether a mailbox exists is shown by mail.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization as _;

/// Longest address in bytes (RFC 5321 §4.5.3.1.3 less the angle brackets, RFC 3696 erratum 1690).
pub const MAX_EMAIL_BYTES: usize = 254;
/// Longest local part in bytes (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;

/// An address as its owner wrote it (trimmed, Unicode NFC) together with its comparison key.
///
/// Two addresses are the same account exactly when their keys are equal: letter case is folded in the whole
/// address and the domain is in its ASCII form, so `Ann@BÜCHER.example` and `ann@xn--bcher-kva.example` agree.
/// Sub-addresses (`ann+news@`) stay distinct, because only the mailbox's owner knows what they mean.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email {
    written: String,
    key: String,
}

/// Why a text is not an address that we accept. The text itself is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    /// Nothing is left after trimming.
    #[error("email must not be empty")]
    Empty,
    /// Longer than [`MAX_EMAIL_BYTES`], or its local part longer than 64 bytes.
    #[error("email must be at most {MAX_EMAIL_BYTES} bytes with at most {MAX_LOCAL_BYTES} before the @")]
    TooLong,
    /// Not exactly one `@` with something on both sides.
    #[error("email must have exactly one @ between a name and a domain")]
    NotOneAt,
    /// A control, white-space, invisible or look-alike compatibility character.
    #[error("email must not contain white space, control, invisible or compatibility characters")]
    ForbiddenCharacter,
    /// The part before the `@` is not a dot-atom (RFC 5322 §3.2.3, RFC 6531 §3.3).
    #[error("the part before the @ of email is not valid")]
    BadLocalPart,
    /// The part after the `@` is not a host name.
    #[error("the domain of email is not valid")]
    BadDomain,
}

impl Email {
    /// Parses an address: trims it, brings it to NFC and checks the grammar.
    pub fn parse(text: &str) -> Result<Self, InvalidEmail> {
        // Bounded before any work that grows with the length.
        if text.len() > 4 * MAX_EMAIL_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        let written: String = text.trim().nfc().collect();
        if written.is_empty() {
            return Err(InvalidEmail::Empty);
        }
        if written.len() > MAX_EMAIL_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        // A full-width or ligature twin of a letter would be a second account that looks like the first (S76).
        if written.chars().any(forbidden) || !written.nfkc().eq(written.chars()) {
            return Err(InvalidEmail::ForbiddenCharacter);
        }
        let (local, domain) = written.split_once('@').ok_or(InvalidEmail::NotOneAt)?;
        if local.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err(InvalidEmail::NotOneAt);
        }
        if local.len() > MAX_LOCAL_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        if !local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext)) {
            return Err(InvalidEmail::BadLocalPart);
        }
        let domain = ascii_domain(domain)?;
        let local: String = local.to_lowercase().nfc().collect();
        let key = format!("{local}@{domain}");
        // Folding and the ASCII form of the domain may both lengthen it.
        if key.len() > MAX_EMAIL_BYTES {
            return Err(InvalidEmail::TooLong);
        }
        Ok(Self { written, key })
    }

    /// The address as its owner wrote it; where mail goes.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// What makes the address unique in a tenant. Never shown, never mailed to.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// RFC 5322 `atext`, and every letter, mark or digit beyond ASCII (RFC 6531).
fn atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii()
}

/// White space, control characters and those that show nothing or turn the reading direction.
fn forbidden(c: char) -> bool {
    c.is_control()
        || c.is_whitespace()
        || matches!(
            u32::from(c),
            0x00AD | 0x034F | 0x061C | 0x115F..=0x1160 | 0x17B4..=0x17B5 | 0x180B..=0x180F
            | 0x200B..=0x200F | 0x202A..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F | 0xFEFF
            | 0xFFA0 | 0xFFF0..=0xFFFF | 0xE000..=0xF8FF | 0xE0000..=0x10FFFF
        )
}

/// The lower-case ASCII (punycode) form of a domain name.
fn ascii_domain(domain: &str) -> Result<String, InvalidEmail> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.') || !c.is_ascii();
    if !domain.chars().all(allowed) {
        return Err(InvalidEmail::BadDomain);
    }
    let ascii = match url::Host::parse(domain) {
        Ok(url::Host::Domain(name)) => name,
        Ok(url::Host::Ipv4(_) | url::Host::Ipv6(_)) | Err(_) => return Err(InvalidEmail::BadDomain),
    };
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if ascii.split('.').all(label) { Ok(ascii) } else { Err(InvalidEmail::BadDomain) }
}

impl PartialEq for Email {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Email {}

impl std::hash::Hash for Email {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;
    fn from_str(text: &str) -> Result<Self, InvalidEmail> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;
    fn try_from(text: String) -> Result<Self, InvalidEmail> {
        Self::parse(&text)
    }
}

impl From<Email> for String {
    fn from(email: Email) -> String {
        email.written
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Email({:?})", self.written)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn keeps_what_was_written_and_compares_without_case() {
        let email = Email::parse("  Ann.Smith+news@Example.COM \n").unwrap();
        assert_eq!(email.as_str(), "Ann.Smith+news@Example.COM");
        assert_eq!(email.key(), "ann.smith+news@example.com");
        assert_eq!(email, Email::parse("ann.smith+NEWS@example.com").unwrap());
        assert_ne!(email, Email::parse("ann.smith@example.com").unwrap());
    }

    #[test]
    fn composed_and_decomposed_forms_are_one_address() {
        let composed = Email::parse("jos\u{e9}@example.com").unwrap();
        let decomposed = Email::parse("jose\u{301}@example.com").unwrap();
        assert_eq!(composed.key(), decomposed.key());
        assert_eq!(composed.as_str(), decomposed.as_str());
    }

    #[test]
    fn an_international_domain_equals_its_ascii_form() {
        let unicode = Email::parse("x@B\u{fc}cher.example").unwrap();
        assert_eq!(unicode.key(), "x@xn--bcher-kva.example");
        assert_eq!(unicode, Email::parse("x@xn--bcher-kva.example").unwrap());
    }

    #[test]
    fn limits_are_counted_in_bytes() {
        let local = "a".repeat(64);
        let domain = format!("{}.{}.{}", "b".repeat(63), "c".repeat(63), "d".repeat(61));
        assert_eq!(format!("{local}@{domain}").len(), 254);
        assert!(Email::parse(&format!("{local}@{domain}")).is_ok());
        assert_eq!(Email::parse(&format!("{local}@{domain}d")).unwrap_err(), InvalidEmail::TooLong);
        assert_eq!(Email::parse(&format!("{local}a@example.com")).unwrap_err(), InvalidEmail::TooLong);
        assert_eq!(Email::parse(&"a".repeat(5000)).unwrap_err(), InvalidEmail::TooLong);
    }

    /// S76, S108: look-alikes, invisible characters and header injection.
    #[test]
    fn refuses_what_is_not_an_address() {
        let cases = [
            ("", InvalidEmail::Empty),
            ("   ", InvalidEmail::Empty),
            ("ann", InvalidEmail::NotOneAt),
            ("@example.com", InvalidEmail::NotOneAt),
            ("ann@", InvalidEmail::NotOneAt),
            ("a@b@example.com", InvalidEmail::NotOneAt),
            ("ann@example.com\r\nBcc: x", InvalidEmail::ForbiddenCharacter),
            ("an n@example.com", InvalidEmail::ForbiddenCharacter),
            ("ann\0@example.com", InvalidEmail::ForbiddenCharacter),
            ("an\u{200b}n@example.com", InvalidEmail::ForbiddenCharacter),
            ("ann\u{202e}@example.com", InvalidEmail::ForbiddenCharacter),
            ("\u{ff41}nn@example.com", InvalidEmail::ForbiddenCharacter),
            (".ann@example.com", InvalidEmail::BadLocalPart),
            ("ann.@example.com", InvalidEmail::BadLocalPart),
            ("a..n@example.com", InvalidEmail::BadLocalPart),
            ("\"ann\"@example.com", InvalidEmail::BadLocalPart),
            ("<ann@example.com>", InvalidEmail::BadLocalPart),
            ("ann@example.com.", InvalidEmail::BadDomain),
            ("ann@.example.com", InvalidEmail::BadDomain),
            ("ann@-example.com", InvalidEmail::BadDomain),
            ("ann@exa_mple.com", InvalidEmail::BadDomain),
            ("ann@exa%6dple.com", InvalidEmail::BadDomain),
            ("ann@127.0.0.1", InvalidEmail::BadDomain),
            ("ann@[::1]", InvalidEmail::BadDomain),
        ];
        for (text, why) in cases {
            assert_eq!(Email::parse(text).unwrap_err(), why, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_what_it_accepts_is_stable(text in any::<String>()) {
            if let Ok(email) = Email::parse(&text) {
                let again = Email::parse(email.as_str()).unwrap();
                prop_assert_eq!(again.as_str(), email.as_str());
                prop_assert_eq!(again.key(), email.key());
            }
        }

        #[test]
        fn case_never_makes_a_second_account(local in "[a-zA-Z0-9+_.-]{1,20}", domain in "[a-zA-Z0-9-]{1,20}\\.[a-zA-Z]{2,6}") {
            let text = format!("{local}@{domain}");
            if let Ok(email) = Email::parse(&text) {
                let upper = Email::parse(&text.to_uppercase()).unwrap();
                prop_assert!(upper == email);
            }
        }
    }
}
