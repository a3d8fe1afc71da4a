//! The pools: one for the global database, one for each tenant that has its own (spec §4).
//!
//! Owns which pools exist. A tenant's pool is made when it is first asked for, replaced when its DSN changes, and
//! let go when it was idle for a while; nothing here waits for a database or holds a lock while somebody does.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hellojohn_control::Slug;

use super::database::{Database, Limits};
use super::dsn::{Dsn, Fingerprint};
use super::error::{Error, Reason};

/// Sizes and patience of the pools (`POSTGRES_*`, spec §8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolSettings {
    /// Most connections to the global database (`POSTGRES_MAX_OPEN_CONNS`); at least 1.
    pub max_open: u32,
    /// Connections to the global database that are kept open while nobody needs them
    /// (`POSTGRES_MAX_IDLE_CONNS`).
    pub max_idle: u32,
    /// Age at which a connection is replaced (`POSTGRES_CONN_MAX_LIFETIME`); `None`: never.
    pub max_lifetime: Option<Duration>,
    /// How long a connection beyond `max_idle` may be idle before it is closed.
    pub idle_timeout: Duration,
    /// How long a request waits for a connection.
    pub acquire_timeout: Duration,
    /// Most connections to the own database of one tenant; at least 1.
    pub tenant_max_open: u32,
    /// Most tenant databases with a pool at the same time.
    pub max_tenant_databases: usize,
    /// How long a tenant's pool is kept after its last use.
    pub tenant_idle: Duration,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self {
            max_open: 20,
            max_idle: 2,
            max_lifetime: Some(Duration::from_secs(30 * 60)),
            idle_timeout: Duration::from_secs(5 * 60),
            acquire_timeout: Duration::from_secs(3),
            tenant_max_open: 8,
            max_tenant_databases: 256,
            tenant_idle: Duration::from_secs(10 * 60),
        }
    }
}

/// The pools of this process.
#[derive(Debug)]
pub struct Pools {
    settings: PoolSettings,
    global: Option<Database>,
    tenants: Mutex<HashMap<Slug, Entry>>,
}

#[derive(Debug)]
struct Entry {
    fingerprint: Fingerprint,
    database: Database,
    last_used: Instant,
    /// When somebody last waited for it, and not a job.
    last_asked: Option<Instant>,
}

impl Pools {
    /// The pools, with the global database if there is one. Connects to nothing: the process starts although
    /// PostgreSQL is down, and finds it when it is back. Must be called within a Tokio runtime.
    pub fn new(settings: PoolSettings, global: Option<&Dsn>) -> Self {
        let limits = Limits {
            max_open: settings.max_open.max(1),
            min_idle: settings.max_idle,
            max_lifetime: settings.max_lifetime,
            idle_timeout: settings.idle_timeout,
            acquire: settings.acquire_timeout,
        };
        let global = global.map(|dsn| Database::lazy(dsn, limits));
        Self { settings, global, tenants: Mutex::new(HashMap::new()) }
    }

    /// The global database, if one is configured.
    pub fn global(&self) -> Option<&Database> {
        self.global.as_ref()
    }

    /// The own database of a tenant. With another DSN than before it is another database: who works on the old
    /// one finishes there.
    ///
    /// `Unavailable` if there are as many tenant databases in use as may be.
    pub fn tenant(&self, slug: &Slug, dsn: &Dsn) -> Result<Database, Error> {
        self.own(slug, dsn, None)
    }

    /// As [`Self::tenant`], for a request that somebody waits for.
    ///
    /// # Errors
    /// As [`Self::tenant`].
    pub fn tenant_for_request(&self, slug: &Slug, dsn: &Dsn) -> Result<Database, Error> {
        self.own(slug, dsn, Some(Instant::now()))
    }

    fn own(&self, slug: &Slug, dsn: &Dsn, asked: Option<Instant>) -> Result<Database, Error> {
        let now = Instant::now();
        let fingerprint = dsn.fingerprint();
        let mut tenants = self.lock();
        if let Some(entry) = tenants.get_mut(slug)
            && entry.fingerprint == fingerprint
        {
            entry.last_used = now;
            entry.last_asked = asked.or(entry.last_asked);
            return Ok(entry.database.clone());
        }
        let mut retired: Vec<Entry> = tenants.remove(slug).into_iter().collect();
        self.make_room(&mut tenants, &mut retired, now);
        let made = if tenants.len() < self.settings.max_tenant_databases {
            let database = Database::lazy(dsn, self.tenant_limits());
            let entry = Entry { fingerprint, database: database.clone(), last_used: now, last_asked: asked };
            tenants.insert(slug.clone(), entry);
            Ok(database)
        } else {
            Err(Error::unavailable(Reason::Busy, "pools.tenant", "too many tenant databases are in use"))
        };
        drop(tenants);
        // Closing sockets is no work for the time under the lock.
        drop(retired);
        made
    }

    /// Lets a tenant's pool go: the tenant was deleted or has no database of its own any more.
    pub fn forget(&self, slug: &Slug) {
        let entry = self.lock().remove(slug);
        drop(entry);
    }

    /// Lets the pools go of all tenants for which `keep` says no.
    pub fn retain(&self, keep: impl Fn(&Slug) -> bool) {
        let mut tenants = self.lock();
        let gone: Vec<Slug> = tenants.keys().filter(|slug| !keep(slug)).cloned().collect();
        let entries: Vec<Entry> = gone.iter().filter_map(|slug| tenants.remove(slug)).collect();
        drop(tenants);
        // Closing sockets is no work for the time under the lock.
        drop(entries);
    }

    /// The databases of tenants to which there are connections now. Looking at them is no use of theirs: it keeps no pool.
    pub fn connected_tenants(&self) -> Vec<Database> {
        let tenants = self.lock();
        let connected = tenants.values().filter(|entry| entry.database.open() > 0);
        connected.map(|entry| entry.database.clone()).collect()
    }

    /// The databases of tenants that requests have used within that time. Jobs come to all of them; that says nothing.
    pub fn used_tenants(&self, within: Duration) -> Vec<Database> {
        let (tenants, now) = (self.lock(), Instant::now());
        let used = |entry: &&Entry| entry.last_asked.is_some_and(|asked| now.duration_since(asked) < within);
        tenants.values().filter(used).map(|entry| entry.database.clone()).collect()
    }

    /// How many tenants have a pool now.
    pub fn tenant_count(&self) -> usize {
        self.lock().len()
    }

    /// Closes all pools, waiting at most `deadline` for connections that are in use.
    pub async fn close(&self, deadline: Duration) {
        let mut all: Vec<Database> = self.lock().drain().map(|(_, entry)| entry.database).collect();
        all.extend(self.global.clone());
        futures::future::join_all(all.iter().map(|database| database.close(deadline))).await;
    }

    /// Takes out the pools that were idle for long and, while there is no room for one more, the one that was
    /// idle the longest. A pool in use stays.
    fn make_room(&self, tenants: &mut HashMap<Slug, Entry>, retired: &mut Vec<Entry>, now: Instant) {
        let idle = |entry: &Entry| entry.database.in_use() == 0;
        let stale: Vec<Slug> = tenants
            .iter()
            .filter(|(_, e)| idle(e) && now.duration_since(e.last_used) >= self.settings.tenant_idle)
            .map(|(slug, _)| slug.clone())
            .collect();
        retired.extend(stale.iter().filter_map(|slug| tenants.remove(slug)));
        while tenants.len() >= self.settings.max_tenant_databases {
            let oldest = tenants.iter().filter(|(_, e)| idle(e)).min_by_key(|(_, e)| e.last_used);
            let Some(slug) = oldest.map(|(slug, _)| slug.clone()) else { return };
            retired.extend(tenants.remove(&slug));
        }
    }

    fn tenant_limits(&self) -> Limits {
        Limits {
            max_open: self.settings.tenant_max_open.max(1),
            min_idle: 0,
            max_lifetime: self.settings.max_lifetime,
            idle_timeout: self.settings.idle_timeout,
            acquire: self.settings.acquire_timeout,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Slug, Entry>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dsn(host: &str) -> Dsn {
        Dsn::parse(&format!("postgres://app:hunter2@{host}/app")).unwrap()
    }

    fn slug(text: &str) -> Slug {
        Slug::parse(text).unwrap()
    }

    fn same(a: &Database, b: &Database) -> bool {
        a.is(b)
    }

    /// A job goes to every database; that must not make it one that people use.
    #[tokio::test]
    async fn only_a_request_makes_a_database_a_used_one() {
        let pools = Pools::new(PoolSettings::default(), None);
        let minute = Duration::from_secs(60);
        pools.tenant(&slug("acme"), &dsn("one.invalid")).unwrap();
        assert!(pools.used_tenants(minute).is_empty());
        pools.tenant_for_request(&slug("acme"), &dsn("one.invalid")).unwrap();
        pools.tenant(&slug("acme"), &dsn("one.invalid")).unwrap();
        assert_eq!(pools.used_tenants(minute).len(), 1);
    }

    #[tokio::test]
    async fn a_pool_is_kept_while_its_dsn_stays_and_replaced_when_it_changes() {
        let pools = Pools::new(PoolSettings::default(), None);
        assert!(pools.global().is_none());
        let first = pools.tenant(&slug("acme"), &dsn("one.invalid")).unwrap();
        assert!(same(&first, &pools.tenant(&slug("acme"), &dsn("one.invalid")).unwrap()));
        assert!(!same(&first, &pools.tenant(&slug("other"), &dsn("one.invalid")).unwrap()));
        assert!(!same(&first, &pools.tenant(&slug("acme"), &dsn("two.invalid")).unwrap()));
        assert_eq!(pools.tenant_count(), 2);
        pools.forget(&slug("acme"));
        assert_eq!(pools.tenant_count(), 1);
    }

    #[tokio::test]
    async fn their_number_is_bounded_and_the_longest_idle_goes_first() {
        let settings = PoolSettings { max_tenant_databases: 2, ..PoolSettings::default() };
        let pools = Pools::new(settings, None);
        let a = pools.tenant(&slug("a"), &dsn("h.invalid")).unwrap();
        let b = pools.tenant(&slug("b"), &dsn("h.invalid")).unwrap();
        assert!(same(&a, &pools.tenant(&slug("a"), &dsn("h.invalid")).unwrap()));
        pools.tenant(&slug("c"), &dsn("h.invalid")).unwrap();
        assert_eq!(pools.tenant_count(), 2);
        assert!(same(&a, &pools.tenant(&slug("a"), &dsn("h.invalid")).unwrap()), "a was used after b");
        assert!(!same(&b, &pools.tenant(&slug("b"), &dsn("h.invalid")).unwrap()));
    }

    #[tokio::test]
    async fn idle_pools_are_let_go() {
        let settings = PoolSettings { tenant_idle: Duration::ZERO, ..PoolSettings::default() };
        let pools = Pools::new(settings, None);
        pools.tenant(&slug("a"), &dsn("h.invalid")).unwrap();
        pools.tenant(&slug("b"), &dsn("h.invalid")).unwrap();
        assert_eq!(pools.tenant_count(), 1);
    }

    /// S111
    #[tokio::test]
    async fn no_part_of_a_dsn_is_printed() {
        let pools = Pools::new(PoolSettings::default(), Some(&dsn("secret-host.invalid")));
        pools.tenant(&slug("a"), &dsn("secret-host.invalid")).unwrap();
        let shown = format!("{pools:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("secret-host"), "{shown}");
    }
}
