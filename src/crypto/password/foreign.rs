//! Hashes that other systems made: bcrypt, scrypt and PBKDF2. They are compared with and never made here; the next
//! login replaces them.
//!
//! Every cost is bounded where the text is read: memory by that of Argon2 ([`MAX_MEMORY_KIB`]), time to a few
//! seconds of one core. An output is at least 16 bytes long, so that no short one is met by accident.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{HashError, MAX_MEMORY_KIB};

/// Most doublings of bcrypt.
const MAX_BCRYPT_COST: u32 = 16;
/// Most work of scrypt, N × r × p.
const MAX_SCRYPT_WORK: u64 = 1 << 24;
/// Most rounds of PBKDF2, over all blocks of the output.
const MAX_PBKDF2_ROUNDS: u64 = 10_000_000;
/// Lengths of an output in bytes.
const OUTPUT: std::ops::RangeInclusive<usize> = 16..=64;
/// Most bytes of a salt.
const MAX_SALT: usize = 64;
/// What bcrypt looks at; the rest of a longer password it never saw.
const BCRYPT_BYTES: usize = 72;

/// crypt(3) leaves the bits of the last character that encode nothing as they are.
const CRYPT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);
/// With padding or without: PHC strings have none, Django has some.
const STANDARD: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A hash of bcrypt.
pub(super) struct Bcrypt {
    cost: u32,
    salt: [u8; 16],
    output: [u8; 23],
}

impl Bcrypt {
    /// `cost` is two digits; `rest` is the salt in 22 characters and the output in 31.
    pub(super) fn parse(cost: &str, rest: &str) -> Result<Self, HashError> {
        let two_digits = cost.len() == 2 && cost.bytes().all(|b| b.is_ascii_digit());
        let cost: u32 = cost.parse().ok().filter(|_| two_digits).ok_or(HashError::Unreadable)?;
        let (salt, output) = rest.split_at_checked(22).ok_or(HashError::Unreadable)?;
        if !(4..=31).contains(&cost) {
            return Err(HashError::Unreadable);
        }
        if cost > MAX_BCRYPT_COST {
            return Err(too_costly(format!("a bcrypt cost of {cost}"), format!("{MAX_BCRYPT_COST}")));
        }
        let bytes = |text: &str| CRYPT.decode(text).map_err(|_| HashError::Unreadable);
        Ok(Self {
            cost,
            salt: bytes(salt)?.try_into().map_err(|_| HashError::Unreadable)?,
            output: bytes(output)?.try_into().map_err(|_| HashError::Unreadable)?,
        })
    }

    /// Compares as the old system did: with the first 72 bytes, the zero at the end among them.
    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut text = Zeroizing::new(Vec::with_capacity(password.len() + 1));
        text.extend_from_slice(password);
        text.push(0);
        text.truncate(BCRYPT_BYTES);
        let computed = Zeroizing::new(bcrypt::bcrypt(self.cost, self.salt, &text));
        // The 24th byte is not kept by crypt(3).
        computed[..self.output.len()].ct_eq(&self.output).into()
    }
}

/// A hash of scrypt (RFC 7914).
pub(super) struct Scrypt {
    params: scrypt::Params,
    memory_kib: u32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Scrypt {
    /// The PHC string, which is passlib's form too: `ln=14,r=8,p=1`, salt and output in Base64.
    pub(super) fn parse_phc(params: &str, salt: &str, output: &str) -> Result<Self, HashError> {
        let params: Vec<_> = params.split(',').filter_map(|param| param.split_once('=')).collect();
        let [("ln", ln), ("r", r), ("p", p)] = params.as_slice() else { return Err(HashError::Unreadable) };
        Self::new(number(ln)?, number(r)?, number(p)?, decoded(salt)?, decoded(output)?)
    }

    /// Django: N itself and not its logarithm, and the salt as text.
    pub(super) fn parse_django(
        n: &str,
        salt: &str,
        r: &str,
        p: &str,
        output: &str,
    ) -> Result<Self, HashError> {
        let n = number(n)?;
        if !n.is_power_of_two() {
            return Err(HashError::Unreadable);
        }
        Self::new(n.ilog2().into(), number(r)?, number(p)?, salt.as_bytes().to_vec(), decoded(output)?)
    }

    fn new(log_n: u64, r: u64, p: u64, salt: Vec<u8>, output: Vec<u8>) -> Result<Self, HashError> {
        if log_n == 0 || r == 0 || p == 0 || !sizes_fit(&salt, &output) {
            return Err(HashError::Unreadable);
        }
        let costly = || {
            let limits = format!("{MAX_MEMORY_KIB} KiB and N×r×p={MAX_SCRYPT_WORK}");
            too_costly(format!("scrypt with ln={log_n}, r={r}, p={p}"), limits)
        };
        // Bounded one by one first, so that the products cannot overflow.
        if log_n > 24 || r > MAX_SCRYPT_WORK || p > MAX_SCRYPT_WORK {
            return Err(costly());
        }
        let n = 1_u64 << log_n;
        let work = n.checked_mul(r).and_then(|work| work.checked_mul(p));
        let bytes = 128_u64.checked_mul(r).and_then(|block| block.checked_mul(n + p));
        let kib = bytes.map(|bytes| bytes.div_ceil(1024)).and_then(|kib| u32::try_from(kib).ok());
        let memory_kib = kib.filter(|kib| *kib <= MAX_MEMORY_KIB).ok_or_else(costly)?;
        if work.is_none_or(|work| work > MAX_SCRYPT_WORK) {
            return Err(costly());
        }
        let small = |n: u64| u32::try_from(n).map_err(|_| HashError::Unreadable);
        let log_n = u8::try_from(log_n).map_err(|_| HashError::Unreadable)?;
        let params = scrypt::Params::new(log_n, small(r)?, small(p)?).map_err(|_| HashError::Unreadable)?;
        Ok(Self { params, memory_kib, salt, output })
    }

    /// The table of N blocks, and the block of each lane.
    pub(super) fn memory_kib(&self) -> u32 {
        self.memory_kib
    }

    pub(super) fn matches(&self, password: &[u8]) -> Result<bool, HashError> {
        let mut computed = Zeroizing::new(vec![0; self.output.len()]);
        scrypt::scrypt(password, &self.salt, &self.params, &mut computed)
            .map_err(|error| HashError::Failed(error.to_string()))?;
        Ok(computed.ct_eq(&self.output).into())
    }
}

/// The digest inside PBKDF2.
#[derive(Clone, Copy)]
enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

/// A hash of PBKDF2 (RFC 8018).
pub(super) struct Pbkdf2 {
    digest: Digest,
    rounds: u32,
    salt: Vec<u8>,
    output: Vec<u8>,
}

impl Pbkdf2 {
    /// The PHC string (`i=29000`, also with the length, `l=32`) and passlib's form (`29000`).
    pub(super) fn parse_phc(kind: &str, rounds: &str, salt: &str, output: &str) -> Result<Self, HashError> {
        let digest = match kind {
            // passlib's name of the first one.
            "pbkdf2" | "pbkdf2-sha1" => Digest::Sha1,
            "pbkdf2-sha256" => Digest::Sha256,
            "pbkdf2-sha512" => Digest::Sha512,
            _ => return Err(HashError::Unreadable),
        };
        let (rounds, length) = match rounds.split_once(',') {
            Some((rounds, length)) => (rounds, length.strip_prefix("l=").map(number)),
            None => (rounds, None),
        };
        let rounds = number(rounds.strip_prefix("i=").unwrap_or(rounds))?;
        let output = decoded(output)?;
        match length.transpose()? {
            Some(length) if u64::try_from(output.len()) != Ok(length) => Err(HashError::Unreadable),
            Some(_) | None => Self::new(digest, rounds, decoded(salt)?, output),
        }
    }

    /// Django: the salt as text.
    pub(super) fn parse_django(
        kind: &str,
        rounds: &str,
        salt: &str,
        output: &str,
    ) -> Result<Self, HashError> {
        let digest = match kind {
            "pbkdf2_sha1" => Digest::Sha1,
            "pbkdf2_sha256" => Digest::Sha256,
            _ => return Err(HashError::Unreadable),
        };
        Self::new(digest, number(rounds)?, salt.as_bytes().to_vec(), decoded(output)?)
    }

    fn new(digest: Digest, rounds: u64, salt: Vec<u8>, output: Vec<u8>) -> Result<Self, HashError> {
        if rounds == 0 || !sizes_fit(&salt, &output) {
            return Err(HashError::Unreadable);
        }
        let block: usize = match digest {
            Digest::Sha1 => 20,
            Digest::Sha256 => 32,
            Digest::Sha512 => 64,
        };
        let blocks = u64::try_from(output.len().div_ceil(block)).unwrap_or(u64::MAX);
        if rounds.saturating_mul(blocks) > MAX_PBKDF2_ROUNDS {
            let asked = format!("{rounds} rounds of PBKDF2 for {} bytes", output.len());
            return Err(too_costly(asked, format!("{MAX_PBKDF2_ROUNDS} rounds over all blocks")));
        }
        let rounds = u32::try_from(rounds).map_err(|_| HashError::Unreadable)?;
        Ok(Self { digest, rounds, salt, output })
    }

    pub(super) fn matches(&self, password: &[u8]) -> bool {
        let mut computed = Zeroizing::new(vec![0; self.output.len()]);
        let out = computed.as_mut_slice();
        match self.digest {
            Digest::Sha1 => pbkdf2_hmac::<Sha1>(password, &self.salt, self.rounds, out),
            Digest::Sha256 => pbkdf2_hmac::<Sha256>(password, &self.salt, self.rounds, out),
            Digest::Sha512 => pbkdf2_hmac::<Sha512>(password, &self.salt, self.rounds, out),
        }
        computed.ct_eq(&self.output).into()
    }
}

fn too_costly(asked: String, limits: String) -> HashError {
    HashError::TooCostly { asked, limits }
}

fn sizes_fit(salt: &[u8], output: &[u8]) -> bool {
    (1..=MAX_SALT).contains(&salt.len()) && OUTPUT.contains(&output.len())
}

/// Decimal digits without a sign and without zeros in front.
fn number(text: &str) -> Result<u64, HashError> {
    let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !(text.len() > 1 && text.starts_with('0'));
    text.parse().ok().filter(|_| canonical).ok_or(HashError::Unreadable)
}

/// Base64; passlib writes `.` where others write `+`.
fn decoded(text: &str) -> Result<Vec<u8>, HashError> {
    STANDARD.decode(text.replace('.', "+")).map_err(|_| HashError::Unreadable)
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
