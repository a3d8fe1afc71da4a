//! Counters in Redis, where all nodes count together.
//!
//! One round trip for all counters of a request, by a script that Redis runs as one step. A request never waits for a
//! connection: it is made by [`RedisCounters::tend`], which somebody calls again and again, and is let go at the first
//! failure, so that a Redis that hangs holds up the requests that are with it then, for [`ANSWER`], and none after them.
//! Must never put what Redis says into a log line: it repeats what it was sent, passwords too.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use hellojohn_control::Timestamp;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _,
    RedisConnectionInfo, RedisError, Script, ScriptInvocation, TlsCertificates,
};
use tokio::time::timeout;

use super::{Counter, Counters, Take, Unavailable, Verdict};
use crate::config::Cache;
use crate::domain::fixed_window::FixedWindow;

/// How long Redis may take to answer.
pub const ANSWER: Duration = Duration::from_millis(150);
/// How long a connection may take to be made. Nobody but [`RedisCounters::tend`] waits for it.
const CONNECT: Duration = Duration::from_secs(1);
/// For how much longer than its window a counter is kept: a node's clock may be behind.
const GRACE: Duration = Duration::from_secs(10);

/// KEYS: the counters. ARGV: of each its limit, and the milliseconds that it lives. Answers how often each had been taken.
const TAKE: &str = "
local before, full = {}, false
for i, key in ipairs(KEYS) do
  before[i] = tonumber(redis.call('GET', key) or '0')
  if before[i] >= tonumber(ARGV[2 * i - 1]) then full = true end
end
if not full then
  for i, key in ipairs(KEYS) do
    redis.call('INCR', key)
    redis.call('PEXPIRE', key, ARGV[2 * i])
  end
end
return before";

/// KEYS: the counters.
const GIVE_BACK: &str = "
for _, key in ipairs(KEYS) do
  if tonumber(redis.call('GET', key) or '0') > 0 then redis.call('DECR', key) end
end";

/// The settings do not make a client of Redis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("REDIS_ADDR, REDIS_TLS_CA_FILE: cannot be used ({0})")]
pub struct UnusableRedis(String);

/// Counters in Redis.
pub struct RedisCounters {
    client: Client,
    /// There while Redis answers.
    link: ArcSwapOption<MultiplexedConnection>,
    /// Whether it was told that Redis does not answer.
    told: AtomicBool,
    prefix: String,
    take: Script,
    give_back: Script,
}

impl RedisCounters {
    /// Counters in the Redis that `cache` names; `None` where it names none. Connects to nothing.
    ///
    /// # Errors
    /// [`UnusableRedis`].
    pub fn new(cache: &Cache) -> Result<Option<Self>, UnusableRedis> {
        let Some(addr) = &cache.redis_addr else { return Ok(None) };
        let unusable = |error: RedisError| UnusableRedis(words(&error));
        let (host, port) = (addr.host.clone(), addr.port);
        let place = if addr.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let mut login = RedisConnectionInfo::default().set_db(cache.db().into()).set_skip_set_lib_name();
        if let Some(name) = &addr.username {
            login = login.set_username(name);
        }
        if let Some(password) = &addr.password {
            login = login.set_password(password.expose());
        }
        let info: ConnectionInfo = place.into_connection_info().map_err(unusable)?.set_redis_settings(login);
        let client = if addr.tls {
            let root_cert = cache.redis_tls_ca_file.as_ref().map(|pem| pem.text.expose_bytes().to_vec());
            Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert })
        } else {
            Client::open(info)
        };
        Ok(Some(Self {
            client: client.map_err(unusable)?,
            link: ArcSwapOption::empty(),
            told: AtomicBool::new(false),
            prefix: cache.redis_prefix.clone(),
            take: Script::new(TAKE),
            give_back: Script::new(GIVE_BACK),
        }))
    }

    /// Whether Redis answered when it was asked last.
    pub fn is_up(&self) -> bool {
        self.link.load().is_some()
    }

    /// Connects where there is no connection, and asks where there is one. Takes a bit over a second at most.
    pub async fn tend(&self) {
        let link = match self.link.load_full() {
            Some(link) => link,
            None => match self.connect().await {
                Ok(link) => Arc::new(link),
                Err(why) => return self.lost(None, &why),
            },
        };
        // The same script as for everybody: a Redis that answers and cannot be written to is of no use.
        let window = FixedWindow::at(Timestamp::default(), GRACE);
        let name = Counter { key: [0; 16], limit: u32::MAX, window };
        let mut probe = self.take.prepare_invoke();
        probe.key(self.name(&name)).arg(name.limit).arg(1_000);
        match self.ask::<Vec<u32>>(&link, &probe).await {
            Ok(_) => self.found(&link),
            Err(why) => self.lost(Some(&link), &why),
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(ANSWER));
        match timeout(CONNECT, self.client.get_multiplexed_async_connection_with_config(&config)).await {
            Ok(connected) => connected.map_err(|error| words(&error)),
            Err(_) => Err("no connection in time".to_owned()),
        }
    }

    async fn ask<T: redis::FromRedisValue>(
        &self,
        link: &MultiplexedConnection,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, String> {
        let mut link = link.clone();
        match timeout(ANSWER, script.invoke_async(&mut link)).await {
            Ok(answer) => answer.map_err(|error| words(&error)),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    /// As [`Self::ask`] on the connection that there is; lets it go when it fails.
    async fn run<T: redis::FromRedisValue>(&self, script: &ScriptInvocation<'_>) -> Result<T, Unavailable> {
        let link = self.link.load_full().ok_or(Unavailable)?;
        self.ask(&link, script).await.map_err(|why| {
            self.lost(Some(&link), &why);
            Unavailable
        })
    }

    fn found(&self, link: &Arc<MultiplexedConnection>) {
        self.link.store(Some(Arc::clone(link)));
        metrics::gauge!("hellojohn_redis_up").set(1.0);
        if self.told.swap(false, Ordering::Relaxed) {
            tracing::info!("Redis answers again; the nodes count together");
        }
    }

    /// Lets the connection go, unless there is another one already.
    fn lost(&self, link: Option<&Arc<MultiplexedConnection>>, why: &str) {
        if let Some(link) = link {
            let current = self.link.load();
            if current.as_ref().is_some_and(|current| !Arc::ptr_eq(current, link)) {
                return;
            }
            self.link.compare_and_swap(&current, None);
        }
        metrics::gauge!("hellojohn_redis_up").set(0.0);
        if !self.told.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                why,
                "Redis does not answer; the limit on everything is off, the others are kept by each node"
            );
        }
    }

    fn name(&self, counter: &Counter) -> String {
        use fmt::Write as _;
        let mut name = String::with_capacity(self.prefix.len() + 3 + 32 + 1 + 12);
        name.push_str(&self.prefix);
        name.push_str("rl:");
        for byte in counter.key {
            // Writing to a string does not fail.
            let _infallible = write!(name, "{byte:02x}");
        }
        let _infallible = write!(name, ":{}", counter.window.index());
        name
    }
}

impl Counters for RedisCounters {
    async fn take(&self, take: &Take, now: Timestamp) -> Result<Verdict, Unavailable> {
        let mut script = self.take.prepare_invoke();
        for counter in take.each() {
            let lives = counter.window.remaining(now).saturating_add(GRACE).as_millis();
            let lives = u64::try_from(lives).unwrap_or(u64::MAX);
            script.key(self.name(counter)).arg(counter.limit).arg(lives);
        }
        let before: Vec<u32> = self.run(&script).await?;
        let address = before.first().copied().ok_or(Unavailable)?;
        Ok(Verdict::of(take, address, before.get(1).copied()))
    }

    async fn give_back(&self, take: &Take) -> Result<(), Unavailable> {
        let mut script = self.give_back.prepare_invoke();
        for counter in take.each() {
            script.key(self.name(counter));
        }
        self.run(&script).await
    }
}

impl fmt::Debug for RedisCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisCounters").field("up", &self.is_up()).finish_non_exhaustive()
    }
}

/// What kind of error it is. Its own text repeats what a server said.
fn words(error: &RedisError) -> String {
    if error.is_timeout() {
        "no answer in time".to_owned()
    } else if error.is_connection_refusal() {
        "the connection is refused".to_owned()
    } else if error.is_connection_dropped() {
        "the connection was closed".to_owned()
    } else {
        match error.code() {
            Some(code) => format!("{} ({code})", error.category()),
            None => error.category().to_owned(),
        }
    }
}
