//! The one home of randomness; everything else takes a `&dyn Rng`, so that tests can be exact.

use std::fmt::Debug;

use rand::Rng as _;

/// A source of random bytes.
pub trait Rng: Send + Sync + Debug {
    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]);
}

/// The thread-local generator of the process: ChaCha, seeded and reseeded by the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsRng;

impl Rng for OsRng {
    #[expect(clippy::disallowed_methods, reason = "the one home of randomness")]
    fn fill(&self, out: &mut [u8]) {
        rand::rng().fill_bytes(out);
    }
}

/// `N` random bytes.
pub fn bytes<const N: usize>(rng: &dyn Rng) -> [u8; N] {
    let mut out = [0; N];
    rng.fill(&mut out);
    out
}

/// A random (version 4) UUID.
pub fn uuid(rng: &dyn Rng) -> uuid::Uuid {
    uuid::Builder::from_random_bytes(bytes(rng)).into_uuid()
}
