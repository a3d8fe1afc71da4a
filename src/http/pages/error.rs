//! `/error`: a page that says what went wrong when there is nowhere to send the browser back to.
//!
//! The query names one of a fixed set of codes. Nothing else of it ever reaches the page.

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::Below;
use super::html::page_in;
use super::language::Language;
use crate::http::extract::Query;

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
    let (title, text) = words(asked.error.as_deref().unwrap_or_default(), language);
    page_in(language, StatusCode::OK, title, &format!("<p role=\"alert\">{text}</p>"))
}

/// Title and text of a code; unknown ones have those of no code.
fn words(code: &str, language: Language) -> (&'static str, &'static str) {
    let (english, spanish) = match code {
        "access_denied" => (
            ("Access was refused", "You can go back to the application and try again."),
            ("Se denegó el acceso", "Puede volver a la aplicación e intentarlo de nuevo."),
        ),
        "invalid_request" => (
            (
                "This link does not work",
                "Something is missing in it. Go back to the application and start again.",
            ),
            ("Este enlace no funciona", "Le falta algo. Vuelva a la aplicación y empiece de nuevo."),
        ),
        "temporarily_unavailable" => (
            ("We are busy right now", "Please try again in a moment."),
            ("Estamos ocupados en este momento", "Inténtelo de nuevo en un momento."),
        ),
        _ => (
            ("Something went wrong", "Go back to the application and try again."),
            ("Algo salió mal", "Vuelva a la aplicación e inténtelo de nuevo."),
        ),
    };
    match language {
        Language::English => english,
        Language::Spanish => spanish,
    }
}
