//! `auth`: logins.

use std::time::Duration;

use super::setting::section;
use super::value::{duration, whole};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

section! {
    /// Logins.
    pub struct Auth in "auth" {
        /// Failed logins in a row that hold an account back.
        max_failed_logins: u32 = Literal("10"), env ["AUTH_MAX_FAILED_LOGINS"], Public, whole(1, 100);
        /// For how long an account is held back. It always ends by itself, so that nobody can be kept out for good.
        lock_duration: Duration = Literal("15m"), env ["AUTH_LOCK_DURATION"], Public,
            duration::between(SECOND, DAY);
    }
}
