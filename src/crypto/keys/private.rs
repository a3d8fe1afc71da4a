//! A private key that signs. It is read from its PKCS#8 form once: reading and checking an RSA key costs as much as a
//! signature, and deriving the public half of an Ed25519 key, too.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hellojohn_control::documents::{Alg, PublicJwk};

use super::public::{ED25519, P256};
use crate::crypto::CipherFailure;

/// One kind of key for each algorithm. `Debug` shows no key material.
pub(in crate::crypto) enum PrivateKey {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey([redacted])")
    }
}

impl PrivateKey {
    /// Reads a PKCS#8 key for `alg`; `None` for anything else.
    pub(super) fn from_pkcs8(alg: Alg, der: &[u8]) -> Option<Self> {
        match alg {
            Alg::EdDsa => Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Self::Ed25519),
            Alg::Es256 => {
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok().map(Self::P256)
            }
            Alg::Rs256 => RsaKeyPair::from_pkcs8(der).ok().map(Self::Rsa),
        }
    }

    /// The public half (RFC 8037 §2, RFC 7518 §6.2.1 and §6.3.1).
    pub(super) fn public_jwk(&self) -> Option<PublicJwk> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Ed25519(pair) => {
                Some(PublicJwk::Okp { crv: ED25519.to_owned(), x: text(pair.public_key().as_ref()) })
            }
            Self::P256(pair) => {
                // An uncompressed point (SEC 1 §2.3.3): 0x04, then both coordinates in their full length.
                let point = pair.public_key().as_ref().strip_prefix(&[4])?;
                let (x, y) = point.split_at_checked(32).filter(|(_, y)| y.len() == 32)?;
                Some(PublicJwk::Ec { crv: P256.to_owned(), x: text(x), y: text(y) })
            }
            Self::Rsa(pair) => {
                // Without leading zeros (RFC 7518 §2, Base64urlUInt).
                let RsaPublicKeyComponents { n, e } =
                    RsaPublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                Some(PublicJwk::Rsa { n: text(&n), e: text(&e) })
            }
        }
    }

    /// The JWS signature of `message` (RFC 7518 §3.3, §3.4; RFC 8037 §3.1).
    ///
    /// # Errors
    /// [`CipherFailure`] when the library fails.
    pub(in crate::crypto) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, CipherFailure> {
        match self {
            Self::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Self::P256(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).map_err(|_| CipherFailure)?;
                Ok(signature.as_ref().to_vec())
            }
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature);
                signed.map_err(|_| CipherFailure)?;
                Ok(signature)
            }
        }
    }
}
