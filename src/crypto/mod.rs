//! L1: passwords, sealed values, signatures, tokens; secrets as newtypes.
//!
//! Owns every use of a cryptographic primitive in this crate. May import `domain` and the types of
//! `hellojohn-control`. Must never read configuration, a clock or randomness other than the ones it is
//! handed, and must never put a secret into an error, a `Debug` form or a metric label.

mod aead;
pub mod hash_pool;
pub mod jwt;
pub mod keys;
pub mod marker;
pub mod overlap;
pub mod password;
pub mod pkce;
pub mod recovery_code;
pub mod sealed;
pub mod secret;
pub mod signer;
pub mod subject_key;
pub mod token_hash;
pub mod totp;

pub use aead::CipherFailure;
