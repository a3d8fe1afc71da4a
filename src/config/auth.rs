//! `auth`: logins, and what is mailed for them.

use std::time::Duration;

use super::intake::Intake;
use super::resolve::Resolved;
use super::setting::Raw;
use super::setting::section;
use super::value::net::Host;
use super::value::url::BaseUrl;
use super::value::{Invalid, duration, quoted, switch, whole};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// Most failures that an account may see in an hour (S61).
const MOST_AN_HOUR: u64 = 100;
/// What trusted devices show (spec §13.8).
pub const DEVICE_COOKIE: &str = "hj_device";

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
        /// Name of the cookie of browser sessions. With __Host- a browser takes it from this host alone, over https.
        session_cookie_name: String = Derived("__Host-hj_session with Secure and without a domain, else hj_session", default_cookie_name),
            env ["AUTH_SESSION_COOKIE_NAME"], Public, cookie_name;
        /// Domain whose every host gets the cookie; must be the host of server.public_url or one above it.
        session_domain: Option<String> = Unset("the host of server.public_url alone"), env ["AUTH_SESSION_DOMAIN"], Public,
            cookie_domain;
        /// With which requests of other sites the cookie is sent: lax (links), strict (none) or none (all).
        session_samesite: SameSite = Literal("lax"), env ["AUTH_SESSION_SAMESITE"], Public, same_site;
        /// Send the cookie over https only.
        session_secure: bool = Derived("on where server.public_url is https", default_secure), env ["AUTH_SESSION_SECURE"], Public,
            switch;
        /// Life of a browser session from its login on; no use lengthens it. The cookie goes with the browser, sooner or later.
        session_ttl: Duration = Literal("12h"), env ["AUTH_SESSION_TTL"], Public,
            duration::between(5 * MINUTE, 30 * 24 * HOUR);
    }
}

/// With which requests of other sites a browser sends a cookie (RFC 6265bis §5.6.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// With links that are followed.
    Lax,
    /// With none.
    Strict,
    /// With all.
    None,
}

impl SameSite {
    /// The value of the attribute.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

impl Auth {
    pub(super) fn validate(&self, public_url: &BaseUrl, intake: &mut Intake<'_>) {
        self.validate_cookie(public_url, intake);
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

impl Auth {
    /// What a browser would not take, or would send in clear, is refused at the start and not noticed at the first login.
    fn validate_cookie(&self, public_url: &BaseUrl, intake: &mut Intake<'_>) {
        const NAME: &str = "auth.session_cookie_name";
        const DOMAIN: &str = "auth.session_domain";
        const SECURE: &str = "auth.session_secure";
        let prefixed = |prefix: &str| self.session_cookie_name.to_ascii_lowercase().starts_with(prefix);
        if (prefixed("__host-") || prefixed("__secure-")) && !self.session_secure {
            intake.conflict(
                &[NAME, SECURE],
                "browsers take a cookie of this name over https only",
                "choose a name without __Host- or __Secure-, or set auth.session_secure",
            );
        }
        if prefixed("__host-") && self.session_domain.is_some() {
            intake.conflict(
                &[NAME, DOMAIN],
                "browsers take a cookie with __Host- from one host only, and a domain is set",
                "choose a name without __Host-, or leave auth.session_domain out",
            );
        }
        if self.session_samesite == SameSite::None && !self.session_secure {
            intake.conflict(
                &["auth.session_samesite", SECURE],
                "browsers take SameSite=None over https only",
                "use lax, or set auth.session_secure",
            );
        }
        if self.session_secure && !public_url.is_https() && !public_url.is_loopback() {
            intake.conflict(
                &[SECURE, "server.public_url"],
                "the cookie is for https only, and the public URL is http",
                "use https, or leave auth.session_secure out",
            );
        }
        if !self.session_secure && public_url.is_https() {
            intake.warn(SECURE, "the cookie of sessions travels in clear wherever a link says http");
        }
        let host = public_url.url().host_str().unwrap_or_default();
        let above = |domain: &String| {
            host == domain.as_str()
                || host.strip_suffix(domain.as_str()).is_some_and(|rest| rest.ends_with('.'))
        };
        if self.session_domain.as_ref().is_some_and(|domain| !above(domain)) {
            intake.conflict(
                &[DOMAIN, "server.public_url"],
                "browsers take no cookie for a domain that the host is not in",
                "give the host of server.public_url or a domain above it",
            );
        }
    }
}

fn default_secure(resolved: &Resolved) -> Option<String> {
    let https = BaseUrl::parse(&resolved.text("server.public_url")?).ok()?.is_https();
    Some(if https { "1" } else { "0" }.to_owned())
}

fn default_cookie_name(resolved: &Resolved) -> Option<String> {
    let secure = switch(&Raw::Text(resolved.text("auth.session_secure")?)).ok()?;
    let one_host = resolved.given("auth.session_domain").is_none();
    let https = resolved.text("server.public_url")?.starts_with("https:");
    Some(if secure && one_host && https { "__Host-hj_session" } else { "hj_session" }.to_owned())
}

/// A token of RFC 9110 §5.6.2, which a cookie's name must be (RFC 6265 §4.1.1).
fn cookie_name(raw: &Raw) -> Result<String, Invalid> {
    const REMEDY: &str = "write 1 to 64 letters, digits and any of -._ such as hj_session";
    let text = raw.text()?;
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    if text.is_empty() || text.len() > 64 || !plain {
        return Err(Invalid::new(format!("{} is not the name of a cookie", quoted(text)), REMEDY));
    }
    if text == DEVICE_COOKIE {
        return Err(Invalid::new(format!("{} is the cookie of trusted devices", quoted(text)), REMEDY));
    }
    Ok(text.to_owned())
}

/// A DNS name of several labels; browsers set no cookie for a whole top-level domain, nor a domain for an address.
fn cookie_domain(raw: &Raw) -> Result<String, Invalid> {
    let text = raw.text()?;
    match Host::parse(text) {
        Some(Host::Name(name)) if name.contains('.') && !name.ends_with('.') => Ok(name),
        Some(Host::Name(_) | Host::Ip(_)) | None => Err(Invalid::new(
            format!("{} is not a domain for cookies", quoted(text)),
            "write a domain such as example.com, without a leading dot",
        )),
    }
}

fn same_site(raw: &Raw) -> Result<SameSite, Invalid> {
    let text = raw.text()?;
    match text.to_ascii_lowercase().as_str() {
        "lax" => Ok(SameSite::Lax),
        "strict" => Ok(SameSite::Strict),
        "none" => Ok(SameSite::None),
        _ => Err(Invalid::new(
            format!("{} is not a SameSite policy", quoted(text)),
            "write lax, strict or none",
        )),
    }
}
