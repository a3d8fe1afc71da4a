//! `auth`: logins.

use std::time::Duration;

use super::intake::Intake;
use super::setting::section;
use super::value::{duration, whole};

const SECOND: Duration = Duration::from_secs(1);
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
