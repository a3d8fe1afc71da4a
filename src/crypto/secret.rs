//! Secrets in memory: wiped on drop, redacted in `Debug`, without `Display` and without `Serialize`.
//!
//! A value of these types cannot reach a log line, a response or the Raft log by accident; whoever needs the
//! content says so with `expose`. Must never grow a trait that prints or writes the content.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Unexpected, Visitor};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret text, such as a password or a token. Compared in time that does not depend on the content.
#[derive(Clone)]
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    /// The content. Keep the borrow short and never format it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for SecretString {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for SecretString {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl PartialEq for SecretString {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl Eq for SecretString {}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretString(..)")
    }
}

impl<'de> Deserialize<'de> for SecretString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Asked for a string, serde_json refuses another scalar before the visitor sees it, with the value in
        // its message; asked for anything, it leaves the refusal to the visitor. In YAML a secret that looks
        // like a number must be quoted therefore.
        deserializer.deserialize_any(SecretVisitor)
    }
}

/// serde's own messages quote a scalar of the wrong type (`invalid type: integer 12345`), and a password sent
/// as a number would stand in an error text; these do not.
struct SecretVisitor;

impl Visitor<'_> for SecretVisitor {
    type Value = SecretString;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretString, E> {
        Ok(SecretString::from(text))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<SecretString, E> {
        Ok(SecretString::from(text))
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<SecretString, E> {
        Err(E::invalid_type(Unexpected::Other("boolean"), &self))
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<SecretString, E> {
        Err(E::invalid_type(Unexpected::Other("number"), &self))
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<SecretString, E> {
        Err(E::invalid_type(Unexpected::Other("number"), &self))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<SecretString, E> {
        Err(E::invalid_type(Unexpected::Other("number"), &self))
    }
}

/// Secret bytes, such as an opened private key. Compared in time that does not depend on the content.
#[derive(Clone)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// The content. Keep the borrow short and never format it.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for SecretBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl PartialEq for SecretBytes {
    fn eq(&self, other: &Self) -> bool {
        self.expose().ct_eq(other.expose()).into()
    }
}

impl Eq for SecretBytes {}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S111
    #[test]
    fn debug_shows_nothing_of_the_content() {
        let text = SecretString::from("hunter2");
        let bytes = SecretBytes::from(b"hunter2".to_vec());
        assert_eq!(format!("{text:?} {bytes:?}"), "SecretString(..) SecretBytes(..)");
    }

    #[test]
    fn a_request_body_fills_a_secret() {
        let secret: SecretString = serde_json::from_str(r#""h\u0075nter2""#).unwrap();
        assert_eq!(secret.expose(), "hunter2");
        assert_eq!(secret, SecretString::from("hunter2"));
        assert_ne!(secret, SecretString::from("hunter3"));
    }

    /// S111
    #[test]
    fn an_error_about_the_type_does_not_quote_the_value() {
        for body in ["7316254", "-7316254", "73.16254", "true", "null", "[7316254]", "{\"a\":7316254}"] {
            let error = serde_json::from_str::<SecretString>(body).unwrap_err().to_string();
            assert!(error.contains("expected a string"), "{body}: {error}");
            assert!(!error.contains("16254") && !error.contains("true"), "{body}: {error}");
        }
    }
}
