//! Signing keys: minted and sealed on the leader before they are proposed, opened on every node.
//!
//! A private key travels as PKCS#8 DER (RFC 5958), sealed for the purpose `signing-key`, its tenant and its kid: a blob moved to
//! another tenant or another kid does not open (S47). Must never return or print an unsealed private key outside `crypto`.

mod mint;
mod private;
mod public;

#[cfg(test)]
pub(super) mod tests;

use hellojohn_control::documents::{Alg, SigningKey};
use hellojohn_control::{Kid, Slug};

pub use mint::mint;
pub(super) use private::PrivateKey;
pub(super) use public::{Members, members, verifies};

use super::aead::CipherFailure;
use super::sealed::{Aad, OpenError, Purpose, SealError, Sealer};

/// Why a signing key cannot be made, opened or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Sealing failed.
    #[error("the new private key cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// The private key does not open.
    #[error("the private key of {kid} does not open: {reason}")]
    Open {
        /// The key.
        kid: Kid,
        /// What is wrong with its sealed value.
        reason: OpenError,
    },
    /// The private key opened but is not PKCS#8 of the algorithm.
    #[error(
        "the private key of {kid} is not a PKCS#8 key for {}; restore the key from a snapshot or rotate it",
        .alg.as_str()
    )]
    NotPkcs8 {
        /// The key.
        kid: Kid,
        /// What it ought to be for.
        alg: Alg,
    },
    /// The private key opened but its public half is not the one that is published.
    #[error(
        "the private key of {0} does not belong to its public key; restore the key from a snapshot or rotate it"
    )]
    Mismatch(Kid),
    /// Encoding failed.
    #[error(transparent)]
    Cipher(#[from] CipherFailure),
}

/// Makes an Ed25519 key for `tenant`, or for the global set when there is none.
#[cfg(test)]
pub(crate) fn mint_eddsa(
    rng: &dyn crate::domain::rng::Rng,
    sealer: &Sealer,
    tenant: Option<&Slug>,
) -> Result<hellojohn_control::documents::NewKey, KeyError> {
    mint(rng, sealer, tenant, Alg::EdDsa)
}

/// Opens the private half of `key` and checks that it belongs to the published public half.
pub(super) fn open(sealer: &Sealer, tenant: Option<&Slug>, key: &SigningKey) -> Result<PrivateKey, KeyError> {
    let der = sealer
        .open(&place(tenant, &key.kid), &key.private_key)
        .map_err(|reason| KeyError::Open { kid: key.kid.clone(), reason })?;
    let private = PrivateKey::from_pkcs8(key.alg, der.expose())
        .ok_or_else(|| KeyError::NotPkcs8 { kid: key.kid.clone(), alg: key.alg })?;
    if private.public_jwk() == Some(key.public_jwk.clone()) {
        Ok(private)
    } else {
        Err(KeyError::Mismatch(key.kid.clone()))
    }
}

fn place<'a>(tenant: Option<&'a Slug>, kid: &'a Kid) -> Aad<'a> {
    Aad { purpose: Purpose::SigningKey, tenant, field: kid.as_str() }
}
