//! Secrets as they come from the configuration: never shown, wiped when dropped.
//!
//! There is deliberately no `Display`, no `Serialize` and no `PartialEq`: a secret is used through
//! `expose`, which a reader can search for.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A secret text (a master key as written, a connection string, a PEM block).
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text over; the caller's other copies are the caller's to wipe.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Never pass it to a format macro, a log or an error.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text as bytes.
    pub fn expose_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// A secret key of exactly 32 bytes.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SecretKey([u8; 32]);

impl SecretKey {
    /// Takes the key over.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key itself. Never pass it to a format macro, a log or an error.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// S111: secrets never in Debug.
    #[test]
    fn debug_shows_nothing_of_the_secret() {
        let shown = format!("{:?} {:?}", Secret::new("hunter2hunter2"), SecretKey::new([0xab; 32]));
        assert_eq!(shown, "Secret(***) SecretKey(***)");
    }
}
