//! Paging: `limit` and an opaque `cursor` (spec §5, S106).
//!
//! A cursor is the last key of the page before, in base64url. It is never trusted: it only says after
//! which key to go on, and the same authorisation and filters apply to every page.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Query;
use crate::http::error::{ApiError, ApiResult};
use crate::service::{Code, Error};

/// Items of a page when the caller names no limit.
pub const DEFAULT_LIMIT: usize = 50;
/// Most items of a page.
pub const MAX_LIMIT: usize = 200;
/// Longest key inside a cursor, in bytes.
const MAX_KEY: usize = 512;
/// Longest cursor: base64 of the longest key.
const MAX_CURSOR: usize = MAX_KEY.div_ceil(3) * 4;

/// Which page of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Most items to answer with, 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// Go on after this key; `None` from the start.
    pub after: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    limit: Option<String>,
    cursor: Option<String>,
}

impl Page {
    fn parse(raw: &Raw) -> Result<Self, Error> {
        let limit = match raw.limit.as_deref() {
            None => DEFAULT_LIMIT,
            Some(text) => text
                .parse()
                .ok()
                .filter(|limit| text.bytes().all(|b| b.is_ascii_digit()) && (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| bad(format!("limit must be a number from 1 to {MAX_LIMIT}")))?,
        };
        let after = match raw.cursor.as_deref() {
            None | Some("") => None,
            Some(text) => Some(decode(text).ok_or_else(|| bad("cursor is not one that this API gave"))?),
        };
        Ok(Self { limit, after })
    }

    /// Makes the answer from up to `limit + 1` items: one more than the page tells that there is a next.
    pub fn answer<T>(&self, mut items: Vec<T>, key: impl Fn(&T) -> &str) -> PageOf<T> {
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let next_cursor = items.last().filter(|_| more).map(|last| encode(key(last)));
        PageOf { items, next_cursor }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Page {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        let Query(raw) = Query::<Raw>::from_request_parts(parts, state).await?;
        Ok(Self::parse(&raw)?)
    }
}

/// A page of a list: `{"items":[…],"next_cursor":null}` (spec §13.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PageOf<T> {
    /// The items, in the order of their keys.
    pub items: Vec<T>,
    /// The cursor of the next page; `null` on the last.
    pub next_cursor: Option<String>,
}

fn encode(key: &str) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

fn decode(cursor: &str) -> Option<String> {
    if cursor.len() > MAX_CURSOR {
        return None;
    }
    let key = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    (!key.is_empty() && key.len() <= MAX_KEY && !key.chars().any(char::is_control)).then_some(key)
}

fn bad(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::bad_input(Code::InvalidParameter, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(limit: Option<&str>, cursor: Option<&str>) -> Result<Page, Error> {
        Page::parse(&Raw { limit: limit.map(Into::into), cursor: cursor.map(Into::into) })
    }

    #[test]
    fn walking_the_pages_visits_every_item_once() {
        let all: Vec<String> = (0..7).map(|n| format!("item-{n}")).collect();
        let (mut seen, mut cursor) = (vec![], None::<String>);
        loop {
            let page = parse(Some("3"), cursor.as_deref()).unwrap();
            let rest: Vec<String> = all
                .iter()
                .filter(|item| page.after.as_ref().is_none_or(|after| *item > after))
                .take(page.limit + 1)
                .cloned()
                .collect();
            let answer = page.answer(rest, |item| item);
            assert!(answer.items.len() <= 3);
            seen.extend(answer.items);
            cursor = answer.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
    }

    /// S106
    #[test]
    fn limits_and_cursors_out_of_bounds_are_refused() {
        assert_eq!(parse(None, None).unwrap(), Page { limit: DEFAULT_LIMIT, after: None });
        assert_eq!(parse(Some("200"), Some("")).unwrap().limit, 200);
        for bad in ["0", "201", "-1", "+5", "x", "", "99999999999999999999999"] {
            assert_eq!(parse(Some(bad), None).unwrap_err().code(), Code::InvalidParameter, "{bad}");
        }
        let long = encode(&"k".repeat(MAX_KEY + 1));
        for bad in ["*", "a=", &encode("a\0b"), &long, &"A".repeat(100_000), "_w"] {
            assert_eq!(parse(None, Some(bad)).unwrap_err().code(), Code::InvalidParameter, "{bad}");
        }
        assert!(parse(None, Some(&encode(&"k".repeat(MAX_KEY)))).is_ok());
    }
}
