//! The `Authorization: Bearer` header (RFC 6750 §2.1).

use std::fmt;

use axum::http::{HeaderMap, header};

use crate::service::{Code, Error};

/// Longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;

/// A bearer token as sent; not verified. Shown by nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(String);

impl BearerToken {
    /// The token itself, for whoever verifies it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

/// The token of the request.
///
/// # Errors
/// `invalid_token`: without credentials the challenge names no error (RFC 6750 §3.1); two headers, another
/// scheme, or characters outside `b64token` are malformed.
pub fn bearer_of(headers: &HeaderMap) -> Result<BearerToken, Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Err(Error::no_credentials()) };
    if values.next().is_some() {
        return Err(Error::new(Code::InvalidToken).detail("more than one Authorization header was sent"));
    }
    let malformed =
        || Error::new(Code::InvalidToken).detail("the Authorization header must be `Bearer <token>`");
    let text = value.to_str().map_err(|_| malformed())?;
    let (scheme, token) = text.split_once(' ').ok_or_else(malformed)?;
    let body = token.trim_end_matches('=');
    let b64token = body.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b));
    if !scheme.eq_ignore_ascii_case("bearer") || body.is_empty() || token.len() > MAX_TOKEN || !b64token {
        return Err(malformed());
    }
    Ok(BearerToken(token.to_owned()))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::service::Payload;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_token_is_taken_whatever_the_case_of_the_scheme() {
        for value in ["Bearer a.b-c_d~e+f/g==", "bearer a.b-c_d~e+f/g=="] {
            assert_eq!(bearer_of(&headers(&[value])).unwrap().expose(), "a.b-c_d~e+f/g==");
        }
    }

    #[test]
    fn no_header_differs_from_a_malformed_one() {
        assert_eq!(bearer_of(&headers(&[])).unwrap_err().payload(), &Payload::NoCredentials);
        let long = format!("Bearer {}", "a".repeat(MAX_TOKEN + 1));
        for bad in [
            &["Bearer"][..],
            &["Bearer "],
            &["Bearer =="],
            &["Bearer a b"],
            &["Bearer  a"],
            &["Basic abc"],
            &["Bearer a\"b"],
            &["Bearer a", "Bearer a"],
            &[&long],
        ] {
            let error = bearer_of(&headers(bad)).unwrap_err();
            assert_eq!(error.code(), Code::InvalidToken, "{bad:?}");
            assert_eq!(error.payload(), &Payload::None, "{bad:?}");
        }
    }

    #[test]
    fn a_token_is_not_shown_by_debug() {
        let token = bearer_of(&headers(&["Bearer secretsecret"])).unwrap();
        assert!(!format!("{token:?}").contains("secret"));
    }
}
