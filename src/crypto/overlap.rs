//! The overlap of refresh rotation (spec §13.11): the row of R1 keeps R2 so that a client whose answer was
//! lost can ask again with R1 and gets the **same** successor.
//!
//! R2 is encrypted under a key that HKDF derives from R1 itself, and the database holds only SHA-256 of R1:
//! whoever reads the database can open nothing; whoever presents R1 can.
//!
//! Layout: version byte `1` ‖ nonce (12) ‖ AES-256-GCM of R2's text ‖ tag (16).
//! Key: HKDF-SHA256 of R1's text, info `hellojohn/refresh-overlap/v1`. Associated data: the same label.

use super::aead::{self, CipherFailure};
use super::token_hash::OpaqueToken;
use crate::domain::rng::Rng;

const VERSION: u8 = 1;
const LABEL: &[u8] = b"hellojohn/refresh-overlap/v1";

/// Encrypts the successor `r2` so that only `r1` opens it.
pub fn seal_successor(rng: &dyn Rng, r1: &OpaqueToken, r2: &OpaqueToken) -> Result<Vec<u8>, CipherFailure> {
    let key = aead::derive(r1.expose().as_bytes(), LABEL)?;
    let boxed = aead::encrypt(rng, &aead::cipher(&key), LABEL, r2.expose().as_bytes())?;
    let mut blob = Vec::with_capacity(1 + boxed.len());
    blob.push(VERSION);
    blob.extend_from_slice(&boxed);
    Ok(blob)
}

/// The successor of `r1`, or `None` when the blob belongs to another token or is damaged.
pub fn open_successor(r1: &OpaqueToken, blob: &[u8]) -> Option<OpaqueToken> {
    let (&version, boxed) = blob.split_first()?;
    if version != VERSION {
        return None;
    }
    let key = aead::derive(r1.expose().as_bytes(), LABEL).ok()?;
    let opened = aead::decrypt(&aead::cipher(&key), LABEL, boxed)?;
    OpaqueToken::parse(std::str::from_utf8(opened.expose()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::token_hash::tests::fresh;
    use crate::domain::rng::OsRng;

    fn pair() -> (OpaqueToken, OpaqueToken, Vec<u8>) {
        let (r1, r2) = (fresh(), fresh());
        let blob = seal_successor(&OsRng, &r1, &r2).unwrap();
        (r1, r2, blob)
    }

    /// Spec §13.11, S32
    #[test]
    fn the_old_token_opens_its_successor() {
        let (r1, r2, blob) = pair();
        assert_eq!(open_successor(&r1, &blob), Some(r2));
    }

    /// Spec §13.11
    #[test]
    fn no_other_token_opens_it_and_the_blob_does_not_contain_it() {
        let (_, r2, blob) = pair();
        assert_eq!(open_successor(&fresh(), &blob), None);
        assert_eq!(open_successor(&r2, &blob), None);
        assert!(!blob.windows(8).any(|part| part == &r2.expose().as_bytes()[4..12]));
    }

    #[test]
    fn a_damaged_blob_opens_nothing() {
        let (r1, _, blob) = pair();
        for at in 0..blob.len() {
            let mut damaged = blob.clone();
            damaged[at] ^= 1;
            assert_eq!(open_successor(&r1, &damaged), None, "byte {at}");
            assert_eq!(open_successor(&r1, &blob[..at]), None, "cut at {at}");
        }
    }
}
