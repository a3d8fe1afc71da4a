//! `cache`: where counters live that are worth nothing tomorrow.

use super::intake::Intake;
use super::setting::{Raw, section};
use super::value::net::Host;
use super::value::pem::{self, Pem};
use super::value::redis::{self, RedisAddr};
use super::value::{Invalid, quoted, whole};

/// Longest prefix of names in Redis.
const MAX_PREFIX: usize = 64;

/// Where counters live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheKind {
    /// In this process; every node counts for itself.
    Memory,
    /// In Redis; all nodes count together.
    Redis,
}

section! {
    /// Counters of the rate limits. What people and applications have is in PostgreSQL, never here.
    pub struct Cache in "cache" {
        /// Where counters live: memory (every node counts for itself) or redis (all nodes count together).
        kind: CacheKind = Literal("memory"), env ["CACHE_KIND"], Public, kind;
        /// Redis, as host:port or as URL: redis://user:password@host:6379/0, or rediss:// for TLS.
        redis_addr: Option<RedisAddr> = Unset("needed with kind redis"), env ["REDIS_ADDR", "REDIS_URL"],
            RedisUrl, redis::redis_addr;
        /// Number of the database in Redis.
        redis_db: Option<u16> = Unset("that of the URL, else 0"), env ["REDIS_DB"], Public,
            whole(0, redis::MAX_DB);
        /// What every name in Redis begins with. Installations that share a Redis need different ones.
        redis_prefix: String = Literal("hellojohn:"), env ["REDIS_PREFIX"], Public, prefix;
        /// Certificate authority that a rediss:// server is verified with, as path or inline PEM.
        redis_tls_ca_file: Option<Pem> = Unset("the public ones that browsers trust"), env ["REDIS_TLS_CA_FILE"],
            PathOrSecret, pem::certificates;
    }
}

impl Cache {
    /// `embedded` is true in cluster mode, `limited` where there are limits to count for.
    pub(super) fn validate(&self, embedded: bool, limited: bool, intake: &mut Intake<'_>) {
        match self.kind {
            CacheKind::Redis => self.validate_redis(intake),
            CacheKind::Memory if self.redis_addr.is_some() => {
                intake.warn("cache.redis_addr", "is not used; set CACHE_KIND=redis to use it");
            }
            CacheKind::Memory if embedded && limited => intake.warn(
                "cache.kind",
                "every node counts for itself, so rate limits are as many times wider as there are nodes; set \
                 CACHE_KIND=redis",
            ),
            CacheKind::Memory => {}
        }
    }

    fn validate_redis(&self, intake: &mut Intake<'_>) {
        let Some(addr) = &self.redis_addr else {
            intake.missing(
                "cache.redis_addr",
                "is not set, and CACHE_KIND is redis",
                "give host:port or a redis:// URL, or leave CACHE_KIND out",
            );
            return;
        };
        if let (Some(named), Some(set)) = (addr.db, self.redis_db)
            && named != set
        {
            intake.conflict(
                &["cache.redis_db", "cache.redis_addr"],
                format!("is {set}, and the address names database {named}"),
                "leave one of them out",
            );
        }
        let here = Host::parse(&addr.host).is_some_and(|host| host.is_loopback());
        if addr.password.is_some() && !addr.tls && !here {
            intake.warn("cache.redis_addr", "the password travels in clear; use rediss://");
        }
        if self.redis_tls_ca_file.is_some() && !addr.tls {
            intake.warn("cache.redis_tls_ca_file", "is not used without rediss://");
        }
    }

    /// The database in Redis.
    pub fn db(&self) -> u16 {
        self.redis_db.or_else(|| self.redis_addr.as_ref()?.db).unwrap_or(0)
    }
}

fn kind(raw: &Raw) -> Result<CacheKind, Invalid> {
    match raw.text()? {
        "memory" => Ok(CacheKind::Memory),
        "redis" => Ok(CacheKind::Redis),
        other => Err(Invalid::new(format!("{} is no kind of cache", quoted(other)), "write memory or redis")),
    }
}

fn prefix(raw: &Raw) -> Result<String, Invalid> {
    let text = raw.text()?;
    if text.len() <= MAX_PREFIX && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(text.to_owned());
    }
    Err(Invalid::new(
        format!("{} is not a prefix", quoted(text)),
        format!("write at most {MAX_PREFIX} visible ASCII characters, for example hellojohn:"),
    ))
}
