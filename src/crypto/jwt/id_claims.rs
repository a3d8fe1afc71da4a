//! The claims of an ID token (OpenID Connect Core §2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hellojohn_control::documents::Alg;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256, Sha512};

/// What an ID token says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct IdClaims {
    /// Issuer: that of the access token beside it.
    pub iss: String,
    /// The person's id.
    pub sub: String,
    /// The client, and nobody else.
    pub aud: String,
    /// The client again, for relying parties that ask for it.
    pub azp: String,
    /// Expiry, seconds since the epoch.
    pub exp: i64,
    /// Time of issue, seconds since the epoch.
    pub iat: i64,
    /// When the person was authenticated, seconds since the epoch.
    pub auth_time: i64,
    /// What the client sent with its authorization request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// `loa:1`, or `loa:2` with a second factor.
    pub acr: String,
    /// How the person was authenticated (RFC 8176).
    pub amr: Vec<String>,
    /// Binds the access token; see [`at_hash`].
    pub at_hash: String,
    /// The session that a logout ends (Back-Channel Logout §2.1): that of the browser where there is one, else that of the tokens.
    pub sid: String,
    /// Tenant slug.
    pub tid: String,
    /// What the granted scopes tell of the person (§5.4).
    #[serde(flatten)]
    pub person: Map<String, Value>,
}

/// The left half of the access token's hash (OpenID Connect Core §3.1.3.6), by the hash function of the ID token's algorithm:
/// SHA-256 for ES256 and RS256; SHA-512 for Ed25519, which is built on it (RFC 8032 §5.1).
pub fn at_hash(alg: Alg, access_token: &str) -> String {
    match alg {
        Alg::EdDsa => URL_SAFE_NO_PAD.encode(&Sha512::digest(access_token)[..32]),
        Alg::Es256 | Alg::Rs256 => URL_SAFE_NO_PAD.encode(&Sha256::digest(access_token)[..16]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The access token and the hash of OpenID Connect Core, appendix A.3.
    #[test]
    fn the_hash_is_that_of_the_specification() {
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        for alg in [Alg::Rs256, Alg::Es256] {
            assert_eq!(at_hash(alg, token), "77QmUPtjPfzWtF2AnpK9RQ");
        }
        assert_eq!(at_hash(Alg::EdDsa, token).len(), 43, "32 bytes of 64");
    }
}
