//! Sealing: how a secret of the control plane looks on disk and in the log (spec §2.1).
//!
//! # Layout, version 1
//! ```text
//! GCMV1:{master-key-id}:{base64url(nonce ‖ ciphertext ‖ tag)}        base64url without padding
//! ```
//! - Cipher: AES-256-GCM, random nonce of 12 bytes, tag of 16 bytes.
//! - Key: HKDF-SHA256 (no salt) of the master key, info `hellojohn/GCMV1/{domain}/key`, 32 bytes. The domain
//!   is `signing` for `SIGNING_MASTER_KEY` and `secretbox` for `SECRETBOX_MASTER_KEY`.
//! - Fingerprint: HKDF-SHA256 of the master key, info `hellojohn/GCMV1/{domain}/fingerprint`, 32 bytes in
//!   lower-case hex; the master-key-id is its first 16 digits (8 bytes). Neither lets anybody derive a key.
//! - Associated data: `hellojohn/GCMV1`, then purpose, tenant (`_global` for none) and field, each preceded
//!   by its length as a big-endian u32. A blob therefore opens only where it was made for: not in another
//!   tenant, not in another field, not for another purpose.
//!
//! TOTP secrets in the user database have a layout of their own, `GCMV1-MFA`: `sealed/mfa.rs`.
//!
//! Must never print a plaintext or a key, and must never accept a blob of another layout.

use std::fmt;

use aes_gcm::Aes256Gcm;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_PAD_INDIFFERENT, URL_SAFE_NO_PAD};
use hellojohn_control::{Sealed, Slug};
use zeroize::Zeroizing;

use super::aead::{self, CipherFailure};
use super::secret::SecretBytes;
use crate::domain::rng::Rng;

mod mfa;

const PREFIX: &str = "GCMV1";
const AAD_DOMAIN: &[u8] = b"hellojohn/GCMV1";
/// Stands for the global set where a tenant is named; the grammar of slugs has no underscore.
const GLOBAL: &str = "_global";
/// `SIGNING_MASTER_KEY` is any text of at least this many bytes (spec §8).
pub const MIN_SIGNING_MASTER_KEY_BYTES: usize = 32;
/// Bytes behind the base64 of `SECRETBOX_MASTER_KEY` (spec §8).
pub const SECRETBOX_MASTER_KEY_BYTES: usize = 32;
/// Longest secret that is sealed; its blob stays below the 16 KiB that a `Sealed` may have.
pub const MAX_PLAINTEXT_BYTES: usize = 8 * 1024;

/// What a sealed value is for; part of the associated data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Private half of a signing key; the field is its kid.
    SigningKey,
    /// DSN of a tenant's own user store.
    UserStoreDsn,
    /// Password of a tenant's mail server.
    SmtpPassword,
    /// Client secret of a social provider; the field is the provider's name.
    ProviderSecret,
    /// A mail that waits to be sent; the field is its row's id.
    Mail,
    /// An answer that holds a once-shown secret, kept for its Idempotency-Key (spec §13.5).
    IdempotentAnswer,
}

impl Purpose {
    /// The name in the associated data. Part of the format on disk: never change one.
    fn as_str(self) -> &'static str {
        match self {
            Purpose::SigningKey => "signing-key",
            Purpose::UserStoreDsn => "user-store-dsn",
            Purpose::SmtpPassword => "smtp-password",
            Purpose::ProviderSecret => "provider-secret",
            Purpose::Mail => "mail",
            Purpose::IdempotentAnswer => "idempotent-answer",
        }
    }
}

/// The place that a sealed value belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Aad<'a> {
    /// What the value is for.
    pub purpose: Purpose,
    /// The tenant that it belongs to; `None` for the global set.
    pub tenant: Option<&'a Slug>,
    /// The field, or the name of the thing, within the tenant.
    pub field: &'a str,
}

impl Aad<'_> {
    fn encode(&self) -> Result<Vec<u8>, CipherFailure> {
        associated(AAD_DOMAIN, [self.purpose.as_str(), self.tenant.map_or(GLOBAL, Slug::as_str), self.field])
    }
}

/// The domain, then each part behind its length, so that no two divisions give the same bytes.
fn associated<const N: usize>(domain: &[u8], parts: [&str; N]) -> Result<Vec<u8>, CipherFailure> {
    let mut out = domain.to_vec();
    for part in parts {
        let length = u32::try_from(part.len()).map_err(|_| CipherFailure)?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part.as_bytes());
    }
    Ok(out)
}

/// Why a master key cannot be used. Names the setting and the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MasterKeyError {
    /// Text too short to carry 256 bits.
    #[error(
        "SIGNING_MASTER_KEY has {got} bytes and needs at least {MIN_SIGNING_MASTER_KEY_BYTES}; make one with `openssl rand -base64 48` and give the same to every node"
    )]
    SigningTooShort {
        /// Its length in bytes.
        got: usize,
    },
    /// Not base64, or another number of bytes.
    #[error(
        "SECRETBOX_MASTER_KEY must be the base64 of exactly {SECRETBOX_MASTER_KEY_BYTES} bytes; make one with `openssl rand -base64 32` and give the same to every node"
    )]
    SecretboxMalformed,
    /// Deriving failed.
    #[error(transparent)]
    Cipher(#[from] CipherFailure),
}

/// Why a value cannot be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Longer than [`MAX_PLAINTEXT_BYTES`].
    #[error("a sealed secret may have at most {MAX_PLAINTEXT_BYTES} bytes")]
    TooLong,
    /// The cipher refused.
    #[error(transparent)]
    Cipher(#[from] CipherFailure),
}

/// Why a sealed value does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It was sealed with another master key: this node is configured with the wrong one.
    #[error(
        "sealed with master key {sealed_with}, but this node holds {ours}; give this node the {setting} of the other nodes"
    )]
    OtherMasterKey {
        /// Id of the key that sealed it.
        sealed_with: String,
        /// Id of the key at hand.
        ours: String,
        /// The setting that holds the key at hand.
        setting: &'static str,
    },
    /// Truncated, garbled, or taken from another tenant, field or purpose.
    #[error(
        "the sealed value is damaged or belongs to another tenant, field or purpose; restore it from the leader or a snapshot"
    )]
    Damaged,
}

/// Seals and opens values under one master key.
pub struct Sealer {
    cipher: Aes256Gcm,
    fingerprint: String,
    setting: &'static str,
}

impl Sealer {
    /// The sealer of signing keys. `master_key` is the text of `SIGNING_MASTER_KEY`, taken as it stands.
    pub fn signing(master_key: &str) -> Result<Self, MasterKeyError> {
        if master_key.len() < MIN_SIGNING_MASTER_KEY_BYTES {
            return Err(MasterKeyError::SigningTooShort { got: master_key.len() });
        }
        Ok(Self::derive(master_key.as_bytes(), "signing", "SIGNING_MASTER_KEY")?)
    }

    /// The sealer of all other secrets. `base64` is the text of `SECRETBOX_MASTER_KEY`, in the standard
    /// alphabet, with or without padding.
    pub fn secretbox(base64: &str) -> Result<Self, MasterKeyError> {
        let key = STANDARD_PAD_INDIFFERENT
            .decode(base64.trim())
            .map(Zeroizing::new)
            .map_err(|_| MasterKeyError::SecretboxMalformed)?;
        if key.len() != SECRETBOX_MASTER_KEY_BYTES {
            return Err(MasterKeyError::SecretboxMalformed);
        }
        Ok(Self::derive(&key, "secretbox", "SECRETBOX_MASTER_KEY")?)
    }

    fn derive(master_key: &[u8], domain: &str, setting: &'static str) -> Result<Self, CipherFailure> {
        let key = aead::derive(master_key, format!("hellojohn/GCMV1/{domain}/key").as_bytes())?;
        let print = aead::derive(master_key, format!("hellojohn/GCMV1/{domain}/fingerprint").as_bytes())?;
        let fingerprint = print.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { cipher: aead::cipher(&key), fingerprint, setting })
    }

    /// The id of the master key, as it stands in sealed values: 16 hex digits.
    pub fn key_id(&self) -> &str {
        self.fingerprint.get(..16).unwrap_or(&self.fingerprint)
    }

    /// A one-way fingerprint of the master key, 64 hex digits: equal on two nodes exactly when they hold the
    /// same master key for the same purpose (spec §13.2).
    pub fn fingerprint(&self) -> String {
        self.fingerprint.clone()
    }

    /// Seals `plaintext` for the place that `aad` names.
    pub fn seal(&self, rng: &dyn Rng, aad: &Aad<'_>, plaintext: &[u8]) -> Result<Sealed, SealError> {
        if plaintext.len() > MAX_PLAINTEXT_BYTES {
            return Err(SealError::TooLong);
        }
        let text = self.seal_text(rng, PREFIX, &aad.encode()?, plaintext)?;
        Sealed::parse(&text).map_err(|_| SealError::TooLong)
    }

    /// The text of a sealed value under the prefix of its layout.
    fn seal_text(
        &self,
        rng: &dyn Rng,
        prefix: &str,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<String, CipherFailure> {
        let blob = aead::encrypt(rng, &self.cipher, aad, plaintext)?;
        Ok(format!("{prefix}:{}:{}", self.key_id(), URL_SAFE_NO_PAD.encode(blob)))
    }

    /// Whether a value says that it was sealed with this master key. Opens nothing.
    pub fn sealed(&self, value: &Sealed) -> bool {
        value.as_str().split(':').nth(1) == Some(self.key_id())
    }

    /// Opens a value that was sealed for the place that `aad` names.
    pub fn open(&self, aad: &Aad<'_>, sealed: &Sealed) -> Result<SecretBytes, OpenError> {
        let aad = aad.encode().map_err(|_| OpenError::Damaged)?;
        self.open_text(PREFIX, &aad, sealed.as_str())
    }

    /// Opens the text of a sealed value, which must have the prefix of its layout.
    fn open_text(&self, prefix: &str, aad: &[u8], sealed: &str) -> Result<SecretBytes, OpenError> {
        let mut parts = sealed.split(':');
        let (Some(layout), Some(key_id), Some(blob), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(OpenError::Damaged);
        };
        if layout != prefix {
            return Err(OpenError::Damaged);
        }
        if key_id != self.key_id() {
            return Err(OpenError::OtherMasterKey {
                sealed_with: key_id.to_owned(),
                ours: self.key_id().to_owned(),
                setting: self.setting,
            });
        }
        let blob = URL_SAFE_NO_PAD.decode(blob).map_err(|_| OpenError::Damaged)?;
        aead::decrypt(&self.cipher, aad, &blob).ok_or(OpenError::Damaged)
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").field("key_id", &self.key_id()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
