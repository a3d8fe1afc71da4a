//! Time-based one-time passwords (RFC 6238, HOTP of RFC 4226): HMAC-SHA1, six digits, steps of 30 seconds, which is
//! what every authenticator understands.
//!
//! A code is compared with those of the step that is now and of its two neighbours, all of them and in constant time.
//! Which step it was is told, so that the caller can refuse to accept one twice (S65). Must never print a secret.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use hellojohn_control::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use subtle::{Choice, ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

use super::secret::{SecretBytes, SecretString};
use crate::domain::mfa::TotpCode;
use crate::domain::rng::Rng;

/// 160 bits, as RFC 4226 §4 recommends.
const SECRET_BYTES: usize = 20;
/// A block of SHA-1.
const BLOCK_BYTES: usize = 64;
/// Seconds of a step.
const PERIOD: i64 = 30;
/// How many steps a clock may be wrong.
const SKEW: i64 = 1;
/// 10^6: six digits.
const MODULUS: u32 = 1_000_000;
/// Longest name of an issuer in an authenticator's list; a QR code has an end.
const MAX_ISSUER_CHARS: usize = 40;
/// What stays as it is in an otpauth URL: the unreserved characters of RFC 3986 §2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A secret that an authenticator and we share.
pub struct TotpSecret(Zeroizing<[u8; SECRET_BYTES]>);

/// The step that a code is of.
pub type Step = i64;

/// Bytes are not a secret of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a TOTP secret has {SECRET_BYTES} bytes")]
pub struct NotASecret;

impl TotpSecret {
    /// A fresh secret.
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        rng.fill(secret.as_mut_slice());
        Self(secret)
    }

    /// A secret that was opened.
    ///
    /// # Errors
    /// [`NotASecret`] for any other number of bytes.
    pub fn from_bytes(bytes: &SecretBytes) -> Result<Self, NotASecret> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        if bytes.expose().len() != SECRET_BYTES {
            return Err(NotASecret);
        }
        secret.copy_from_slice(bytes.expose());
        Ok(Self(secret))
    }

    /// The bytes, to be sealed.
    pub(super) fn expose(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The secret as people type it: base32 without padding.
    pub fn base32(&self) -> SecretString {
        SecretString::from(BASE32_NOPAD.encode(self.expose()))
    }

    /// The URL that an authenticator reads from a QR code. Everything a program may assume is said all the same, and a
    /// colon would end the issuer's name.
    pub fn otpauth_url(&self, issuer: &str, account: &str) -> SecretString {
        let issuer: String =
            issuer.chars().map(|c| if c == ':' { ' ' } else { c }).take(MAX_ISSUER_CHARS).collect();
        let issuer = utf8_percent_encode(issuer.trim(), RESERVED).to_string();
        let account = utf8_percent_encode(account, RESERVED);
        SecretString::from(format!(
            "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&algorithm=SHA1&digits=6&period={PERIOD}",
            self.base32().expose(),
        ))
    }

    /// The step whose code this is, if it is one around `now`. Where one code is that of two steps, it is the newer.
    pub fn step_of(&self, code: &TotpCode, now: Timestamp) -> Option<Step> {
        let current = now.secs().div_euclid(PERIOD);
        let (mut found, mut step) = (Choice::from(0), 0);
        for candidate in current - SKEW..=current + SKEW {
            let equal = self.code(candidate).ct_eq(code.digits());
            step = i64::conditional_select(&step, &candidate, equal);
            found |= equal;
        }
        bool::from(found).then_some(step)
    }

    /// RFC 4226 §5.3.
    fn code(&self, step: Step) -> Zeroizing<[u8; 6]> {
        let mut digits = Zeroizing::new([b'0'; 6]);
        let mut rest = self.truncated(step) % MODULUS;
        for digit in digits.iter_mut().rev() {
            // Below ten.
            *digit += u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        digits
    }

    fn truncated(&self, step: Step) -> u32 {
        // A key that is shorter than a block is filled up with zeros (RFC 2104 §2); with a whole block nothing can fail.
        let mut key = Zeroizing::new([0; BLOCK_BYTES]);
        for (to, from) in key.iter_mut().zip(self.expose()) {
            *to = *from;
        }
        let mut mac = Hmac::<Sha1>::new(&(*key).into());
        mac.update(&step.to_be_bytes());
        let mac = mac.finalize().into_bytes();
        let offset = usize::from(mac.last().copied().unwrap_or_default() & 0x0f);
        let four =
            mac.iter().skip(offset).take(4).fold(0, |number: u32, byte| number << 8 | u32::from(*byte));
        four & 0x7fff_ffff
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

#[cfg(test)]
mod tests;
