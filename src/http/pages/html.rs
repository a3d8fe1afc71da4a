//! What the pages are made of: escaped text, one style, and the headers of a page that shows a token.

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

const STYLE: &str = "body{font-family:sans-serif;max-width:26em;margin:4em auto;padding:0 1em;color:#222}\
input,button{font:inherit;padding:.5em;width:100%;box-sizing:border-box;margin:.5em 0}\
button{background:#1f5fbf;color:#fff;border:0;border-radius:4px}.error{color:#a00}";

/// Nothing but our own style, by its hash, and forms back to us.
static CSP: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
});

/// A page. `body` is HTML; whatever comes from outside in it went through [`escaped`].
pub(super) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let title = escaped(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n{body}\n</body></html>\n"
    );
    let mut response = (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], html).into_response();
    if let Ok(csp) = HeaderValue::from_str(&CSP) {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, csp);
    }
    response
}

/// The page for a link that works no more.
pub(super) fn dead_link(again: &str) -> Response {
    let body =
        format!("<p>This link was used, has expired, or was replaced by a newer one. {}</p>", escaped(again));
    page(StatusCode::BAD_REQUEST, "This link is not valid any more", &body)
}

/// For text and double-quoted attributes.
pub(in crate::http) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
