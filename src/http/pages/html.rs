//! What the pages are made of: escaped text, one style, and the headers of a page that shows a token.

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::language::Language;

/// Light and dark, from 320 px on; each pair of text and ground has a contrast of 4.5 and more.
const STYLE: &str = "\
:root{color-scheme:light dark;--ground:#f4f5f7;--card:#fff;--text:#1c2330;--soft:#4c566a;--line:#8a93a5;\
--main:#1f5fbf;--on-main:#fff;--wrong:#a3121f}\
@media(prefers-color-scheme:dark){:root{--ground:#11151c;--card:#1a202b;--text:#e9edf4;--soft:#b3bccb;--line:#6f7b90;\
--main:#8ab4f8;--on-main:#0c1a30;--wrong:#ff9a9a}}\
*{box-sizing:border-box}\
body{margin:0;min-height:100vh;padding:clamp(1rem,8vh,6rem) 1rem;background:var(--ground);color:var(--text);\
font:1rem/1.55 system-ui,sans-serif}\
main{max-width:26rem;margin:0 auto;padding:clamp(1.25rem,6vw,2.5rem);background:var(--card);border-radius:.75rem;\
overflow-wrap:anywhere}\
h1{margin:0 0 1rem;font-size:1.5rem;line-height:1.25}p{margin:0 0 1rem;color:var(--soft)}label{font-weight:600}\
input,button{display:block;width:100%;min-height:2.75rem;margin:.4rem 0 1.25rem;padding:.5rem .75rem;font:inherit;\
border-radius:.5rem}\
input{border:1px solid var(--line);background:var(--card);color:var(--text)}\
button{margin-bottom:0;border:0;background:var(--main);color:var(--on-main);font-weight:600;cursor:pointer}\
:focus-visible{outline:3px solid var(--main);outline-offset:2px}p.error{color:var(--wrong)}";

/// Nothing but our own style, by its hash, and forms back to us.
static CSP: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
});

/// A page. `body` is HTML; whatever comes from outside in it went through [`escaped`].
pub(super) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    page_in(Language::English, status, title, body)
}

/// As [`page`], in a language.
pub(super) fn page_in(language: Language, status: StatusCode, title: &str, body: &str) -> Response {
    let lang = language.tag();
    let title = escaped(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"robots\" content=\"noindex\">\
         <title>{title}</title><style>{STYLE}</style></head>\n<body><main><h1>{title}</h1>\n{body}\n</main></body></html>\n"
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
