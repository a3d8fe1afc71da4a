//! `jwt`: issuer and lifetimes of tokens.

use std::time::Duration;

use super::intake::Intake;
use super::resolve::Resolved;
use super::setting::section;
use super::value::duration;
use super::value::url::{self, BaseUrl};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

section! {
    /// Issuer and lifetimes.
    pub struct Jwt in "jwt" {
        /// Global issuer, the iss claim of tokens; a tenant in path mode has ISSUER/t/SLUG.
        issuer: BaseUrl = Derived("server.public_url", default_issuer), env ["JWT_ISSUER"], Public,
            url::base_url;
        /// Life of an access token. Tenants and clients can have their own.
        access_ttl: Duration = Literal("15m"), env ["JWT_ACCESS_TTL"], Public,
            duration::between(SECOND, DAY);
        /// Life of a refresh token. Tenants and clients can have their own.
        refresh_ttl: Duration = Literal("7d"), env ["JWT_REFRESH_TTL"], Public,
            duration::between(SECOND, 366 * DAY);
    }
}

impl Jwt {
    pub(super) fn validate(&self, intake: &mut Intake<'_>) {
        if self.refresh_ttl <= self.access_ttl {
            intake.conflict(
                &["jwt.refresh_ttl", "jwt.access_ttl"],
                format!(
                    "{} is not longer than the life of an access token ({})",
                    duration::show(self.refresh_ttl),
                    duration::show(self.access_ttl)
                ),
                "make jwt.refresh_ttl longer than jwt.access_ttl",
            );
        }
    }
}

fn default_issuer(resolved: &Resolved) -> Option<String> {
    resolved.text("server.public_url")
}
