//! `cache`: where counters live that are worth nothing tomorrow.

use super::intake::Intake;
use super::setting::{Raw, section};
use super::value::net::Host;
use super::value::pem::{self, Pem};
use super::value::redis_addr::{self, RedisAddr};
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
            RedisUrl, redis_addr::redis_addr;
        /// Number of the database in Redis.
        redis_db: Option<u16> = Unset("that of the URL, else 0"), env ["REDIS_DB"], Public,
            whole(0, redis_addr::MAX_DB);
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

#[cfg(test)]
mod tests {
    use crate::config::CacheKind;
    use crate::config::tests::{inputs, loaded, refusal};

    fn warned(env: &[(&str, &str)]) -> Vec<String> {
        let about = |key: &str| key.starts_with("cache.") || key.starts_with("rate.");
        let warnings = loaded(env).warnings;
        warnings.iter().filter(|w| w.key.is_some_and(about)).map(ToString::to_string).collect()
    }

    /// Spec §8
    #[test]
    fn redis_is_named_by_either_variable() {
        let cache = loaded(&[]).config.cache;
        assert_eq!((cache.kind, cache.redis_addr.is_some(), cache.db()), (CacheKind::Memory, false, 0));
        for name in ["REDIS_ADDR", "REDIS_URL"] {
            let env =
                [("CACHE_KIND", "redis"), (name, "cache:6379"), ("REDIS_DB", "3"), ("REDIS_PREFIX", "a:")];
            let cache = loaded(&env).config.cache;
            assert_eq!((cache.kind, cache.db(), cache.redis_prefix.as_str()), (CacheKind::Redis, 3, "a:"));
            assert_eq!(cache.redis_addr.map(|addr| addr.host).as_deref(), Some("cache"));
        }
        let url = [("CACHE_KIND", "redis"), ("REDIS_URL", "redis://cache/5")];
        assert_eq!(loaded(&url).config.cache.db(), 5);
        assert_eq!(loaded(&[url[0], url[1], ("REDIS_DB", "5")]).config.cache.db(), 5);
    }

    #[test]
    fn what_does_not_fit_together_is_refused() {
        let redis = ("CACHE_KIND", "redis");
        for (env, expected) in [
            (vec![redis], "cache.redis_addr (REDIS_ADDR): is not set, and CACHE_KIND is redis"),
            (vec![redis, ("REDIS_ADDR", "cache")], "cache.redis_addr (REDIS_ADDR): is no address"),
            (
                vec![redis, ("REDIS_ADDR", "redis://cache/5"), ("REDIS_DB", "4")],
                "cache.redis_db (REDIS_DB): is 4, and the address names database 5",
            ),
            (vec![("CACHE_KIND", "memcached")], "cache.kind (CACHE_KIND): \"memcached\" is no kind of cache"),
            (vec![("REDIS_PREFIX", "a b")], "cache.redis_prefix (REDIS_PREFIX): \"a b\" is not a prefix"),
        ] {
            let report = refusal(&inputs(&env));
            assert!(report.contains(expected), "{env:?}: {report}");
            assert_eq!(report.lines().count(), 1, "{env:?}: {report}");
        }
    }

    #[test]
    fn what_is_likely_not_meant_is_told() {
        assert!(warned(&[]).is_empty());
        assert!(warned(&[("REDIS_ADDR", "cache:6379")])[0].contains("is not used"));
        let redis = ("CACHE_KIND", "redis");
        assert!(warned(&[redis, ("REDIS_ADDR", "redis://:secret@cache")])[0].contains("travels in clear"));
        assert!(warned(&[redis, ("REDIS_ADDR", "redis://:secret@127.0.0.1")]).is_empty());
        assert!(warned(&[redis, ("REDIS_ADDR", "rediss://:secret@cache")]).is_empty());
        let cluster = [("CLUSTER_MODE", "on"), ("NODE_ID", "n1"), ("CLUSTER_NODES", "n1=127.0.0.1:8201")];
        assert!(warned(&cluster)[0].contains("every node counts for itself"));
        let off = [cluster[0], cluster[1], cluster[2], ("RATE_ENABLED", "0")];
        assert_eq!(warned(&off).len(), 1, "{:?}", warned(&off));
    }
}
