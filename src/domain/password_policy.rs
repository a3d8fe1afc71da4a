//! What a new password must look like (spec §8, S63): length, kinds of characters, none of the most common ones or of a
//! list of forbidden ones, and more than the names of the account and its tenant.
//!
//! Applied when a password is **set**, never at login. Lengths count Unicode scalar values after NFC, which
//! is also the form that is hashed. Knows no files: the blacklist is handed over as bytes.

mod common;
mod context;

pub use context::Context;

use std::collections::HashSet;
use std::fmt;

use unicode_normalization::UnicodeNormalization as _;

/// The rules. `Default` is that of spec §8: 8 to 128 characters of any kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// Fewest characters.
    pub min_length: usize,
    /// Most characters.
    pub max_length: usize,
    /// At least one upper-case letter, of any script.
    pub require_upper: bool,
    /// At least one lower-case letter, of any script.
    pub require_lower: bool,
    /// At least one digit, of any script.
    pub require_digit: bool,
    /// At least one character that is neither letter nor digit; a space counts.
    pub require_symbol: bool,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            min_length: 8,
            max_length: 128,
            require_upper: false,
            require_lower: false,
            require_digit: false,
            require_symbol: false,
        }
    }
}

/// One rule that a password breaks. `Display` is a sentence for the person who chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Violation {
    /// Fewer characters than this.
    TooShort(usize),
    /// More characters than this.
    TooLong(usize),
    /// No upper-case letter.
    NeedsUpper,
    /// No lower-case letter.
    NeedsLower,
    /// No digit.
    NeedsDigit,
    /// No symbol.
    NeedsSymbol,
    /// On the operator's list of forbidden passwords.
    Blacklisted,
    /// One of those that everybody tries first.
    Common,
    /// The e-mail address, its local part or the tenant's name.
    SameAsAccount,
    /// Little else than parts of the e-mail address or of the tenant's name.
    ContainsContext,
}

impl Violation {
    /// Stable, machine-readable name: the `code` in `errors` of `validation_failed` (spec §13.10).
    pub fn code(self) -> &'static str {
        match self {
            Violation::TooShort(_) => "too_short",
            Violation::TooLong(_) => "too_long",
            Violation::NeedsUpper => "needs_upper",
            Violation::NeedsLower => "needs_lower",
            Violation::NeedsDigit => "needs_digit",
            Violation::NeedsSymbol => "needs_symbol",
            Violation::Blacklisted => "blacklisted",
            Violation::Common => "common",
            Violation::SameAsAccount => "same_as_account",
            Violation::ContainsContext => "contains_context",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Violation::TooShort(min) => write!(f, "must have at least {min} characters"),
            Violation::TooLong(max) => write!(f, "must have at most {max} characters"),
            Violation::NeedsUpper => f.write_str("must contain an upper-case letter"),
            Violation::NeedsLower => f.write_str("must contain a lower-case letter"),
            Violation::NeedsDigit => f.write_str("must contain a digit"),
            Violation::NeedsSymbol => f.write_str("must contain a symbol"),
            Violation::Blacklisted => f.write_str("is too common"),
            Violation::Common => f.write_str("is one of the passwords that are guessed first"),
            Violation::SameAsAccount => f.write_str("must not be the e-mail address or the tenant's name"),
            Violation::ContainsContext => {
                f.write_str("has too little beside words of the e-mail address or of the tenant's name")
            }
        }
    }
}

impl PasswordPolicy {
    /// Checks a new password; on failure every rule that it breaks, in the order of [`Violation`].
    pub fn check(
        &self,
        password: &str,
        context: &Context<'_>,
        blacklist: &Blacklist,
    ) -> Result<(), Vec<Violation>> {
        let normal: String = password.nfc().collect();
        let length = normal.chars().count();
        let has = |kind: fn(char) -> bool| normal.chars().any(kind);
        let folded = fold(password);
        let blacklisted = blacklist.holds(&folded);
        let named = context.names(&folded);
        let rules = [
            (length < self.min_length, Violation::TooShort(self.min_length)),
            (length > self.max_length, Violation::TooLong(self.max_length)),
            (self.require_upper && !has(char::is_uppercase), Violation::NeedsUpper),
            (self.require_lower && !has(char::is_lowercase), Violation::NeedsLower),
            (self.require_digit && !has(char::is_numeric), Violation::NeedsDigit),
            (self.require_symbol && !has(|c| !c.is_alphanumeric()), Violation::NeedsSymbol),
            (blacklisted, Violation::Blacklisted),
            (!blacklisted && common::contains(&folded), Violation::Common),
            (named, Violation::SameAsAccount),
            (!named && context.fills(&folded), Violation::ContainsContext),
        ];
        let broken: Vec<_> = rules.into_iter().filter_map(|(broken, rule)| broken.then_some(rule)).collect();
        if broken.is_empty() { Ok(()) } else { Err(broken) }
    }
}

/// Forbidden passwords, compared without regard to case after NFC.
#[derive(Clone, Default)]
pub struct Blacklist(HashSet<Box<str>>);

/// Why a blacklist cannot be used. Names the setting and the remedy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlacklistError {
    /// Larger than [`Blacklist::MAX_BYTES`].
    #[error(
        "the file of SECURITY_PASSWORD_BLACKLIST_PATH has more than {} bytes; keep the most common passwords only",
        Blacklist::MAX_BYTES
    )]
    TooLarge,
    /// Not UTF-8.
    #[error(
        "line {0} of the file of SECURITY_PASSWORD_BLACKLIST_PATH is not UTF-8; convert the file with iconv"
    )]
    NotUtf8(usize),
}

impl Blacklist {
    /// Largest file: 32 MiB, which takes about 200 MiB of memory. Check the size before reading it.
    pub const MAX_BYTES: usize = 32 * 1024 * 1024;

    /// Reads a list: one password a line; blank lines and lines that begin with `#` are ignored.
    pub fn parse(file: &[u8]) -> Result<Self, BlacklistError> {
        if file.len() > Self::MAX_BYTES {
            return Err(BlacklistError::TooLarge);
        }
        let text = std::str::from_utf8(file).map_err(|error| {
            let good = file.get(..error.valid_up_to()).unwrap_or_default();
            BlacklistError::NotUtf8(1 + good.iter().filter(|byte| **byte == b'\n').count())
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let passwords = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        Ok(Self(passwords.map(|line| fold(line).into_boxed_str()).collect()))
    }

    /// Whether `password` is on the list.
    pub fn contains(&self, password: &str) -> bool {
        self.holds(&fold(password))
    }

    fn holds(&self, folded: &str) -> bool {
        self.0.contains(folded)
    }

    /// How many different passwords are on the list.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing is on the list.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Blacklist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blacklist({} passwords)", self.len())
    }
}

/// One form for all spellings that differ in case or normalisation only. Upper case before lower case brings
/// letters with several lower-case forms together (σ and ς, s and ſ).
fn fold(text: &str) -> String {
    text.nfc().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfc().collect()
}

#[cfg(test)]
mod tests;
