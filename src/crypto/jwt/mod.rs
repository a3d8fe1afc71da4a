//! JSON Web Tokens: what stands in ours and how strictly one is read back (spec §7, RFC 7519, RFC 9068).
//!
//! Owns claims and verification; signing is `signer`'s. Must never choose an algorithm from the token: the
//! key that the kid names has exactly one, and the header has to agree with it.

mod claims;
mod hint;
mod id_claims;
mod jws;
mod proven;
mod strict_json;
mod verify;

#[cfg(test)]
mod tests;

pub use claims::AccessClaims;
pub use hint::{IdHint, read_hint};
pub use id_claims::{IdClaims, at_hash};
pub use verify::{Expect, TokenError, Unverified, keys_of};

/// Longest token that is read or signed, in bytes.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// How far another node's clock may run ahead of ours before its `nbf` and `iat` are refused (S39).
pub const SKEW_SECS: i64 = 60;

/// The `typ` of a token's header: keeps one kind from being taken for another (RFC 8725 §3.11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// An access token (RFC 9068 §2.1).
    Access,
    /// An ID token (OpenID Connect Core §2).
    Id,
}

impl TokenType {
    /// The header value.
    pub fn as_str(self) -> &'static str {
        match self {
            TokenType::Access => "at+jwt",
            TokenType::Id => "JWT",
        }
    }
}
