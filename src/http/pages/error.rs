//! `/error`: a page that says what went wrong when there is nowhere to send the browser back to.
//!
//! The query names one of a fixed set of codes. Nothing else of it ever reaches the page.

use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::answered;
use super::language::Language;
use super::page::Page;
use super::texts::text;
use crate::http::extract::{Below, Query};

/// The query of the page.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    ui_locales: Option<String>,
}

pub(super) async fn show(_: Below, headers: HeaderMap, Query(asked): Query<Asked>) -> Response {
    let language = Language::of(asked.ui_locales.as_deref(), &headers);
    let (title, words) = match asked.error.as_deref() {
        Some("access_denied") => ("error_access_denied_title", "error_access_denied"),
        Some("invalid_request") => ("error_invalid_request_title", "error_invalid_request"),
        Some("temporarily_unavailable") => {
            ("error_temporarily_unavailable_title", "error_temporarily_unavailable")
        }
        Some(_) | None => ("error_other_title", "error_other"),
    };
    let page =
        Page { alert: Some(text(language, words)), ..Page::new(language, None, text(language, title)) };
    answered(&headers, page.say(""))
}
