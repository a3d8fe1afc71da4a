//! Parameters from a query, a form or, where a route takes it, a JSON object.

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use serde_json::Value;
use url::form_urlencoded;

use crate::crypto::secret::SecretString;
use crate::http::extract::body;
use crate::http::json;
use crate::service::oauth::{Params, ParamsError};
use crate::service::{Code, Error, Result};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// The parameters of a query.
///
/// # Errors
/// `invalid_parameter`.
pub(in crate::http) fn query(text: Option<&str>) -> Result<Params> {
    encoded(text.unwrap_or_default().as_bytes())
}

/// The parameters of a form, and the headers that came with it.
///
/// # Errors
/// `unsupported_media_type` for another kind of body; `invalid_parameter`; those of reading a body.
pub(in crate::http) async fn form(request: Request) -> Result<(HeaderMap, Params)> {
    let (parts, body) = request.into_parts();
    if !is(&parts.headers, FORM) {
        return Err(Error::bad_input(
            Code::UnsupportedMediaType,
            "the body must be application/x-www-form-urlencoded",
        ));
    }
    let bytes = body::read(&parts.extensions, body).await?;
    Ok((parts.headers, encoded(&bytes)?))
}

/// As [`form`], but a JSON object of texts is taken too, and no body at all.
///
/// # Errors
/// As [`form`], and `malformed_json`.
pub(super) async fn form_or_json(request: Request) -> Result<(HeaderMap, Params)> {
    let (parts, body) = request.into_parts();
    let bytes = body::read(&parts.extensions, body).await?;
    let params = if bytes.is_empty() {
        Params::default()
    } else if is(&parts.headers, JSON) {
        let object: serde_json::Map<String, Value> = json::parse(&bytes)?;
        let pairs = object.into_iter().filter_map(|(name, value)| match value {
            Value::String(text) => Some((name, SecretString::from(text))),
            _ => None,
        });
        Params::new(pairs).map_err(|error| unacceptable(&error))?
    } else if is(&parts.headers, FORM) {
        encoded(&bytes)?
    } else {
        return Err(Error::bad_input(Code::UnsupportedMediaType, "the body must be a form or JSON"));
    };
    Ok((parts.headers, params))
}

fn encoded(bytes: &[u8]) -> Result<Params> {
    let pairs = form_urlencoded::parse(bytes)
        .map(|(name, value)| (name.into_owned(), SecretString::from(value.into_owned())));
    Params::new(pairs).map_err(|error| unacceptable(&error))
}

fn unacceptable(error: &ParamsError) -> Error {
    Error::bad_input(Code::InvalidParameter, error.to_string())
}

fn is(headers: &HeaderMap, kind: &str) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let essence = only.to_str().ok().and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(kind))
}
