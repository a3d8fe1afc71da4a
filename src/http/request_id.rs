//! Request ids: taken from `X-Request-ID` when bounded and printable, else made (spec §5).

use std::sync::Arc;

use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue};

use crate::domain::rng::{self, Rng};

/// The header, both ways.
pub const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over from a caller, in bytes.
const MAX: usize = 128;

/// The name under which everything about one request is logged and returned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The caller's id when it is 1 to 128 visible ASCII characters, else a new random one.
    pub fn accept_or_make(headers: &HeaderMap, rng: &dyn Rng) -> Self {
        let accepted = headers
            .get(HEADER)
            .map(HeaderValue::as_bytes)
            .filter(|id| (1..=MAX).contains(&id.len()) && id.iter().all(u8::is_ascii_graphic))
            .and_then(|id| std::str::from_utf8(id).ok());
        match accepted {
            Some(id) => Self(id.into()),
            None => Self(rng::uuid(rng).simple().to_string().into()),
        }
    }

    /// The id of the request with these extensions; `-` outside the edge's middleware.
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_else(|| Self("-".into()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a header value; visible ASCII by construction.
    pub fn header_value(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rng::OsRng;

    fn id(value: &[u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_bytes(value).unwrap());
        RequestId::accept_or_make(&headers, &OsRng).as_str().to_owned()
    }

    #[test]
    fn a_bounded_printable_id_is_kept_and_anything_else_replaced() {
        assert_eq!(id(b"abc-1/2"), "abc-1/2");
        assert_eq!(id("x".repeat(128).as_bytes()), "x".repeat(128));
        for bad in [&b""[..], b"a b", b"a\tb", b"\xff", "x".repeat(129).as_bytes()] {
            assert_eq!(id(bad).len(), 32, "{bad:?}");
        }
    }

    #[test]
    fn made_ids_differ() {
        let headers = HeaderMap::new();
        assert_ne!(RequestId::accept_or_make(&headers, &OsRng), RequestId::accept_or_make(&headers, &OsRng));
    }
}
