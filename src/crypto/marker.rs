//! Marks of time that only a node of this cluster can make: how long ago something was asked for, told by whoever brings it back.
//!
//! A mark is the time and an HMAC-SHA256 over it and the thing that it is about, cut to 16 bytes, in base64url. The key is
//! HKDF-SHA256 of the secretbox master key, so that a mark of one node is good at every other. It is no secret.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hellojohn_control::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::CipherFailure;
use super::aead::derive;

/// Bytes of the time, in milliseconds.
const TIME: usize = 8;
/// Bytes of the proof.
const PROOF: usize = 16;

/// Makes marks for one purpose.
#[derive(Clone)]
pub struct Marker(Hmac<Sha256>);

impl Marker {
    /// Marks under a key that is derived from `master_key` for the purpose that `label` names.
    ///
    /// # Errors
    /// Never for a key of a sane length.
    pub fn new(master_key: &[u8], label: &[u8]) -> Result<Self, CipherFailure> {
        let key = derive(master_key, label)?;
        Hmac::new_from_slice(key.as_slice()).map(Self).map_err(|_| CipherFailure)
    }

    /// The mark that `thing` was seen at `at`.
    pub fn mark(&self, at: Timestamp, thing: &[u8]) -> String {
        let time = at.millis().to_be_bytes();
        let mut bytes = [0; TIME + PROOF];
        bytes[..TIME].copy_from_slice(&time);
        bytes[TIME..].copy_from_slice(&self.proof(time, thing));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// When `thing` was seen, if the mark is ours and about it.
    pub fn read(&self, mark: &str, thing: &[u8]) -> Option<Timestamp> {
        // Longer texts are no marks; they are not even decoded.
        let bytes = (mark.len() <= 2 * (TIME + PROOF)).then(|| URL_SAFE_NO_PAD.decode(mark).ok())??;
        let (time, proof) = bytes.split_first_chunk::<TIME>()?;
        let right = self.proof(*time, thing).as_slice().ct_eq(proof);
        bool::from(right).then(|| Timestamp::from_millis(i64::from_be_bytes(*time)))
    }

    fn proof(&self, time: [u8; TIME], thing: &[u8]) -> [u8; PROOF] {
        let mut mac = self.0.clone();
        mac.update(&time);
        mac.update(thing);
        let whole: [u8; 32] = mac.finalize().into_bytes().into();
        let mut cut = [0; PROOF];
        cut.copy_from_slice(&whole[..PROOF]);
        cut
    }
}

/// The key inside makes any mark.
impl fmt::Debug for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Marker(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> Marker {
        Marker::new(&[7; 32], b"test/v1").unwrap()
    }

    #[test]
    fn a_mark_is_about_one_thing_one_purpose_and_one_key() {
        let at = Timestamp::from_millis(1_800_000_000_123);
        let mark = marker().mark(at, b"thing");
        assert_eq!(marker().read(&mark, b"thing"), Some(at));
        assert_eq!(marker().read(&mark, b"another"), None);
        assert_eq!(Marker::new(&[7; 32], b"other/v1").unwrap().read(&mark, b"thing"), None);
        assert_eq!(Marker::new(&[8; 32], b"test/v1").unwrap().read(&mark, b"thing"), None);
    }

    #[test]
    fn a_mark_that_was_changed_is_none() {
        let mark = marker().mark(Timestamp::from_secs(1_800_000_000), b"thing");
        for place in 0..mark.len() {
            let mut changed = mark.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(marker().read(&String::from_utf8(changed).unwrap(), b"thing"), None, "{place}");
        }
        for bad in ["", "A", &mark[1..], &format!("{mark}A"), &"A".repeat(10_000)] {
            assert_eq!(marker().read(bad, b"thing"), None, "{bad}");
        }
    }

    /// S111
    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", marker()), "Marker(..)");
    }
}
