//! `If-Match`, `If-None-Match` and `X-Min-Index` (spec §3.3).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};

use crate::http::error::{ApiError, ApiResult};
use crate::service::{Code, Error, Precondition};

/// The index that a read wants this node to have applied.
pub const MIN_INDEX: HeaderName = HeaderName::from_static("x-min-index");

/// The precondition of a write. An entity tag that is well-formed but not one of ours can never match.
///
/// # Errors
/// `invalid_header` for both headers at once, several tags, a tag that is not quoted, or an
/// `If-None-Match` other than `*`.
pub fn precondition_of(headers: &HeaderMap) -> Result<Precondition, Error> {
    let if_match = single(headers, &header::IF_MATCH)?;
    let if_none_match = single(headers, &header::IF_NONE_MATCH)?;
    match (if_match, if_none_match) {
        (None, None) => Ok(Precondition::None),
        (Some(_), Some(_)) => Err(bad("If-Match and If-None-Match exclude each other")),
        (None, Some("*")) => Ok(Precondition::Absent),
        (None, Some(_)) => Err(bad("If-None-Match must be `*` on a write")),
        (Some("*"), None) => Ok(Precondition::Any),
        (Some(tag), None) => match_of(tag),
    }
}

fn match_of(tag: &str) -> Result<Precondition, Error> {
    // Weak tags never match strongly (RFC 9110 §13.1.1); zero is a revision that no document has.
    let (strong, quoted) = match tag.strip_prefix("W/") {
        Some(rest) => (false, rest),
        None => (true, tag),
    };
    let opaque = quoted
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .filter(|inner| inner.bytes().all(|b| b.is_ascii_graphic() && b != b'"'))
        .ok_or_else(|| bad("If-Match must be `*` or one entity tag such as \"7\""))?;
    // A tag is compared letter by letter (RFC 9110 §8.8.3.2): `"07"` is not the tag `"7"`.
    let revision = decimal(opaque).filter(|n| strong && n.to_string() == opaque).unwrap_or(0);
    Ok(Precondition::Revision(revision))
}

/// `X-Min-Index: N`, if sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinIndex(pub Option<u64>);

impl<S: Sync> FromRequestParts<S> for MinIndex {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        Ok(Self(min_index_of(&parts.headers)?))
    }
}

fn min_index_of(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    single(headers, &MIN_INDEX)?
        .map(|text| decimal(text).ok_or_else(|| bad("X-Min-Index must be a decimal number below 2^64")))
        .transpose()
}

/// Digits only: no sign, no blank, no other base.
fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|_| values.next().is_none());
    text.map(|text| Some(text.trim()))
        .ok_or_else(|| bad(format!("{name} must be sent once, in visible ASCII")))
}

fn bad(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::bad_input(Code::InvalidHeader, detail)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    /// spec §3.3
    #[test]
    fn conditions_are_read_and_foreign_tags_never_match() {
        for (value, expected) in [
            ("*", Precondition::Any),
            ("\"7\"", Precondition::Revision(7)),
            ("\"abc\"", Precondition::Revision(0)),
            ("W/\"7\"", Precondition::Revision(0)),
            ("\"\"", Precondition::Revision(0)),
            ("\"99999999999999999999\"", Precondition::Revision(0)),
        ] {
            assert_eq!(precondition_of(&headers(&[("if-match", value)])).unwrap(), expected, "{value}");
        }
        assert_eq!(precondition_of(&headers(&[("if-none-match", "*")])).unwrap(), Precondition::Absent);
        assert_eq!(precondition_of(&headers(&[])).unwrap(), Precondition::None);
    }

    #[test]
    fn malformed_conditions_are_refused() {
        for bad in [
            &[("if-match", "7")][..],
            &[("if-match", "\"7")],
            &[("if-match", "\"7\", \"8\"")],
            &[("if-match", "")],
            &[("if-match", "\"7\""), ("if-match", "\"8\"")],
            &[("if-match", "*"), ("if-none-match", "*")],
            &[("if-none-match", "\"7\"")],
            &[("if-match", "\"é\"")],
        ] {
            let error = precondition_of(&headers(bad)).unwrap_err();
            assert_eq!(error.code(), Code::InvalidHeader, "{bad:?}");
        }
    }

    /// spec §3.3
    #[test]
    fn min_index_is_a_decimal_u64() {
        let read = |value| min_index_of(&headers(&[("x-min-index", value)]));
        assert_eq!(read("0").unwrap(), Some(0));
        assert_eq!(read("18446744073709551615").unwrap(), Some(u64::MAX));
        assert_eq!(min_index_of(&headers(&[])).unwrap(), None);
        for bad in ["", "+1", "-1", "0x1", "1.0", "1 2", "18446744073709551616"] {
            assert_eq!(read(bad).unwrap_err().code(), Code::InvalidHeader, "{bad}");
        }
    }
}
