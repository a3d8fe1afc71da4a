//! `password`: what a new password must be like. Tenants can override the policy.

use std::path::PathBuf;

use super::intake::Intake;
use super::setting::section;
use super::value::{existing_file, switch, whole};

section! {
    /// Password policy.
    pub struct Password in "password" {
        /// Fewest characters of a password.
        min_length: u32 = Literal("8"), env ["SECURITY_PASSWORD_POLICY_MIN_LENGTH"], Public, whole(8, 1_024);
        /// Most characters of a password. Over 1024 bytes a request is refused whatever this says.
        max_length: u32 = Literal("128"), env ["SECURITY_PASSWORD_POLICY_MAX_LENGTH"], Public,
            whole(64, 1_024);
        /// Require an upper-case letter.
        require_upper: bool = Literal("0"), env ["SECURITY_PASSWORD_POLICY_REQUIRE_UPPER"], Public, switch;
        /// Require a lower-case letter.
        require_lower: bool = Literal("0"), env ["SECURITY_PASSWORD_POLICY_REQUIRE_LOWER"], Public, switch;
        /// Require a digit.
        require_digit: bool = Literal("0"), env ["SECURITY_PASSWORD_POLICY_REQUIRE_DIGIT"], Public, switch;
        /// Require a character that is neither letter nor digit.
        require_symbol: bool = Literal("0"), env ["SECURITY_PASSWORD_POLICY_REQUIRE_SYMBOL"], Public, switch;
        /// File of refused passwords, one a line; blank lines and lines that start with # are ignored.
        blacklist_path: Option<PathBuf> = Unset("no blacklist"), env ["SECURITY_PASSWORD_BLACKLIST_PATH"],
            Public, existing_file;
    }
}

impl Password {
    pub(super) fn validate(&self, intake: &mut Intake<'_>) {
        if self.min_length > self.max_length {
            intake.conflict(
                &["password.min_length", "password.max_length"],
                format!("{} is more than the greatest length {}", self.min_length, self.max_length),
                "make password.min_length at most password.max_length",
            );
        }
    }
}
