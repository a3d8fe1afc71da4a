//! `Idempotency-Key` (spec §13.5): what tells a repetition of a request from a new one.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use sha2::{Digest, Sha256};

use super::body;
use crate::service::{Code, Error, IdempotencyKey};

/// The header of the request.
pub const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The header of an answer that repeats an earlier one.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// What [`REPLAYED`] says.
pub const TRUE: HeaderValue = HeaderValue::from_static("true");

const MAX_CHARS: usize = 128;
/// How the request came here says nothing about what it asks for.
const NOT_ASKED: &str = "leader_redirect";

/// Reads the key of a request, if it has one, and leaves it to the handler; gives it back for the answer.
///
/// # Errors
/// `invalid_header`, and those of the body.
pub async fn take(request: Request) -> Result<(Request, Option<IdempotencyKey>), Error> {
    let mut values = request.headers().get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok((request, None)) };
    let text = value.to_str().ok().filter(|_| values.next().is_none()).map(str::trim);
    let key = text
        .filter(|key| (1..=MAX_CHARS).contains(&key.len()) && key.bytes().all(|b| (0x20..0x7f).contains(&b)))
        .ok_or_else(|| {
            let detail = format!(
                "Idempotency-Key must be sent once, with 1 to {MAX_CHARS} printable ASCII characters"
            );
            Error::bad_input(Code::InvalidHeader, detail)
        })?
        .to_owned();
    let (parts, body) = request.into_parts();
    let bytes = body::read(&parts.extensions, body).await?;
    let mut hash = Sha256::new();
    let query = parts.uri.query().unwrap_or_default().split('&');
    let query = query.filter(|pair| !pair.is_empty() && !is_not_asked(pair));
    for part in query.map(str::as_bytes).chain([bytes.as_ref()]) {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let body_hash =
        hash.finalize().iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"));
    let key = IdempotencyKey::new(key, parts.method.to_string(), parts.uri.path().to_owned(), body_hash);
    let mut request = Request::from_parts(parts, Body::from(bytes));
    request.extensions_mut().insert(key.clone());
    Ok((request, Some(key)))
}

fn is_not_asked(pair: &str) -> bool {
    let name = pair.split('=').next().unwrap_or_default();
    percent_decode_str(name).decode_utf8().is_ok_and(|name| name == NOT_ASKED)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn hash_of(uri: &str, body: &'static str) -> String {
        let request = Request::builder().uri(uri).header(KEY, "k").body(Body::from(body)).unwrap();
        let (request, key) = take(request).await.unwrap();
        let left = axum::body::to_bytes(request.into_body(), 100).await.unwrap();
        assert_eq!(left, body, "the handler reads it too");
        key.unwrap().body_hash
    }

    #[tokio::test]
    async fn query_and_body_tell_requests_apart_and_the_wish_for_a_redirect_does_not() {
        let plain = hash_of("/a", "x").await;
        assert_eq!(hash_of("/a?leader_redirect=1", "x").await, hash_of("/a?", "x").await);
        for (uri, body) in [("/a", "y"), ("/a?soft=true", "x"), ("/a?x", "")] {
            assert_ne!(hash_of(uri, body).await, plain, "{uri} {body}");
        }
    }

    #[tokio::test]
    async fn a_key_is_sent_once_and_printable() {
        for keys in [&[""][..], &["a", "b"], &["\u{e9}"], &[&"k".repeat(129)]] {
            let mut request = Request::builder().uri("/a");
            for key in keys {
                request = request.header(KEY, HeaderValue::from_bytes(key.as_bytes()).unwrap());
            }
            let error = take(request.body(Body::empty()).unwrap()).await.unwrap_err();
            assert_eq!(error.code(), Code::InvalidHeader, "{keys:?}");
        }
        let without = Request::builder().uri("/a").body(Body::empty()).unwrap();
        assert!(take(without).await.unwrap().1.is_none());
    }
}
