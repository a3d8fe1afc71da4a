//! `keys`: the master keys under which everything secret in the control plane is sealed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::intake::Intake;
use super::secret::{Secret, SecretKey};
use super::setting::{Raw, section};
use super::value::Invalid;

/// Fewest bytes of the signing master key (spec §8).
const MIN_SIGNING_KEY: usize = 32;
/// Most bytes that are taken; nobody has a longer key.
const MAX_SIGNING_KEY: usize = 4_096;
/// Fewer distinct bytes than this do not come from a random source.
const MIN_DISTINCT: usize = 8;

section! {
    /// Master keys. In a cluster they must be the same on every node.
    pub struct Keys in "keys" {
        /// Seals the signing keys; 32 bytes or more, used as they are written. Make one with
        /// 'openssl rand -base64 48'.
        signing_master_key: Secret = Required("make one with 'openssl rand -base64 48' and keep it safe"),
            env ["SIGNING_MASTER_KEY"], Secret, signing_key;
        /// Seals all other secrets; base64 of exactly 32 bytes. Make one with 'openssl rand -base64 32'.
        secretbox_master_key: SecretKey = Required("make one with 'openssl rand -base64 32' and keep it safe"),
            env ["SECRETBOX_MASTER_KEY"], Secret, secretbox_key;
    }
}

impl Keys {
    pub(super) fn validate(&self, intake: &mut Intake<'_>) {
        let weak = "does not look random; make one with 'openssl rand'";
        if distinct(self.signing_master_key.expose_bytes()) < MIN_DISTINCT {
            intake.warn("keys.signing_master_key", weak);
        }
        if distinct(self.secretbox_master_key.expose()) < MIN_DISTINCT {
            intake.warn("keys.secretbox_master_key", weak);
        }
    }
}

fn distinct(bytes: &[u8]) -> usize {
    let mut seen = [false; 256];
    for byte in bytes {
        seen[usize::from(*byte)] = true;
    }
    seen.iter().filter(|seen| **seen).count()
}

fn signing_key(raw: &Raw) -> Result<Secret, Invalid> {
    let text = raw.text()?;
    match text.len() {
        MIN_SIGNING_KEY..=MAX_SIGNING_KEY => Ok(Secret::new(text)),
        0..MIN_SIGNING_KEY => Err(Invalid::new(
            format!("is {} bytes long, and 32 are the least", text.len()),
            "make one with 'openssl rand -base64 48'",
        )),
        _ => Err(Invalid::new(
            format!("is {} bytes long, and {MAX_SIGNING_KEY} are the most", text.len()),
            "make one with 'openssl rand -base64 48'",
        )),
    }
}

fn secretbox_key(raw: &Raw) -> Result<SecretKey, Invalid> {
    const REMEDY: &str = "make one with 'openssl rand -base64 32'";
    let Ok(bytes) = STANDARD.decode(raw.text()?).map(Zeroizing::new) else {
        return Err(Invalid::new("is not base64", REMEDY));
    };
    match <[u8; 32]>::try_from(bytes.as_slice()) {
        Ok(key) => Ok(SecretKey::new(key)),
        Err(_) => Err(Invalid::new(format!("is {} bytes in base64, not 32", bytes.len()), REMEDY)),
    }
}
