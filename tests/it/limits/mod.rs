//! Counters of rate limits: in memory and in Redis they behave the same; and what happens when Redis does not answer.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod behaviour;
mod outages;
mod secrets;

use std::collections::BTreeMap;
use std::time::Duration;

use hellojohn::config::{Cache, Inputs};
use hellojohn::domain::fixed_window::FixedWindow;
use hellojohn::store::limiter::{Counter, RedisCounters, Take};
use hellojohn_control::Timestamp;

use crate::harness::redis::TestRedis;

const WINDOW: Duration = Duration::from_secs(60);

fn now() -> Timestamp {
    Timestamp::from_secs(1_800_000_000)
}

fn counter(name: u8, limit: u32, at: Timestamp) -> Counter {
    Counter { key: [name; 16], limit, window: FixedWindow::at(at, WINDOW) }
}

fn one(name: u8, limit: u32, at: Timestamp) -> Take {
    Take { address: counter(name, limit, at), account: None }
}

fn two(address: (u8, u32), account: (u8, u32), at: Timestamp) -> Take {
    let [address, account] = [address, account].map(|(name, limit)| counter(name, limit, at));
    Take { address, account: Some(account) }
}

/// The section of a configuration with these settings.
fn cache(settings: &[(&str, &str)]) -> Cache {
    let fixed = [
        ("SIGNING_MASTER_KEY", "0123456789abcdef0123456789abcdef"),
        ("SECRETBOX_MASTER_KEY", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="),
        ("CACHE_KIND", "redis"),
    ];
    let all = fixed.iter().chain(settings);
    let env: BTreeMap<String, String> =
        all.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    hellojohn::config::load(&Inputs { env, ..Inputs::default() }).unwrap().config.cache
}

/// Counters in this Redis, not connected yet.
fn counters(redis: &TestRedis) -> RedisCounters {
    RedisCounters::new(&cache(&[("REDIS_ADDR", &redis.addr())])).unwrap().unwrap()
}
