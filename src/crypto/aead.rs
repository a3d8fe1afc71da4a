//! The one place that calls AES-256-GCM and HKDF-SHA256 (RFC 5869); `sealed` and `overlap` build on it.
//!
//! Layout of a box: `nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)`. Nonces are random: NIST SP 800-38D
//! §8.3 allows 2^32 of them under one key, far beyond the secrets that a control plane ever seals.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::secret::SecretBytes;
use crate::domain::rng::{self, Rng};

/// Bytes of a nonce.
pub(super) const NONCE_LEN: usize = 12;
/// Bytes of an authentication tag.
pub(super) const TAG_LEN: usize = 16;

/// A primitive refused its input; it happens only for sizes far beyond every limit of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cipher refused its input; this is a fault in hellojohn, please report it")]
pub struct CipherFailure;

/// 32 bytes derived from `secret` for the purpose that `label` names. Different labels give independent keys.
pub(super) fn derive(secret: &[u8], label: &[u8]) -> Result<Zeroizing<[u8; 32]>, CipherFailure> {
    let mut out = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret).expand(label, out.as_mut_slice()).map_err(|_| CipherFailure)?;
    Ok(out)
}

/// A cipher under `key`.
pub(super) fn cipher(key: &[u8; 32]) -> Aes256Gcm {
    Aes256Gcm::new(&(*key).into())
}

/// Encrypts `plaintext` into a box that opens only with the same key and `aad`.
pub(super) fn encrypt(
    rng: &dyn Rng,
    cipher: &Aes256Gcm,
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, CipherFailure> {
    let nonce: [u8; NONCE_LEN] = rng::bytes(rng);
    let sealed = cipher.encrypt(&nonce.into(), Payload { msg: plaintext, aad }).map_err(|_| CipherFailure)?;
    let mut boxed = Vec::with_capacity(NONCE_LEN + sealed.len());
    boxed.extend_from_slice(&nonce);
    boxed.extend_from_slice(&sealed);
    Ok(boxed)
}

/// Opens a box; `None` when it is too short, damaged, or was made with another key or `aad`.
pub(super) fn decrypt(cipher: &Aes256Gcm, aad: &[u8], boxed: &[u8]) -> Option<SecretBytes> {
    let (nonce, sealed) = boxed.split_first_chunk::<NONCE_LEN>()?;
    if sealed.len() < TAG_LEN {
        return None;
    }
    cipher.decrypt(&(*nonce).into(), Payload { msg: sealed, aad }).ok().map(SecretBytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5869 §A.3, whose output is longer than ours: its first 32 bytes.
    #[test]
    fn derivation_is_hkdf_sha256_without_salt() {
        let derived = derive(&[0x0b; 22], b"").unwrap();
        let hex: String = derived.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");
    }
}
