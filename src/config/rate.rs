//! `rate`: how often somebody may ask.

use std::time::Duration;

use super::intake::Intake;
use super::setting::section;
use super::value::{duration, switch, whole};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
/// Most guesses at an account's password or code in an hour (S61).
const MOST_AN_HOUR: u64 = 100;

section! {
    /// Rate limits. All count in fixed windows. The limits of the pools are for each account; an address may have ten
    /// times as many, because people share one.
    pub struct Rate in "rate" {
        /// Whether there are limits. The hold on an account after failed logins (auth) is there in any case.
        enabled: bool = Literal("1"), env ["RATE_ENABLED"], Public, switch;
        /// Window of the limit on everything.
        window: Duration = Literal("1m"), env ["RATE_WINDOW"], Public, duration::between(SECOND, DAY);
        /// Requests to one path that one address may send in a window.
        max_requests: u32 = Literal("3000"), env ["RATE_MAX_REQUESTS"], Public, whole(1, 10_000_000);
        /// Wrong passwords in a window, at the login and wherever a password is asked for again. Registrations have the
        /// same limit by address, counted apart.
        login_limit: u32 = Literal("20"), env ["RATE_LOGIN_LIMIT"], Public, whole(1, 1_000_000);
        /// Window of login_limit.
        login_window: Duration = Literal("15m"), env ["RATE_LOGIN_WINDOW"], Public, duration::between(SECOND, DAY);
        /// Requests for a mail that resets a password, and uses of such mails, in a window.
        forgot_limit: u32 = Literal("5"), env ["RATE_FORGOT_LIMIT"], Public, whole(1, 1_000_000);
        /// Window of forgot_limit.
        forgot_window: Duration = Literal("15m"), env ["RATE_FORGOT_WINDOW"], Public, duration::between(SECOND, DAY);
        /// Requests for a mail that verifies an address, and uses of such mails, in a window.
        verify_limit: u32 = Literal("10"), env ["RATE_VERIFY_LIMIT"], Public, whole(1, 1_000_000);
        /// Window of verify_limit.
        verify_window: Duration = Literal("15m"), env ["RATE_VERIFY_WINDOW"], Public, duration::between(SECOND, DAY);
        /// Enrolments of a second factor in a window.
        mfa_enroll_limit: u32 = Literal("10"), env ["RATE_MFA_ENROLL_LIMIT"], Public, whole(1, 1_000_000);
        /// Window of mfa_enroll_limit.
        mfa_enroll_window: Duration = Literal("15m"), env ["RATE_MFA_ENROLL_WINDOW"], Public,
            duration::between(SECOND, DAY);
        /// Wrong codes in a window when an enrolment is confirmed.
        mfa_verify_limit: u32 = Literal("10"), env ["RATE_MFA_VERIFY_LIMIT"], Public, whole(1, 1_000_000);
        /// Window of mfa_verify_limit.
        mfa_verify_window: Duration = Literal("15m"), env ["RATE_MFA_VERIFY_WINDOW"], Public,
            duration::between(SECOND, DAY);
        /// Wrong codes in a window at a login.
        mfa_challenge_limit: u32 = Literal("10"), env ["RATE_MFA_CHALLENGE_LIMIT"], Public, whole(1, 1_000_000);
        /// Window of mfa_challenge_limit.
        mfa_challenge_window: Duration = Literal("15m"), env ["RATE_MFA_CHALLENGE_WINDOW"], Public,
            duration::between(SECOND, DAY);
        /// Wrong codes in a window when a second factor is switched off or its recovery codes are made anew.
        mfa_disable_limit: u32 = Literal("10"), env ["RATE_MFA_DISABLE_LIMIT"], Public, whole(1, 1_000_000);
        /// Window of mfa_disable_limit.
        mfa_disable_window: Duration = Literal("15m"), env ["RATE_MFA_DISABLE_WINDOW"], Public,
            duration::between(SECOND, DAY);
    }
}

impl Rate {
    /// `behind_proxy` is true when requests seem to come through a proxy that is not named in TRUSTED_PROXIES.
    pub(super) fn validate(&self, behind_proxy: bool, intake: &mut Intake<'_>) {
        if !self.enabled {
            intake.warn("rate.enabled", "nothing limits how often somebody may ask");
            return;
        }
        if behind_proxy {
            intake.warn(
                "server.trusted_proxies",
                "is empty: behind a proxy everybody has the proxy's address and shares its rate limits; name the proxy",
            );
        }
        for (key, limit, window) in [
            ("rate.login_limit", self.login_limit, self.login_window),
            ("rate.mfa_verify_limit", self.mfa_verify_limit, self.mfa_verify_window),
            ("rate.mfa_challenge_limit", self.mfa_challenge_limit, self.mfa_challenge_window),
            ("rate.mfa_disable_limit", self.mfa_disable_limit, self.mfa_disable_window),
        ] {
            // What is guessed around the end of a window is of two windows.
            let windows = HOUR.as_secs().div_ceil(window.as_secs().max(1));
            let an_hour = u64::from(limit) * windows;
            if an_hour > MOST_AN_HOUR {
                intake.warn(
                    key,
                    format!("{an_hour} guesses an hour at each account; 100 are the most that is advisable"),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tests::loaded;

    fn warned(env: &[(&str, &str)]) -> Vec<String> {
        loaded(env)
            .warnings
            .iter()
            .map(ToString::to_string)
            .filter(|text| !text.contains("key_rotation"))
            .collect()
    }

    /// S61
    #[test]
    fn limits_that_let_too_much_be_guessed_are_told() {
        assert!(warned(&[]).is_empty(), "{:?}", warned(&[]));
        assert!(warned(&[("RATE_LOGIN_LIMIT", "26")])[0].contains("104 guesses an hour"));
        assert!(
            warned(&[("RATE_MFA_CHALLENGE_LIMIT", "100"), ("RATE_MFA_CHALLENGE_WINDOW", "1d")]).is_empty()
        );
        let switched_off = warned(&[("RATE_ENABLED", "0"), ("RATE_LOGIN_LIMIT", "1000")]);
        assert_eq!(switched_off.len(), 1, "{switched_off:?}");
    }

    /// Behind a proxy that is not named everybody has one address.
    #[test]
    fn a_proxy_that_is_not_named_is_told() {
        let https = ("SERVER_PUBLIC_URL", "https://id.example.com");
        assert!(warned(&[https])[0].contains("shares its rate limits"));
        assert!(warned(&[https, ("TRUSTED_PROXIES", "10.0.0.0/8")]).is_empty());
        assert_eq!(warned(&[https, ("RATE_ENABLED", "0")]).len(), 1);
    }
}
