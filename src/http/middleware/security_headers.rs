//! The headers that every answer carries (spec §5), unless the handler has set its own.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Nothing is loaded, framed or submitted from an API answer; hosted pages set their own policy.
const CSP: &str = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/// Two years, as the preload lists ask.
const HSTS: &str = "max-age=63072000; includeSubDomains";

/// Adds the headers. An answer that names no `Cache-Control` is not stored anywhere: tokens, profiles
/// and keys are the rule here, and a handler that serves something cacheable says so itself.
pub fn add(headers: &mut HeaderMap, public_https: bool) {
    absent(headers, header::CONTENT_SECURITY_POLICY, CSP);
    absent(headers, header::X_FRAME_OPTIONS, "DENY");
    absent(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    absent(headers, header::REFERRER_POLICY, "no-referrer");
    if public_https {
        absent(headers, header::STRICT_TRANSPORT_SECURITY, HSTS);
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        no_store(headers);
    }
}

/// `Cache-Control: no-store` and `Pragma: no-cache`, whatever was set before.
pub fn no_store(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
}

fn absent(headers: &mut HeaderMap, name: HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
