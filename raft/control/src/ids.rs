//! Typed identifiers, parsed once at the edge. A value of these types is safe as a file name.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Why a text is not an identifier of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} must match {grammar}")]
pub struct InvalidId {
    /// What was being parsed: `slug`, `client_id`, `scope` or `kid`.
    pub kind: &'static str,
    /// The grammar of spec §2.1 that the text does not match.
    pub grammar: &'static str,
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $grammar:literal, $valid:path) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The grammar as a regular expression, for error texts and OpenAPI.
            pub const GRAMMAR: &'static str = $grammar;

            /// Parses `text`, refusing everything outside the grammar.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                if $valid(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(InvalidId { kind: $kind, grammar: $grammar })
                }
            }

            /// The identifier as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0.as_ref().to_owned()
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &self.0)
            }
        }
    };
}

id!(
    /// Short name of a tenant; part of paths, URLs and the `tid` claim (spec §2.1).
    Slug,
    "slug",
    "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$",
    valid_slug
);
id!(
    /// OAuth client identifier, unique within a tenant (spec §2.1).
    ClientId,
    "client_id",
    "^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$",
    valid_client_id
);
id!(
    /// Name of an OAuth scope (spec §2.1).
    ScopeName,
    "scope",
    "^[a-z0-9](?:[a-z0-9:_\\.-]{0,62}[a-z0-9])?$",
    valid_scope
);
id!(
    /// Key identifier, made by the leader; the grammar keeps it safe as a file name.
    Kid,
    "kid",
    "^[A-Za-z0-9_-]{8,64}$",
    valid_kid
);

fn lower_or_digit(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit()
}

/// First and last byte lower-case or digit, the inner ones from `inner`, at most `max` bytes.
fn bounded(text: &str, max: usize, inner: impl Fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    match bytes {
        [] => false,
        [only] => lower_or_digit(*only),
        [first, middle @ .., last] => {
            bytes.len() <= max
                && lower_or_digit(*first)
                && lower_or_digit(*last)
                && middle.iter().all(|b| inner(*b))
        }
    }
}

fn valid_slug(text: &str) -> bool {
    bounded(text, 63, |b| lower_or_digit(b) || b == b'-')
}

fn valid_scope(text: &str) -> bool {
    bounded(text, 64, |b| lower_or_digit(b) || matches!(b, b':' | b'_' | b'.' | b'-'))
}

fn valid_client_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=128).contains(&bytes.len())
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-'))
}

fn valid_kid(text: &str) -> bool {
    (8..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slug_grammar_of_spec_2_1() {
        for good in ["a", "0", "acme", "a-b", "a--b", &"a".repeat(63)] {
            assert!(Slug::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "../x", "a/b", "a\0", "a.b", "é", &"a".repeat(64)] {
            assert!(Slug::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn client_id_grammar_of_spec_2_1() {
        for good in ["a", "Local-web", "a.b_c~d-e", &"x".repeat(128)] {
            assert!(ClientId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "_a", "-", "a b", "a/b", "..", &"x".repeat(129)] {
            assert!(ClientId::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn scope_grammar_of_spec_2_1() {
        for good in ["openid", "profile:read", "a.b_c-d:e", &"s".repeat(64)] {
            assert!(ScopeName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ":a", "a:", "A", "a b", &"s".repeat(65)] {
            assert!(ScopeName::parse(bad).is_err(), "{bad}");
        }
    }
}
