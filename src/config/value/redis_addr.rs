//! Where Redis is, and how to log in there. Shown without the password only.

use std::fmt;

use ::url::Url;
use percent_encoding::percent_decode_str;

use super::Invalid;
use super::net::{Host, HostPort};
use crate::config::secret::Secret;
use crate::config::setting::{REDACTED, Raw};
use crate::config::value::dsn;

const REMEDY: &str = "write host:port, or redis://user:password@host:6379/0 (rediss:// for TLS), with special \
                      characters of the password percent-encoded";
const PORT: u16 = 6379;
/// Most databases that a Redis is likely to have; it has 16 unless told otherwise.
pub(in crate::config) const MAX_DB: u16 = 9_999;

/// An address of Redis. `Debug` shows no password.
#[derive(Clone)]
pub struct RedisAddr {
    /// Host to dial, without brackets.
    pub host: String,
    /// Port to dial.
    pub port: u16,
    /// Whether the connection is TLS (`rediss://`).
    pub tls: bool,
    /// User of Redis' access lists; its default one unless given.
    pub username: Option<String>,
    /// Password.
    pub password: Option<Secret>,
    /// Number of the database, where the address names one.
    pub db: Option<u16>,
}

impl RedisAddr {
    /// Parses `host:port` or a `redis://` or `rediss://` URL; the reason never repeats the text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if let Some(HostPort { host, port }) = HostPort::parse(text) {
            let (username, password, db) = (None, None, None);
            return Ok(Self { host: dialled(&host), port, tls: false, username, password, db });
        }
        let url =
            Url::parse(text).map_err(|error| Invalid::new(format!("is no address ({error})"), REMEDY))?;
        let tls = match url.scheme() {
            "redis" => false,
            "rediss" => true,
            _ => return Err(Invalid::new("is neither host:port nor a redis:// or rediss:// URL", REMEDY)),
        };
        // A client may take `#insecure` for leave to believe any certificate.
        if url.query().is_some() || url.fragment().is_some() {
            return Err(Invalid::new("has a query or fragment", REMEDY));
        }
        let host = url.host_str().and_then(Host::parse);
        let host = host.ok_or_else(|| Invalid::new("has no proper host", REMEDY))?;
        let username = Some(url.username()).filter(|name| !name.is_empty()).map(decoded).transpose()?;
        let password = url.password().map(decoded).transpose()?;
        if username.is_some() && password.is_none() {
            let remedy = "write redis://:password@host:6379 for a password without a user";
            return Err(Invalid::new("has a user and no password", remedy));
        }
        let db = match url.path() {
            "" | "/" => None,
            path => Some(database(path.trim_start_matches('/'))?),
        };
        Ok(Self {
            host: dialled(&host),
            port: url.port().unwrap_or(PORT),
            tls,
            username,
            password: password.map(Secret::new),
            db,
        })
    }
}

/// A resolver wants no brackets.
fn dialled(host: &Host) -> String {
    match host {
        Host::Ip(address) => address.to_string(),
        Host::Name(name) => name.clone(),
    }
}

fn decoded(text: &str) -> Result<String, Invalid> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| Invalid::new("has a user or password that is not UTF-8", REMEDY))
}

fn database(text: &str) -> Result<u16, Invalid> {
    let number: Option<u16> = text.parse().ok();
    number.filter(|number| *number <= MAX_DB).ok_or_else(|| {
        Invalid::new(
            "names no database behind the host",
            format!("write a number from 0 to {MAX_DB}, or nothing"),
        )
    })
}

impl fmt::Debug for RedisAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddr({}:{}, tls: {})", self.host, self.port, self.tls)
    }
}

/// The text with its password replaced; all of it when it cannot be taken apart safely.
pub(in crate::config) fn redact(text: &str) -> String {
    match RedisAddr::parse(text.trim()) {
        Ok(RedisAddr { password: None, .. }) => text.to_owned(),
        Ok(_) => dsn::redact(text.trim()),
        Err(_) => REDACTED.to_owned(),
    }
}

/// An address of Redis.
pub(in crate::config) fn redis_addr(raw: &Raw) -> Result<RedisAddr, Invalid> {
    RedisAddr::parse(raw.text()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_urls_are_read() {
        let plain = RedisAddr::parse("cache.internal:6380").unwrap();
        assert_eq!(
            (plain.host.as_str(), plain.port, plain.tls, plain.db),
            ("cache.internal", 6380, false, None)
        );
        assert_eq!(RedisAddr::parse("[::1]:6379").unwrap().host, "::1");
        let full = RedisAddr::parse("rediss://app:s3%23cret@cache.internal/3").unwrap();
        assert_eq!(
            (full.port, full.tls, full.db, full.username.as_deref()),
            (6379, true, Some(3), Some("app"))
        );
        assert_eq!(full.password.unwrap().expose(), "s3#cret");
        let only = RedisAddr::parse("redis://:s3cret@[::1]:7000/").unwrap();
        assert_eq!((only.username, only.host.as_str(), only.db), (None, "::1", None));
        assert_eq!(only.password.unwrap().expose(), "s3cret");
    }

    /// S111, and no way to switch the verification of certificates off.
    #[test]
    fn refusals_do_not_repeat_the_text() {
        for bad in [
            "http://:s3cret@cache:6379",
            "rediss://:s3cret@cache:6379#insecure",
            "redis://:s3cret@cache:6379?protocol=resp3",
            "redis://s3cret@cache:6379",
            "redis://:s3cret@cache:6379/x",
            "redis://:s3cret@cache:6379/70000",
            "redis://:s3cret@:6379",
            "redis://:s3cret%ff@cache",
            "s3cret",
            "",
        ] {
            let invalid = RedisAddr::parse(bad).unwrap_err();
            assert!(!format!("{invalid:?}").contains("s3cret"), "{bad}: {invalid:?}");
            assert_eq!(redact(bad), "***", "{bad}");
        }
    }

    /// S111
    #[test]
    fn passwords_are_shown_nowhere() {
        let addr = RedisAddr::parse("redis://app:s3cret@cache:6379/1").unwrap();
        assert!(!format!("{addr:?}").contains("s3cret"));
        assert_eq!(redact("redis://app:s3cret@cache:6379/1"), "redis://app:***@cache:6379/1");
        assert_eq!(redact("cache:6379"), "cache:6379");
    }
}
