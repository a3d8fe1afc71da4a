//! Signing keys: the document of spec §2.1 and its life of spec §2.2 and §13.3.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::validate::Findings;
use crate::{Kid, Sealed, Slug, Timestamp, limits};

/// Whose keys a set of signing keys are. Written as `_global` or the tenant's slug, which can never collide
/// because a slug has no underscore.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum KeySet {
    /// The keys of the global issuer.
    Global,
    /// The keys of a tenant with an issuer of its own.
    Tenant(Slug),
}

const GLOBAL: &str = "_global";

impl KeySet {
    /// The name of the directory below `keys/`.
    pub fn as_str(&self) -> &str {
        match self {
            KeySet::Global => GLOBAL,
            KeySet::Tenant(slug) => slug.as_str(),
        }
    }
}

impl TryFrom<String> for KeySet {
    type Error = crate::InvalidId;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == GLOBAL { Ok(KeySet::Global) } else { Slug::parse(&text).map(KeySet::Tenant) }
    }
}

impl From<KeySet> for String {
    fn from(set: KeySet) -> String {
        set.as_str().to_owned()
    }
}

impl fmt::Display for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// JWS algorithms that hellojohn signs with (RFC 7518 §3.1, RFC 8037 §3.1). Never `none`, never HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Alg {
    /// Ed25519; the default.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// ECDSA with P-256 and SHA-256.
    #[serde(rename = "ES256")]
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
}

impl Alg {
    /// Every algorithm, the default first.
    pub const ALL: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Rs256];

    /// The name in a JOSE header.
    pub fn as_str(self) -> &'static str {
        match self {
            Alg::EdDsa => "EdDSA",
            Alg::Es256 => "ES256",
            Alg::Rs256 => "RS256",
        }
    }
}

/// The public half of a key, as RFC 7517 and RFC 8037 name its members. All values are base64url.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty", deny_unknown_fields)]
pub enum PublicJwk {
    /// Octet key pair: Ed25519.
    #[serde(rename = "OKP")]
    Okp {
        /// Curve, `Ed25519`.
        crv: String,
        /// Public key.
        x: String,
    },
    /// Elliptic curve.
    #[serde(rename = "EC")]
    Ec {
        /// Curve, `P-256`.
        crv: String,
        /// X coordinate.
        x: String,
        /// Y coordinate.
        y: String,
    },
    /// RSA.
    #[serde(rename = "RSA")]
    Rsa {
        /// Modulus.
        n: String,
        /// Exponent.
        e: String,
    },
}

/// Where a key is in its life. Only `Active` signs; all but `Retired` are published in the JWKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Published, not signing yet.
    Next,
    /// Signs new tokens.
    Active,
    /// Signs nothing more; published until `retire_at`.
    Retiring,
    /// No longer published.
    Retired,
}

/// What was asked for when a key was added as [`KeyState::Next`] (spec §13.3): replicated, so that a new
/// leader finishes what an old one began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activation {
    /// The earliest moment at which the key may start to sign.
    pub not_before: Timestamp,
    /// How long the replaced key stays published, in seconds.
    pub grace_seconds: u32,
}

/// A signing key of a tenant or of the global set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SigningKey {
    /// Key id, as in JOSE headers.
    pub kid: Kid,
    /// The one algorithm this key is used with.
    pub alg: Alg,
    /// Public half.
    pub public_jwk: PublicJwk,
    /// PKCS#8 private key, sealed with `SIGNING_MASTER_KEY`.
    pub private_key: Sealed,
    /// Where the key is in its life.
    pub state: KeyState,
    /// From when on the key signs.
    pub not_before: Timestamp,
    /// Pending activation of a `next` key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// When a retiring key leaves the JWKS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retire_at: Option<Timestamp>,
    /// When the key was made.
    pub created_at: Timestamp,
}

/// A freshly made key on its way into a command: made and sealed on the leader, before it is proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewKey {
    /// Key id.
    pub kid: Kid,
    /// Algorithm.
    pub alg: Alg,
    /// Public half.
    pub public_jwk: PublicJwk,
    /// PKCS#8 private key, sealed with `SIGNING_MASTER_KEY`.
    pub private_key: Sealed,
}

impl NewKey {
    /// Notes what is wrong with the key under `field`. The leader made it, so this never speaks to a caller
    /// who did nothing wrong; it keeps a fault there out of every node's JWKS.
    pub(crate) fn check(&self, field: &str, findings: &mut Findings) {
        let (fits, members): (bool, &[&String]) = match (&self.public_jwk, self.alg) {
            (PublicJwk::Okp { crv, x }, alg) => (alg == Alg::EdDsa && crv == "Ed25519", &[x]),
            (PublicJwk::Ec { crv, x, y }, alg) => (alg == Alg::Es256 && crv == "P-256", &[x, y]),
            (PublicJwk::Rsa { n, e }, alg) => (alg == Alg::Rs256, &[n, e]),
        };
        if !fits {
            findings.add(format!("{field}.public_jwk"), "invalid_key", "must fit the key's algorithm");
        }
        let base64url = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        let sound =
            |text: &str| (1..=limits::JWK_MEMBER).contains(&text.len()) && text.bytes().all(base64url);
        if !members.iter().all(|text| sound(text)) {
            findings.add(format!("{field}.public_jwk"), "invalid_key", "must have base64url members");
        }
    }
}
