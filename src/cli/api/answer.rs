//! What a server answered, before and after it is judged.

use reqwest::header::{HeaderMap, HeaderName};
use serde_json::Value;

/// An answer of the wanted kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Status code, 200 to 299.
    pub status: u16,
    /// The document; `null` for an empty body.
    pub body: Value,
    /// Log index that it reflects (`X-Applied-Index`).
    pub index: Option<u64>,
}

impl Answer {
    /// Whether the write made something new.
    pub fn is_created(&self) -> bool {
        self.status == 201
    }
}

/// A header as text, when it is there and printable.
pub(super) fn header(headers: &HeaderMap, name: &'static str) -> Option<String> {
    let text = headers.get(HeaderName::from_static(name))?.to_str().ok()?;
    Some(text.to_owned())
}

/// A header as number.
pub(super) fn number(headers: &HeaderMap, name: &'static str) -> Option<u64> {
    header(headers, name)?.trim().parse().ok()
}
