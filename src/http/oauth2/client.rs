//! What a client shows of itself in a request (RFC 6749 §2.3.1; S43).

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode;
use zeroize::Zeroizing;

use crate::crypto::secret::SecretString;
use crate::service::oauth::{ClientProof, Params, Presented};
use crate::service::{Code, Error, Result};

/// Longest `Authorization` header that is looked at.
const MAX_HEADER: usize = 4096;

/// The client's name and its one proof.
///
/// # Errors
/// `invalid_client` for several proofs, a malformed one, or none that names the client.
pub(super) fn presented(headers: &HeaderMap, params: &Params) -> Result<Presented> {
    let in_body = params.secret("client_secret");
    if let Some((client_id, secret)) = basic(headers)? {
        if in_body.is_some() || params.get("client_assertion").is_some() {
            return Err(invalid("the client authenticates in two ways at once"));
        }
        if params.get("client_id").is_some_and(|named| named != client_id) {
            return Err(invalid("the Authorization header and client_id name two clients"));
        }
        let proof = if secret.expose().is_empty() { ClientProof::None } else { ClientProof::Basic(secret) };
        return Ok(Presented { client_id, proof });
    }
    let client_id = params.get("client_id").ok_or_else(|| invalid("the client does not say who it is"))?;
    let proof = in_body.map_or(ClientProof::None, |secret| ClientProof::Post(secret.clone()));
    Ok(Presented { client_id: client_id.to_owned(), proof })
}

/// Name and secret of the `Authorization` header, if it is there.
fn basic(headers: &HeaderMap) -> Result<Option<(String, SecretString)>> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let malformed = || invalid("the Authorization header must be `Basic` with the client's name and secret");
    if values.next().is_some() || value.len() > MAX_HEADER {
        return Err(malformed());
    }
    let text = value.to_str().map_err(|_| malformed())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(malformed)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(malformed());
    }
    let decoded = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| malformed())?);
    let colon = decoded.iter().position(|byte| *byte == b':').ok_or_else(malformed)?;
    let (name, secret) = decoded.split_at(colon);
    let name = unescaped(name).ok_or_else(malformed)?;
    let secret = unescaped(secret.get(1..).unwrap_or_default()).ok_or_else(malformed)?;
    Ok(Some((name, secret.into())))
}

/// Undoes `application/x-www-form-urlencoded` (RFC 6749 appendix B) of one value, strictly: a percent sign that escapes nothing is
/// no text that two servers read alike.
fn unescaped(bytes: &[u8]) -> Option<String> {
    let spaced: Zeroizing<Vec<u8>> =
        Zeroizing::new(bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect());
    let mut rest = spaced.as_slice();
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        let escape = rest.get(at + 1..at + 3)?;
        if !escape.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        rest = rest.get(at + 3..)?;
    }
    percent_decode(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

fn invalid(text: &'static str) -> Error {
    Error::new(Code::InvalidClient).detail(text)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn read(authorization: &[&str], params: &[(&str, &str)]) -> Result<Presented> {
        let mut headers = HeaderMap::new();
        for value in authorization {
            headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let pairs = params.iter().map(|(name, value)| ((*name).to_owned(), SecretString::from(*value)));
        presented(&headers, &Params::new(pairs).unwrap())
    }

    fn encoded(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    /// RFC 6749 §2.3.1: both parts are form-encoded.
    #[test]
    fn a_name_and_a_secret_are_taken_from_the_header_or_from_the_body() {
        let Presented { client_id, proof } = read(&[&encoded("w%65b:s%3Acr+et%2B")], &[]).unwrap();
        assert_eq!(client_id, "web");
        assert!(matches!(proof, ClientProof::Basic(secret) if secret.expose() == "s:cr et+"));
        let Presented { client_id, proof } =
            read(&[], &[("client_id", "web"), ("client_secret", "s")]).unwrap();
        assert_eq!(client_id, "web");
        assert!(matches!(proof, ClientProof::Post(secret) if secret.expose() == "s"));
        assert!(matches!(read(&[], &[("client_id", "web")]).unwrap().proof, ClientProof::None));
        assert!(matches!(read(&[&encoded("web:")], &[]).unwrap().proof, ClientProof::None));
    }

    /// S43
    #[test]
    fn what_is_in_doubt_is_refused() {
        let good = encoded("web:s");
        let cases: [(&[&str], &[(&str, &str)]); 12] = [
            (&[], &[]),
            (&[&good, &good], &[]),
            (&[&good], &[("client_secret", "s")]),
            (&[&good], &[("client_assertion", "a.b.c")]),
            (&[&good], &[("client_id", "other")]),
            (&["Bearer abc"], &[("client_id", "web")]),
            (&["Basic"], &[]),
            (&["Basic !"], &[]),
            (&[&encoded("web")], &[]),
            (&[&encoded("web:%zz")], &[]),
            (&[&encoded("web:%2")], &[]),
            (&[&encoded("web:%ff")], &[]),
        ];
        for (headers, params) in cases {
            assert_eq!(
                read(headers, params).unwrap_err().code(),
                Code::InvalidClient,
                "{headers:?} {params:?}"
            );
        }
        assert!(read(&[&good], &[("client_id", "web")]).is_ok());
    }
}
