//! Proof Key for Code Exchange (RFC 7636), with S256 alone: a `plain` challenge proves nothing to whoever has seen the request (S08).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// Lengths of a verifier (RFC 7636 §4.1).
const VERIFIER: std::ops::RangeInclusive<usize> = 43..=128;

/// The SHA-256 of a verifier that only the client knows (RFC 7636 §4.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CodeChallenge(pub [u8; 32]);

/// A text is not an S256 challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("code_challenge must be base64url without padding of a SHA-256: 43 characters")]
pub struct NotAChallenge;

impl CodeChallenge {
    /// Parses the one canonical text of a challenge.
    ///
    /// # Errors
    /// [`NotAChallenge`].
    pub fn parse(text: &str) -> Result<Self, NotAChallenge> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| NotAChallenge)?;
        bytes.try_into().map(Self).map_err(|_| NotAChallenge)
    }

    /// Whether `verifier` is the one that this challenge was made of, in constant time. One outside the grammar is not (S11).
    pub fn is_met_by(&self, verifier: &str) -> bool {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let well_formed = VERIFIER.contains(&verifier.len()) && verifier.bytes().all(unreserved);
        let hash: [u8; 32] = Sha256::digest(verifier.as_bytes()).into();
        well_formed && bool::from(hash.ct_eq(&self.0))
    }
}

impl fmt::Debug for CodeChallenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeChallenge(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_rfc_holds() {
        assert!(CodeChallenge::parse(CHALLENGE).unwrap().is_met_by(VERIFIER));
    }

    /// S11
    #[test]
    fn a_verifier_outside_the_grammar_meets_no_challenge() {
        let of = |verifier: &str| CodeChallenge(Sha256::digest(verifier.as_bytes()).into());
        for good in ["a".repeat(43), "~".repeat(128)] {
            assert!(of(&good).is_met_by(&good));
        }
        for bad in
            ["a".repeat(42), "a".repeat(129), format!("{}+", "a".repeat(43)), String::new(), "é".repeat(30)]
        {
            assert!(!of(&bad).is_met_by(&bad), "{bad}");
        }
        assert!(!CodeChallenge::parse(CHALLENGE).unwrap().is_met_by(&VERIFIER.to_uppercase()));
    }

    #[test]
    fn a_challenge_has_one_text() {
        let padded = format!("{CHALLENGE}=");
        // The last character has two bits that say nothing; only zeroes are canonical.
        let other_bits = CHALLENGE.replace("-cM", "-cN");
        for bad in ["", VERIFIER_AS_PLAIN, &padded, &other_bits, &CHALLENGE[1..]] {
            assert_eq!(CodeChallenge::parse(bad), Err(NotAChallenge), "{bad}");
        }
    }

    const VERIFIER_AS_PLAIN: &str = "this-is-a-plain-verifier-of-more-than-43-characters-length";
}
