//! Public keys of a client that signs its own assertions (RFC 7517, RFC 7523).
//!
//! A set is judged when it is read, before it can become part of a command: a private key that somebody sends by
//! mistake must never reach the log. What was read once is read again from every log and snapshot, so a rule here
//! may be loosened, never tightened. Must never hold or repeat a private member.

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use super::{Alg, PublicJwk};
use crate::limits;
use crate::validate::Findings;

/// Members that are private, or of a key that is secret as a whole (RFC 7518 §6.2.2, §6.3.2, §6.4).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Members that are kept.
const KEPT: [&str; 8] = ["kty", "kid", "alg", "crv", "x", "y", "n", "e"];

/// Members that public keys come with and that say nothing to us. Any other one is refused: a later release may have
/// given it a meaning, and a member that dropped it would have another state.
const DROPPED: [&str; 7] = ["use", "key_ops", "ext", "x5u", "x5c", "x5t", "x5t#S256"];

/// A JWK set (RFC 7517 §5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientJwks {
    /// 1 to [`limits::CLIENT_KEYS`] keys.
    pub keys: Vec<ClientJwk>,
}

/// One public key, with the members that we use and in our order: `use` is always `sig`, the rest is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClientJwk {
    /// Which key an assertion names; unique in the set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kid: Option<String>,
    /// The one algorithm it is used with; it follows from the kind anyway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alg: Option<Alg>,
    /// The key itself.
    #[serde(flatten)]
    pub public: PublicJwk,
}

impl ClientJwk {
    /// The algorithm that fits the key.
    pub fn fitting_alg(&self) -> Alg {
        match self.public {
            PublicJwk::Okp { .. } => Alg::EdDsa,
            PublicJwk::Ec { .. } => Alg::Es256,
            PublicJwk::Rsa { .. } => Alg::Rs256,
        }
    }

    fn read(members: &Map<String, Value>) -> Result<Self, String> {
        if let Some(name) = PRIVATE.into_iter().find(|name| members.contains_key(*name)) {
            return Err(format!("{name} is a private member; send public keys alone, and make a new key"));
        }
        let known = |name: &str| KEPT.contains(&name) || DROPPED.contains(&name);
        if let Some(name) = members.keys().find(|name| !known(name)) {
            let name: String = name.chars().take(64).collect();
            return Err(format!("unknown field `{name}`, there is no such member of a public key"));
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(format!("{name} must be a string")),
        };
        let needed = |name: &str| text(name)?.ok_or_else(|| format!("{name} is required"));
        if text("use")?.is_some_and(|usage| usage != "sig") {
            return Err("use must be sig".to_owned());
        }
        let kid = text("kid")?;
        if kid.is_some_and(|kid| {
            kid.is_empty() || kid.chars().count() > limits::TEXT || kid.chars().any(char::is_control)
        }) {
            return Err(format!("kid must have 1 to {} characters and no control characters", limits::TEXT));
        }
        let of_32_bytes = |name: &str| match decoded(needed(name)?) {
            Some(bytes) if bytes.len() == 32 => Ok(needed(name)?.to_owned()),
            _ => Err(format!("{name} must be 32 bytes in base64url without padding")),
        };
        let public = match (needed("kty")?, text("crv")?) {
            ("OKP", Some("Ed25519")) => PublicJwk::Okp { crv: "Ed25519".to_owned(), x: of_32_bytes("x")? },
            ("EC", Some("P-256")) => {
                PublicJwk::Ec { crv: "P-256".to_owned(), x: of_32_bytes("x")?, y: of_32_bytes("y")? }
            }
            ("RSA", _) => {
                check_rsa(needed("n")?, needed("e")?)?;
                PublicJwk::Rsa { n: needed("n")?.to_owned(), e: needed("e")?.to_owned() }
            }
            _ => return Err("kty must be RSA, EC with crv P-256, or OKP with crv Ed25519".to_owned()),
        };
        let mut key = Self { kid: kid.map(str::to_owned), alg: None, public };
        if let Some(alg) = text("alg")? {
            let fitting = key.fitting_alg();
            if alg != fitting.as_str() {
                return Err(format!("alg must be {} for a key of this kind", fitting.as_str()));
            }
            key.alg = Some(fitting);
        }
        Ok(key)
    }
}

impl<'de> Deserialize<'de> for ClientJwk {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(&Map::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl ClientJwks {
    pub(super) fn check(&self, field: &str, findings: &mut Findings) {
        if self.keys.is_empty() || self.keys.len() > limits::CLIENT_KEYS {
            let message = format!("must have 1 to {} keys", limits::CLIENT_KEYS);
            findings.add(format!("{field}.keys"), "out_of_range", message);
            return;
        }
        for (i, key) in self.keys.iter().enumerate() {
            if key.kid.is_some() && self.keys.iter().take(i).any(|earlier| earlier.kid == key.kid) {
                findings.add(format!("{field}.keys[{i}].kid"), "duplicate", "appears twice");
            }
        }
    }
}

/// A modulus of 2048 to 4096 bits and an odd exponent from 3 that fits four bytes, which is what verifiers take.
fn check_rsa(n: &str, e: &str) -> Result<(), String> {
    let minimal = |bytes: &Vec<u8>| bytes.first().is_some_and(|first| *first != 0);
    let is_odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last % 2 == 1);
    let modulus = decoded(n).filter(minimal).ok_or("n must be a number in base64url without padding")?;
    let leading = modulus.first().map_or(8, |first| first.leading_zeros());
    let bits = u32::try_from(modulus.len() * 8).unwrap_or(u32::MAX) - leading;
    if !(2048..=4096).contains(&bits) || !is_odd(&modulus) {
        return Err("n must be an odd number of 2048 to 4096 bits".to_owned());
    }
    let exponent = decoded(e).filter(minimal).ok_or("e must be a number in base64url without padding")?;
    if exponent.len() > 4 || !is_odd(&exponent) || exponent == [1] {
        return Err("e must be an odd number from 3 of at most 32 bits".to_owned());
    }
    Ok(())
}

/// Strict base64url without padding (RFC 7515 §2): one text for one value, so trailing bits must be zero.
fn decoded(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || text.len() > limits::JWK_MEMBER || text.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut buffer, mut held) = (0_u32, 0_u32);
    for b in text.bytes() {
        let six = match b {
            b'A'..=b'Z' => b - b'A',
            b'a'..=b'z' => b - b'a' + 26,
            b'0'..=b'9' => b - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        buffer = (buffer << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((buffer >> held) & 0xff).ok()?);
            buffer &= (1 << held) - 1;
        }
    }
    (buffer == 0).then_some(bytes)
}
