//! Password hashes: Argon2id as PHC strings (RFC 9106, spec §8), computed right here on the calling thread. Hashes
//! that other systems made are compared with too, and never made.
//!
//! Servers go through `hash_pool`, which bounds how much of this runs at once; nothing else may call it on a
//! thread that serves requests. A password is NFC before it is hashed, so that the same word typed on two
//! systems is the same password. Must never truncate a password and never log one.

mod foreign;
mod stored;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Params, Version};
use unicode_normalization::UnicodeNormalization as _;
use zeroize::Zeroizing;

use stored::Stored;

use super::secret::SecretString;
use crate::domain::rng::{self, Rng};

/// Longest password in bytes, before normalisation (spec §13.13, S63).
pub const MAX_PASSWORD_BYTES: usize = 1024;
/// Most memory a stored hash may ask for: 1 GiB, in KiB (S64).
pub const MAX_MEMORY_KIB: u32 = 1024 * 1024;
/// Most passes over the memory that a hash may ask for.
pub const MAX_ITERATIONS: u32 = 64;
/// Most lanes that a hash may ask for.
pub const MAX_PARALLELISM: u32 = 64;
/// Most work, memory in KiB × passes: about ten seconds of one core.
const MAX_WORK_KIB: u64 = 8 * 1024 * 1024;
const OUTPUT_LEN: usize = 32;
const SALT_LEN: usize = 16;

/// A password in NFC, at most [`MAX_PASSWORD_BYTES`] long before normalisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Password {
    normal: SecretString,
    /// As it was typed, where that is not NFC. Another system may have hashed it so.
    typed: Option<SecretString>,
}

/// The password is longer than [`MAX_PASSWORD_BYTES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a password may have at most {MAX_PASSWORD_BYTES} bytes")]
pub struct PasswordTooLong;

impl Password {
    /// Takes what the user typed. Only the length is checked; rules are the policy's business.
    pub fn parse(typed: &SecretString) -> Result<Self, PasswordTooLong> {
        if typed.expose().len() > MAX_PASSWORD_BYTES {
            return Err(PasswordTooLong);
        }
        // NFC grows a text at most threefold; reserving that keeps copies from being left behind by growth.
        let mut normal = String::with_capacity(typed.expose().len() * 3);
        normal.extend(typed.expose().nfc());
        let normal = SecretString::from(normal);
        let differs = normal.expose() != typed.expose();
        Ok(Self { normal, typed: differs.then(|| typed.clone()) })
    }

    /// The text in NFC.
    pub fn expose(&self) -> &str {
        self.normal.expose()
    }
}

/// Cost of new hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashParams {
    memory_kib: u32,
    iterations: u32,
    parallelism: u32,
}

/// Why hashing parameters cannot be used. Names the setting and the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParamsError {
    /// Memory outside its range.
    #[error(
        "ARGON2_MEMORY_KIB must be at least 8 × ARGON2_PARALLELISM and at most {MAX_MEMORY_KIB}; 65536 is the default"
    )]
    Memory,
    /// Passes outside their range.
    #[error("ARGON2_ITERATIONS must be 1 to {MAX_ITERATIONS}; 3 is the default")]
    Iterations,
    /// Lanes outside their range.
    #[error("ARGON2_PARALLELISM must be 1 to {MAX_PARALLELISM}; 2 is the default")]
    Parallelism,
    /// Each is in range but together they are too slow.
    #[error("ARGON2_MEMORY_KIB × ARGON2_ITERATIONS must be at most {MAX_WORK_KIB}; lower one of them")]
    Work,
}

impl HashParams {
    /// Checks `memory_kib` (KiB per hash), `iterations` (passes) and `parallelism` (lanes).
    pub fn new(memory_kib: u32, iterations: u32, parallelism: u32) -> Result<Self, ParamsError> {
        if !(1..=MAX_PARALLELISM).contains(&parallelism) {
            return Err(ParamsError::Parallelism);
        }
        if !(1..=MAX_ITERATIONS).contains(&iterations) {
            return Err(ParamsError::Iterations);
        }
        if !(8 * parallelism..=MAX_MEMORY_KIB).contains(&memory_kib) {
            return Err(ParamsError::Memory);
        }
        if u64::from(memory_kib) * u64::from(iterations) > MAX_WORK_KIB {
            return Err(ParamsError::Work);
        }
        Ok(Self { memory_kib, iterations, parallelism })
    }

    /// Memory of one hash, in KiB.
    pub fn memory_kib(self) -> u32 {
        self.memory_kib
    }
}

/// Why a password could not be hashed or compared. None of these says anything about the password, or repeats a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// The stored text is no hash of a kind that is known here.
    #[error("the stored password hash has no form that is known here; set a new password for this user")]
    Unreadable,
    /// The stored hash asks for more than this process is willing to spend (S64).
    #[error(
        "the stored password hash asks for {asked}, more than the limits of {limits}; set a new password for this user"
    )]
    TooCostly {
        /// The numbers in the hash.
        asked: String,
        /// The numbers that are allowed.
        limits: String,
    },
    /// Argon2 refused or memory ran out.
    #[error("hashing failed: {0}")]
    Failed(String),
}

/// Whether a stored text is a hash that [`Hasher::verify`] can compare with. Computes nothing.
///
/// # Errors
/// `Unreadable` and `TooCostly`.
pub fn check_stored(text: &str) -> Result<(), HashError> {
    Stored::parse(text).map(|_| ())
}

impl From<argon2::Error> for HashError {
    fn from(error: argon2::Error) -> Self {
        HashError::Failed(error.to_string())
    }
}

impl From<argon2::password_hash::phc::Error> for HashError {
    fn from(error: argon2::password_hash::phc::Error) -> Self {
        HashError::Failed(error.to_string())
    }
}

/// The answer to a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The password is the user's.
    pub ok: bool,
    /// The password is right and its hash should be made anew with the current parameters (S64).
    pub needs_rehash: bool,
}

/// The text that keeps a hash with its parameters.
fn phc(params: HashParams, output: &[u8; OUTPUT_LEN], salt: Salt) -> Result<String, HashError> {
    // The output length is part of the hash itself, not of the parameters.
    let mut text = ParamsString::new();
    text.add_decimal("m", params.memory_kib)?;
    text.add_decimal("t", params.iterations)?;
    text.add_decimal("p", params.parallelism)?;
    let phc = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: text,
        salt: Some(salt),
        hash: Some(Output::new(output)?),
    };
    Ok(phc.to_string())
}

/// In which form a password is the one that was hashed.
#[derive(PartialEq, Eq)]
enum Found {
    Normal,
    AsTyped,
    No,
}

/// NFC first, as every hash of ours has it; then as typed where that differs, as a hash from elsewhere may have it. The
/// work depends on what was typed, never on whose account it is.
fn compare(stored: &Stored, password: &Password) -> Result<Found, HashError> {
    if stored.matches(password.normal.expose().as_bytes())? {
        return Ok(Found::Normal);
    }
    match &password.typed {
        Some(typed) if stored.matches(typed.expose().as_bytes())? => Ok(Found::AsTyped),
        Some(_) | None => Ok(Found::No),
    }
}

/// Makes and compares hashes with one set of parameters.
#[derive(Debug)]
pub struct Hasher {
    params: HashParams,
    argon2: Argon2<'static>,
    /// Hash of a random password, compared when there is no user (S60).
    dummy: String,
}

impl Hasher {
    /// A hasher with `params`. Computes no hash: what stands in for unknown users is an output drawn at random, which no
    /// password gives, so that a node that hashes nothing never takes the memory of a hash.
    pub fn new(params: HashParams, rng: &dyn Rng) -> Result<Self, HashError> {
        let costs = Params::new(params.memory_kib, params.iterations, params.parallelism, Some(OUTPUT_LEN))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, costs);
        let dummy = phc(params, &rng::bytes(rng), Salt::new(&rng::bytes::<SALT_LEN>(rng))?)?;
        Ok(Self { params, argon2, dummy })
    }

    /// Hashes `password` with the current parameters and a fresh salt.
    pub fn hash(&self, rng: &dyn Rng, password: &Password) -> Result<String, HashError> {
        let salt = Salt::new(&rng::bytes::<SALT_LEN>(rng))?;
        let mut output = Zeroizing::new([0; OUTPUT_LEN]);
        self.argon2.hash_password_into(password.expose().as_bytes(), &salt, output.as_mut_slice())?;
        phc(self.params, &output, salt)
    }

    /// Compares `password` with the stored hash. Without one it does the same work with the current
    /// parameters and says no, so that an unknown user costs what a known one does (S60). A stored hash that
    /// cannot be used costs that work too before its error is returned. A hash of another kind or cost takes its
    /// own time, until the first login replaces it.
    pub fn verify(&self, password: &Password, stored: Option<&str>) -> Result<Verified, HashError> {
        let stored = match stored.map(Stored::parse) {
            Some(Ok(stored)) => stored,
            Some(Err(error)) => {
                compare(&Stored::parse(&self.dummy)?, password)?;
                return Err(error);
            }
            None => {
                compare(&Stored::parse(&self.dummy)?, password)?;
                return Ok(Verified { ok: false, needs_rehash: false });
            }
        };
        let found = compare(&stored, password)?;
        let outdated = found == Found::AsTyped || !stored.is_current(self.params);
        let ok = found != Found::No;
        Ok(Verified { ok, needs_rehash: ok && outdated })
    }

    /// Whether comparing with `stored` takes more memory than a hash with the current parameters.
    pub fn is_heavy(&self, stored: &str) -> bool {
        Stored::parse(stored).is_ok_and(|stored| stored.memory_kib() > self.params.memory_kib)
    }

    /// The parameters of new hashes.
    pub fn params(&self) -> HashParams {
        self.params
    }
}

#[cfg(test)]
mod tests;
