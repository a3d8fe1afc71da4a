//! Where somebody wants to go after a login: a path of ours, and nothing that a browser could take for another place (S93).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// Longest path that is taken, in bytes.
pub const MAX_RETURN_TO: usize = 4096;

/// A path below this server's public URL, with an optional query; without scheme, host and fragment.
///
/// The path has no empty and no dot segments and encodes nothing that would mean another path when it is decoded once
/// more. The query is opaque: an authorisation request in it names other sites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReturnTo(String);

/// A text is not a path of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a path of this server that begins with a single slash, at most {MAX_RETURN_TO} bytes")]
pub struct NotAPath;

impl ReturnTo {
    /// The text, as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ReturnTo {
    type Err = NotAPath;

    fn from_str(text: &str) -> Result<Self, NotAPath> {
        let (path, query) = text.split_once('?').unwrap_or((text, ""));
        let rest = path.strip_prefix('/').ok_or(NotAPath)?;
        let segments_stand = rest.split('/').enumerate().all(|(index, segment)| {
            // Only the whole path may be empty behind its slash, or end with one.
            let last = index == rest.matches('/').count();
            !matches!(segment, "." | "..") && (last || !segment.is_empty())
        });
        let fits = text.len() <= MAX_RETURN_TO && segments_stand;
        if fits && is_plain(path, true) && is_plain(query, false) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAPath)
        }
    }
}

/// Whether a part of a URL has only characters of RFC 3986 §3.3 and whole escapes; with `strict` none of something that
/// separates, hides or ends a path: control characters, dots, slashes, backslashes, percent signs.
fn is_plain(part: &str, strict: bool) -> bool {
    let mut bytes = part.bytes();
    while let Some(byte) = bytes.next() {
        let allowed = match byte {
            b'%' => {
                let digits = bytes.next().zip(bytes.next());
                let decoded = digits.and_then(|(high, low)| Some(hex(high)? << 4 | hex(low)?));
                decoded.is_some_and(|byte| !strict || !(byte.is_ascii_control() || b"./\\%".contains(&byte)))
            }
            b'?' => !strict,
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte),
        };
        if !allowed {
            return false;
        }
    }
    true
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Display for ReturnTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ReturnTo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_of_ours_is_taken_as_it_is() {
        let longest = format!("/{}", "a".repeat(MAX_RETURN_TO - 1));
        for good in [
            "/",
            "/account",
            "/account/",
            "/t/acme/account?tab=sessions",
            "/oauth2/authorize?client_id=web&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&state=a//b?c",
            "/caf%C3%A9/a:b@c",
            &longest,
        ] {
            assert_eq!(good.parse::<ReturnTo>().unwrap().as_str(), good);
        }
    }

    /// S93
    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        let too_long = format!("/{}", "a".repeat(MAX_RETURN_TO));
        for bad in [
            "",
            "account",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/%5cevil.example",
            "/%2fevil.example",
            "/%2Fevil.example",
            "/%252fevil.example",
            "/a//evil.example",
            "/..//evil.example",
            "/./a",
            "/a/..",
            "/%2e%2e/a",
            "/\t/evil.example",
            "/\n/evil.example",
            "/%09/evil.example",
            "/%0d%0aset-cookie:a=b",
            "/a b",
            "/a%",
            "/a%2",
            "/a%zz",
            "/a?b%g1",
            "/a?b\\c",
            "/a?b\u{0}",
            "/a#fragment",
            "/a?b#fragment",
            "/é",
            "https://evil.example/",
            "https:/a",
            "javascript:alert(1)",
            "?a=b",
            " /a",
            &too_long,
        ] {
            assert_eq!(bad.parse::<ReturnTo>(), Err(NotAPath), "{bad}");
        }
    }

    proptest! {
        /// Whatever is taken stays at the origin it is resolved against, for a browser too.
        #[test]
        fn no_path_leaves_the_origin(text in "[/\\\\?#%.:@a-f0-9 \t]{0,24}") {
            if let Ok(path) = text.parse::<ReturnTo>() {
                let base = url::Url::parse("https://id.example/login").unwrap();
                let there = base.join(path.as_str()).unwrap();
                prop_assert_eq!(there.origin(), base.origin());
                prop_assert_eq!(there.path(), text.split('?').next().unwrap());
            }
        }
    }
}
