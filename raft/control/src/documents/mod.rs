//! The documents of the control plane (spec §2.1).

pub mod signing_key;

pub use signing_key::{Alg, KeyState, NewKey, PublicJwk, SigningKey};
