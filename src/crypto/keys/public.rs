//! Verification with the public half of a key.

use hellojohn_control::documents::{Alg, PublicJwk};
use jsonwebtoken::{Algorithm, DecodingKey};

pub(super) const ED25519: &str = "Ed25519";
pub(super) const P256: &str = "P-256";

/// What distinguishes a public key: its algorithm and its members, as the JWK spells them.
pub(in crate::crypto) type Members<'a> = [&'a str; 3];

/// The members of `jwk`, when it is a key for `alg`.
pub(in crate::crypto) fn members(alg: Alg, jwk: &PublicJwk) -> Option<Members<'_>> {
    match (alg, jwk) {
        (Alg::EdDsa, PublicJwk::Okp { crv, x }) if crv == ED25519 => Some([alg.as_str(), x, ""]),
        (Alg::Es256, PublicJwk::Ec { crv, x, y }) if crv == P256 => Some([alg.as_str(), x, y]),
        (Alg::Rs256, PublicJwk::Rsa { n, e }) => Some([alg.as_str(), n, e]),
        (_, PublicJwk::Okp { .. } | PublicJwk::Ec { .. } | PublicJwk::Rsa { .. }) => None,
    }
}

/// Whether `signature`, in base64url, is that of the key over `message`.
pub(in crate::crypto) fn verifies(
    alg: Alg,
    [_, first, second]: Members<'_>,
    message: &str,
    signature: &str,
) -> bool {
    let (algorithm, key) = match alg {
        Alg::EdDsa => (Algorithm::EdDSA, DecodingKey::from_ed_components(first)),
        Alg::Es256 => (Algorithm::ES256, DecodingKey::from_ec_components(first, second)),
        Alg::Rs256 => (Algorithm::RS256, DecodingKey::from_rsa_components(first, second)),
    };
    let Ok(key) = key else { return false };
    matches!(jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, algorithm), Ok(true))
}
