//! A stored hash of any kind that we can compare with: which it is, what it costs, whether it is one of ours.
//!
//! Parsing is strict and bounded: a text that asks for more than this process is willing to spend is refused by
//! its numbers, before anything is allocated or computed (S64).

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::foreign::{Bcrypt, Pbkdf2, Scrypt};
use super::{HashError, HashParams, MAX_ITERATIONS, MAX_MEMORY_KIB, MAX_PARALLELISM, MAX_WORK_KIB};
use super::{OUTPUT_LEN, SALT_LEN};

/// Longest text of a stored hash, in bytes.
const MAX_LEN: usize = 512;

/// A stored hash whose cost is within the limits.
pub(super) enum Stored {
    Argon2(Box<Argon2Hash>),
    Bcrypt(Bcrypt),
    Scrypt(Scrypt),
    Pbkdf2(Pbkdf2),
}

impl Stored {
    /// Reads a PHC string, a crypt(3) text of bcrypt, or one of the forms of passlib and Django.
    pub(super) fn parse(text: &str) -> Result<Self, HashError> {
        if text.len() > MAX_LEN {
            return Err(HashError::Unreadable);
        }
        // Django writes its own name of the algorithm before what the library gave it.
        let text = match text.split_once('$') {
            Some(("bcrypt", library)) => library,
            Some(("argon2", _)) => text.strip_prefix("argon2").unwrap_or(text),
            _ => text,
        };
        if text.starts_with("$argon2") {
            return Argon2Hash::parse(text).map(Box::new).map(Stored::Argon2);
        }
        let fields: Vec<&str> = text.split('$').collect();
        match fields.as_slice() {
            ["", "2a" | "2b" | "2y", cost, rest] => Bcrypt::parse(cost, rest).map(Stored::Bcrypt),
            ["", "scrypt", params, salt, output] => {
                Scrypt::parse_phc(params, salt, output).map(Stored::Scrypt)
            }
            ["scrypt", n, salt, r, p, output] => {
                Scrypt::parse_django(n, salt, r, p, output).map(Stored::Scrypt)
            }
            ["", kind, rounds, salt, output] => {
                Pbkdf2::parse_phc(kind, rounds, salt, output).map(Stored::Pbkdf2)
            }
            [kind, rounds, salt, output] => {
                Pbkdf2::parse_django(kind, rounds, salt, output).map(Stored::Pbkdf2)
            }
            _ => Err(HashError::Unreadable),
        }
    }

    /// Whether `password` is the one, in time that does not depend on where they differ.
    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, HashError> {
        match self {
            Stored::Argon2(hash) => hash.matches(password),
            Stored::Bcrypt(hash) => Ok(hash.matches(password)),
            Stored::Scrypt(hash) => hash.matches(password),
            Stored::Pbkdf2(hash) => Ok(hash.matches(password)),
        }
    }

    /// Memory that a comparison takes, in KiB.
    pub(super) fn memory_kib(&self) -> u32 {
        match self {
            Stored::Argon2(hash) => hash.params.memory_kib,
            Stored::Scrypt(hash) => hash.memory_kib(),
            // Four tables of a cipher, and the state of a digest.
            Stored::Bcrypt(_) | Stored::Pbkdf2(_) => 8,
        }
    }

    /// Whether a hash that is made now with `params` would be of this kind and cost.
    pub(super) fn is_current(&self, params: HashParams) -> bool {
        match self {
            Stored::Argon2(hash) => hash.current_kind && hash.params == params,
            Stored::Bcrypt(_) | Stored::Scrypt(_) | Stored::Pbkdf2(_) => false,
        }
    }
}

/// A stored hash of the Argon2 family.
pub(super) struct Argon2Hash {
    argon2: Argon2<'static>,
    salt: Salt,
    output: Output,
    params: HashParams,
    current_kind: bool,
}

impl Argon2Hash {
    fn parse(phc: &str) -> Result<Self, HashError> {
        let parsed = PasswordHash::new(phc).map_err(|_| HashError::Unreadable)?;
        let algorithm = Algorithm::try_from(parsed.algorithm.as_str()).map_err(|_| HashError::Unreadable)?;
        // A hash without `v=` is of the first version (PHC string specification).
        let version = Version::try_from(parsed.version.unwrap_or(Version::V0x10.into()))
            .map_err(|_| HashError::Unreadable)?;
        let asked = Params::try_from(&parsed).map_err(|_| HashError::Unreadable)?;
        let (m, t, p) = (asked.m_cost(), asked.t_cost(), asked.p_cost());
        let params = HashParams::new(m, t, p).map_err(|_| HashError::TooCostly {
            asked: format!("m={m} KiB, t={t}, p={p}"),
            limits: format!(
                "m={MAX_MEMORY_KIB}, t={MAX_ITERATIONS}, p={MAX_PARALLELISM} and m×t={MAX_WORK_KIB}"
            ),
        })?;
        let (Some(salt), Some(output)) = (parsed.salt, parsed.hash) else {
            return Err(HashError::Unreadable);
        };
        let current_kind = algorithm == Algorithm::Argon2id
            && version == Version::V0x13
            && output.len() == OUTPUT_LEN
            && salt.len() >= SALT_LEN;
        Ok(Self { argon2: Argon2::new(algorithm, version, asked), salt, output, params, current_kind })
    }

    fn matches(&self, password: &[u8]) -> Result<bool, HashError> {
        let mut computed = Zeroizing::new(vec![0; self.output.len()]);
        self.argon2.hash_password_into(password, &self.salt, &mut computed)?;
        Ok(computed.ct_eq(self.output.as_bytes()).into())
    }
}
