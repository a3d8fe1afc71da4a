//! Names for people and addresses where only counters are kept: a keyed hash, so that whoever reads the counters learns
//! neither an e-mail address nor an IP address, and cannot try candidates without the key (S111).
//!
//! HMAC-SHA256 under HKDF-SHA256 of the secretbox master key, info `hellojohn/counter-subject/v1`, cut to 16 bytes: two
//! subjects get the same name with a chance of 2^-64 once there are 2^32 of them. Nodes with the same master key give the
//! same names.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::CipherFailure;
use super::aead::derive;

const LABEL: &[u8] = b"hellojohn/counter-subject/v1";

/// A name that tells nothing.
pub type SubjectKey = [u8; 16];

/// Makes the names.
#[derive(Clone)]
pub struct SubjectKeys(Hmac<Sha256>);

impl SubjectKeys {
    /// Names under a key that is derived from `master_key`.
    ///
    /// # Errors
    /// Never for a key of a sane length.
    pub fn new(master_key: &[u8]) -> Result<Self, CipherFailure> {
        let key = derive(master_key, LABEL)?;
        Hmac::new_from_slice(key.as_slice()).map(Self).map_err(|_| CipherFailure)
    }

    /// The name of the subject that these parts describe. Parts are kept apart: `("ab", "c")` is not `("a", "bc")`.
    pub fn of(&self, parts: &[&[u8]]) -> SubjectKey {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            mac.update(part);
        }
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let mut cut = [0; 16];
        cut.copy_from_slice(&whole[..16]);
        cut
    }
}

/// The key inside names everybody.
impl fmt::Debug for SubjectKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_depends_on_the_key_and_on_every_part() {
        let keys = SubjectKeys::new(&[7; 32]).unwrap();
        let name = keys.of(&[b"login", b"acme", b"ann@example.com"]);
        assert_eq!(SubjectKeys::new(&[7; 32]).unwrap().of(&[b"login", b"acme", b"ann@example.com"]), name);
        for other in [
            keys.of(&[b"login", b"acme", b"bob@example.com"]),
            keys.of(&[b"login", b"acm", b"eann@example.com"]),
            keys.of(&[b"login", b"acme", b"ann@example.com", b""]),
            SubjectKeys::new(&[8; 32]).unwrap().of(&[b"login", b"acme", b"ann@example.com"]),
        ] {
            assert_ne!(other, name);
        }
    }

    /// S111
    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", SubjectKeys::new(&[7; 32]).unwrap()), "SubjectKeys(..)");
    }
}
