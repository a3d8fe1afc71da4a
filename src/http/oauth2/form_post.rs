//! An answer that the browser posts to the client (OAuth 2.0 Form Post Response Mode §2). Without scripts there is a button.

use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::http::pages::escaped;
use crate::service::oauth::Back;
use crate::service::{Error, Result};

/// All that the page runs.
const SCRIPT: &str = "document.forms[0].submit()";

static SCRIPT_HASH: LazyLock<String> =
    LazyLock::new(|| format!("sha256-{}", STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()))));

/// The page that posts the answer.
///
/// # Errors
/// `internal` for an address that no header can carry; documents have none.
pub(in crate::http) fn page(back: &Back) -> Result<Response> {
    let fields: String = back
        .params
        .iter()
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value)))
        .collect();
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>One moment</title></head><body>\
         <form method=\"post\" action=\"{}\">{fields}<noscript><button>Continue</button></noscript></form>\
         <script>{SCRIPT}</script></body></html>",
        escaped(&back.redirect_uri)
    );
    // Where a form may go is the one address of the client; its origin alone is what a policy can say.
    let address = url::Url::parse(&back.redirect_uri).map_err(Error::internal)?;
    let target = match address.origin() {
        origin if origin.is_tuple() => origin.ascii_serialization(),
        _ => format!("{}:", address.scheme()),
    };
    let policy = format!(
        "default-src 'none'; script-src '{}'; form-action {target}; frame-ancestors 'none'; base-uri 'none'",
        *SCRIPT_HASH
    );
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::try_from(policy).map_err(Error::internal)?),
    ];
    Ok((StatusCode::OK, headers, html).into_response())
}
