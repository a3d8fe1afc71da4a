//! How often somebody may ask (spec §10, S61, S114).
//!
//! Two kinds of limits. The one on everything counts requests by address and route; where Redis is to count and does not
//! answer, it lets through. The pools count what is guessed or costs something, by address and by account; without Redis
//! they go on in this process. Owns which limits there are and what counts. Must never hand a name of somebody to the
//! store, and must be asked before a password is hashed.
//!
//! In a pool of guesses a request takes its place beforehand, so that parallel ones cannot pass together, and gives it
//! back unless it was a wrong guess: a whole office may log in from one address, and what a database that is down makes
//! of a login counts for nothing.

use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::{Slug, Timestamp};

use super::{Code, Error, RateLimit, Result};
use crate::config::{CacheKind, Config, Rate};
use crate::crypto::CipherFailure;
use crate::crypto::subject_key::SubjectKeys;
use crate::domain::clock::Clock;
use crate::domain::email::Email;
use crate::domain::fixed_window::FixedWindow;
use crate::domain::user::UserId;
use crate::store::limiter::{
    Counter, Counters as _, MemoryCounters, RedisCounters, Standing, Take, UnusableRedis, Verdict,
};

/// How many times as often an address may do what an account may: people share addresses.
pub const ADDRESS_FACTOR: u32 = 10;
/// Counters of the limit on everything that fit into memory: 2 MiB. Whoever finds no room is let through once.
const GLOBAL_PLACES: usize = 65_536;
/// Counters of the pools that fit into memory: 4 MiB.
const POOL_PLACES: usize = 131_072;
/// How the limit on everything is called in metrics.
const GLOBAL: &str = "global";

/// What is limited besides the number of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pool {
    /// Passwords, wherever one is asked for.
    Login,
    /// New accounts; the limits of `Login`, counted apart.
    Register,
    /// Mails that reset a password, and those of a registration that only a mail tells the outcome of.
    Forgot,
    /// Mails that verify an address.
    Verify,
    /// Enrolments of a second factor.
    MfaEnroll,
    /// Codes that confirm an enrolment.
    MfaVerify,
    /// Codes at a login.
    MfaChallenge,
    /// Codes that switch a second factor off.
    MfaDisable,
}

impl Pool {
    /// Every pool.
    pub const ALL: [Self; 8] = [
        Self::Login,
        Self::Register,
        Self::Forgot,
        Self::Verify,
        Self::MfaEnroll,
        Self::MfaVerify,
        Self::MfaChallenge,
        Self::MfaDisable,
    ];

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::Register => "register",
            Self::Forgot => "forgot",
            Self::Verify => "verify",
            Self::MfaEnroll => "mfa_enroll",
            Self::MfaVerify => "mfa_verify",
            Self::MfaChallenge => "mfa_challenge",
            Self::MfaDisable => "mfa_disable",
        }
    }

    /// How often an account may in which window.
    fn rule(self, rate: &Rate) -> (u32, Duration) {
        match self {
            Self::Login | Self::Register => (rate.login_limit, rate.login_window),
            Self::Forgot => (rate.forgot_limit, rate.forgot_window),
            Self::Verify => (rate.verify_limit, rate.verify_window),
            Self::MfaEnroll => (rate.mfa_enroll_limit, rate.mfa_enroll_window),
            Self::MfaVerify => (rate.mfa_verify_limit, rate.mfa_verify_window),
            Self::MfaChallenge => (rate.mfa_challenge_limit, rate.mfa_challenge_window),
            Self::MfaDisable => (rate.mfa_disable_limit, rate.mfa_disable_window),
        }
    }
}

/// The account that a request is about, whether it exists or not.
#[derive(Debug, Clone, Copy)]
pub enum Account<'a> {
    /// By its address, where a password is compared: the login knows no more before it has looked.
    Email(&'a Slug, &'a Email),
    /// By its id.
    User(&'a Slug, UserId),
}

/// There are no limits to be had from this configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnusableLimits {
    /// Redis.
    #[error(transparent)]
    Redis(#[from] UnusableRedis),
    /// The key for names.
    #[error(transparent)]
    Key(#[from] CipherFailure),
}

/// The limits. Cheap to clone; there are none with `RATE_ENABLED=0`.
#[derive(Debug, Clone)]
pub struct Limits(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    rate: Rate,
    clock: Arc<dyn Clock>,
    names: SubjectKeys,
    global: MemoryCounters,
    pools: MemoryCounters,
    redis: Option<RedisCounters>,
}

impl Limits {
    /// No limits.
    pub fn none() -> Self {
        Self(None)
    }

    /// The limits of `config`. Connects to nothing: [`Self::tend`] does.
    ///
    /// # Errors
    /// [`UnusableLimits`].
    pub fn new(config: &Config, clock: Arc<dyn Clock>) -> std::result::Result<Self, UnusableLimits> {
        if !config.rate.enabled {
            return Ok(Self::none());
        }
        let redis = match config.cache.kind {
            CacheKind::Memory => None,
            CacheKind::Redis => RedisCounters::new(&config.cache)?,
        };
        // Where Redis counts everything, this process does not.
        let global_places = if redis.is_some() { 0 } else { GLOBAL_PLACES };
        Ok(Self(Some(Arc::new(Inner {
            rate: config.rate.clone(),
            clock,
            names: SubjectKeys::new(config.keys.secretbox_master_key.expose())?,
            global: MemoryCounters::new(global_places),
            pools: MemoryCounters::new(POOL_PLACES),
            redis,
        }))))
    }

    /// Whether Redis counts and answers; `None` where it is not to count.
    pub fn redis_is_up(&self) -> Option<bool> {
        self.0.as_ref()?.redis.as_ref().map(RedisCounters::is_up)
    }

    /// Brings the connection to Redis up, or finds out that it is down. Call it again and again.
    pub async fn tend(&self) {
        if let Some(redis) = self.0.as_ref().and_then(|inner| inner.redis.as_ref()) {
            redis.tend().await;
        }
    }

    /// Counts a request to a route; how the limit stands, where it is known.
    ///
    /// # Errors
    /// `too_many_requests`.
    pub async fn pass(&self, ip: IpAddr, route: &str) -> Result<Option<RateLimit>> {
        let Some(inner) = &self.0 else { return Ok(None) };
        let now = inner.clock.now();
        let key = inner.names.of(&[GLOBAL.as_bytes(), route.as_bytes(), &network(ip)]);
        let window = FixedWindow::at(now, inner.rate.window);
        let take = Take { address: Counter { key, limit: inner.rate.max_requests, window }, account: None };
        let verdict = match &inner.redis {
            None => inner.global.take_now(&take, now),
            Some(redis) => match redis.take(&take, now).await {
                Ok(verdict) => verdict,
                Err(_unavailable) => {
                    fell_back(GLOBAL);
                    return Ok(None);
                }
            },
        };
        if verdict.admitted {
            Ok(Some(stands(&verdict.standing, now)))
        } else {
            Err(refused(GLOBAL, &verdict, now))
        }
    }

    /// Counts something that counts whatever comes of it.
    ///
    /// # Errors
    /// `too_many_requests`.
    pub async fn spend(&self, pool: Pool, ip: IpAddr, account: Option<Account<'_>>) -> Result<()> {
        match &self.0 {
            Some(inner) => inner.take(pool, ip, account).await.map(drop),
            None => Ok(()),
        }
    }

    /// Carries out a guess at a password or a code: takes its place before, and gives it back unless the guess was wrong.
    ///
    /// # Errors
    /// `too_many_requests`, before `work` has begun; else what `work` ends with.
    pub async fn guess<T>(
        &self,
        pool: Pool,
        ip: IpAddr,
        account: Option<Account<'_>>,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let Some(inner) = &self.0 else { return work.await };
        let taken = inner.take(pool, ip, account).await?;
        // Whoever hangs up while it goes on has guessed.
        let outcome = work.await;
        if !outcome.as_ref().err().is_some_and(was_wrong) {
            inner.give_back(&taken).await;
        }
        outcome
    }
}

/// Whether somebody did not know what they should.
fn was_wrong(error: &Error) -> bool {
    matches!(error.code(), Code::InvalidCredentials | Code::InvalidMfaCode | Code::InvalidMailToken)
}

impl Inner {
    async fn take(&self, pool: Pool, ip: IpAddr, account: Option<Account<'_>>) -> Result<Take> {
        let now = self.clock.now();
        let (limit, window) = pool.rule(&self.rate);
        let window = FixedWindow::at(now, window);
        let name = |parts: [&[u8]; 3]| {
            let [kind, place, whose] = parts;
            self.names.of(&[pool.as_str().as_bytes(), kind, place, whose])
        };
        let account = account.map(|account| match account {
            Account::Email(tenant, email) => {
                name([b"email", tenant.as_str().as_bytes(), email.key().as_bytes()])
            }
            Account::User(tenant, user) => name([b"user", tenant.as_str().as_bytes(), user.0.as_bytes()]),
        });
        let address = Counter {
            key: name([b"address", b"", &network(ip)]),
            limit: limit.saturating_mul(ADDRESS_FACTOR),
            window,
        };
        let take = Take { address, account: account.map(|key| Counter { key, limit, window }) };
        let verdict = self.verdict(pool, &take, now).await;
        if verdict.admitted { Ok(take) } else { Err(refused(pool.as_str(), &verdict, now)) }
    }

    /// Counted here in any case, so that a Redis that goes away or forgets does not open the doors anew.
    async fn verdict(&self, pool: Pool, take: &Take, now: Timestamp) -> Verdict {
        let own = self.pools.take_now(take, now);
        let Some(redis) = self.redis.as_ref().filter(|_| own.admitted) else { return own };
        match redis.take(take, now).await {
            Ok(common) => {
                if !common.admitted {
                    self.pools.give_back_now(take);
                }
                common
            }
            Err(_unavailable) => {
                fell_back(pool.as_str());
                own
            }
        }
    }

    async fn give_back(&self, take: &Take) {
        self.pools.give_back_now(take);
        if let Some(redis) = &self.redis {
            // Not worth failing for: the window ends.
            let _unavailable = redis.give_back(take).await;
        }
    }
}

/// What counts as one address: of IPv6 the network, because whoever has one address has all of it.
fn network(ip: IpAddr) -> [u8; 9] {
    let mut name = [0; 9];
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            name[0] = 4;
            name[1..5].copy_from_slice(&v4.octets());
        }
        IpAddr::V6(v6) => {
            name[0] = 6;
            name[1..].copy_from_slice(&v6.octets()[..8]);
        }
    }
    name
}

fn fell_back(pool: &'static str) {
    metrics::counter!("hellojohn_rate_limit_fallbacks_total", "pool" => pool).increment(1);
}

fn refused(pool: &'static str, verdict: &Verdict, now: Timestamp) -> Error {
    metrics::counter!("hellojohn_rate_limited_total", "pool" => pool).increment(1);
    Error::rate_limited(stands(&verdict.standing, now)).context(pool)
}

fn stands(standing: &Standing, now: Timestamp) -> RateLimit {
    RateLimit {
        limit: standing.limit.into(),
        remaining: standing.remaining.into(),
        reset: standing.window.remaining(now),
    }
}

#[cfg(test)]
mod tests;
