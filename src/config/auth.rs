//! `auth`: logins, and what is mailed for them.

use std::time::Duration;

use super::intake::Intake;
use super::setting::section;
use super::value::{duration, switch, whole};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Most failures that an account may see in an hour (S61).
const MOST_AN_HOUR: u64 = 100;

section! {
    /// Logins.
    pub struct Auth in "auth" {
        /// Failed logins in a row that hold an account back.
        max_failed_logins: u32 = Literal("10"), env ["AUTH_MAX_FAILED_LOGINS"], Public, whole(3, 100);
        /// For how long an account is held back. It ends by itself, and the failures are counted anew.
        lock_duration: Duration = Literal("15m"), env ["AUTH_LOCK_DURATION"], Public,
            duration::between(SECOND, HOUR);
        /// Life of the link that verifies an e-mail address.
        verify_ttl: Duration = Literal("24h"), env ["AUTH_VERIFY_TTL"], Public,
            duration::between(5 * MINUTE, 30 * 24 * HOUR);
        /// Life of the link that resets a password.
        reset_ttl: Duration = Literal("1h"), env ["AUTH_RESET_TTL"], Public,
            duration::between(5 * MINUTE, 24 * HOUR);
        /// Answer a password reset with tokens, so that no login has to follow. A second factor is asked for all the same.
        reset_auto_login: bool = Literal("0"), env ["AUTH_RESET_AUTO_LOGIN"], Public, switch;
    }
}

impl Auth {
    pub(super) fn validate(&self, intake: &mut Intake<'_>) {
        let an_hour =
            u64::from(self.max_failed_logins) * HOUR.as_secs() / self.lock_duration.as_secs().max(1);
        if an_hour > MOST_AN_HOUR {
            intake.conflict(
                &["auth.max_failed_logins", "auth.lock_duration"],
                format!("{an_hour} passwords an hour can be guessed for each account"),
                "allow 100 an hour at most: fewer failures, or a longer hold",
            );
        }
    }
}
