//! Signatures that were found right before.
//!
//! Whether a signature fits a message and a key never changes, so it need not be computed again for each
//! request that carries the same token: a verification costs more than the rest of a small request.
//! Only that one fact is remembered. Which key a kid names, whether it is still published, and every claim are
//! checked each time.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use sha2::{Digest as _, Sha256};

use crate::crypto::keys::Members;

/// Signatures that are remembered at most; a new one takes the place of another.
const SLOTS: usize = 4096;

/// SHA-256 over key, message and signature. To claim another's place one would have to find a collision.
type Fact = [u8; 32];

/// A bounded memory of right signatures, read without a lock.
#[derive(Debug)]
pub(super) struct Proven(Vec<ArcSwapOption<Fact>>);

impl Proven {
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| ArcSwapOption::empty()).collect())
    }

    /// Whether `signature` is that of `key` over `message`: as remembered, or as `verify` says. Only what is
    /// right is remembered, so that nobody fills the memory without a key of ours.
    pub(super) fn or_verify(
        &self,
        key: Members<'_>,
        message: &str,
        signature: &str,
        verify: impl FnOnce() -> bool,
    ) -> bool {
        let fact = fact(key, message, signature);
        let Some(slot) = self.slot(&fact) else { return verify() };
        if slot.load().as_deref() == Some(&fact) {
            return true;
        }
        let right = verify();
        if right {
            slot.store(Some(Arc::new(fact)));
        }
        right
    }

    fn slot(&self, fact: &Fact) -> Option<&ArcSwapOption<Fact>> {
        let [first, second, ..] = *fact;
        self.0.get(usize::from(u16::from_be_bytes([first, second])) % SLOTS)
    }
}

/// The length of each part is part of it, so the parts cannot shift.
fn fact([alg, first, second]: Members<'_>, message: &str, signature: &str) -> Fact {
    let mut hash = Sha256::new();
    for part in [alg, first, second, message, signature] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Members<'static> = ["ES256", "x", "y"];

    #[test]
    fn a_right_signature_is_verified_once_and_a_wrong_one_each_time() {
        let proven = Proven::new();
        let mut verified = 0;
        for _ in 0..3 {
            assert!(proven.or_verify(KEY, "a.b", "sig", || {
                verified += 1;
                true
            }));
        }
        assert_eq!(verified, 1);
        for _ in 0..3 {
            assert!(!proven.or_verify(KEY, "a.b", "forged", || {
                verified += 1;
                false
            }));
        }
        assert_eq!(verified, 4);
    }

    #[test]
    fn what_is_remembered_speaks_for_no_other_key_message_or_signature() {
        let proven = Proven::new();
        assert!(proven.or_verify(KEY, "a.b", "sig", || true));
        let others = [
            (["ES256", "x", "z"], "a.b", "sig"),
            (["RS256", "x", "y"], "a.b", "sig"),
            (["ES256", "xy", ""], "a.b", "sig"),
            (["ES256", "x", "ya"], ".b", "sig"),
            (KEY, "a.c", "sig"),
            (KEY, "a.b", "sih"),
            (KEY, "a.bs", "ig"),
        ];
        for (key, message, signature) in others {
            assert!(!proven.or_verify(key, message, signature, || false));
        }
    }
}
