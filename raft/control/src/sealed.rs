//! A secret that was encrypted before it reached the control plane.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Ciphertext of the form `GCMV1:{master-key-id}:{base64url}` (spec §2.1). Commands and documents can hold
/// a secret only as this type, so that plaintext in the Raft log or in a file is a type error. Opening one
/// needs the master key, which this crate never sees.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sealed(Arc<str>);

/// A text is not a sealed value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value has the form GCMV1:<master-key-id>:<base64url>, at most {MAX_LEN} bytes")]
pub struct NotSealed;

const PREFIX: &str = "GCMV1:";
const MAX_LEN: usize = 16 * 1024;

impl Sealed {
    /// Parses the textual form; does not and cannot check the ciphertext.
    pub fn parse(text: &str) -> Result<Self, NotSealed> {
        let rest = text.strip_prefix(PREFIX).ok_or(NotSealed)?;
        let (key_id, blob) = rest.split_once(':').ok_or(NotSealed)?;
        let url_safe = |s: &str| {
            !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        if text.len() <= MAX_LEN && url_safe(key_id) && url_safe(blob) {
            Ok(Self(text.into()))
        } else {
            Err(NotSealed)
        }
    }

    /// The textual form, as it stands in files and in the log.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Sealed {
    type Error = NotSealed;
    fn try_from(text: String) -> Result<Self, NotSealed> {
        Self::parse(&text)
    }
}

impl From<Sealed> for String {
    fn from(sealed: Sealed) -> String {
        sealed.0.as_ref().to_owned()
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_only_the_textual_form_of_spec_2_1() {
        assert!(Sealed::parse("GCMV1:mk1:AbC-_9").is_ok());
        for bad in ["", "hunter2", "GCMV1:", "GCMV1:mk1:", "GCMV1::abc", "GCMV1:mk1:a+b", "GCMV2:mk1:abc"] {
            assert!(Sealed::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn has_a_limit_and_is_never_shown() {
        let longest = format!("GCMV1:mk1:{}", "a".repeat(MAX_LEN - 10));
        let sealed = Sealed::parse(&longest).unwrap();
        assert_eq!(format!("{sealed:?}"), "Sealed(..)");
        assert!(Sealed::parse(&(longest + "a")).is_err());
    }
}
