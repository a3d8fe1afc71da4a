//! A Redis that is gone, hangs, is full or may not be written to.

use std::time::{Duration, Instant};

use hellojohn::store::limiter::redis::ANSWER;
use hellojohn::store::limiter::{Counters as _, RedisCounters, Unavailable};

use super::{cache, counters, now, one};
use crate::harness::node::until;
use crate::harness::redis::TestRedis;

#[tokio::test]
async fn without_a_connection_nobody_waits_for_one() {
    let redis = TestRedis::start();
    let counters = counters(&redis);
    // Not connected yet: refused at once, although Redis is there.
    assert_eq!(counters.take(&one(1, 3, now()), now()).await, Err(Unavailable));
    counters.tend().await;
    assert!(counters.take(&one(1, 3, now()), now()).await.unwrap().admitted);
}

#[tokio::test]
async fn a_redis_that_dies_is_found_again_when_it_is_back() {
    let mut redis = TestRedis::start();
    let counters = counters(&redis);
    counters.tend().await;
    assert!(counters.take(&one(1, 1, now()), now()).await.unwrap().admitted);
    redis.kill();
    assert_eq!(counters.take(&one(1, 1, now()), now()).await, Err(Unavailable));
    assert!(!counters.is_up());
    counters.tend().await;
    assert!(!counters.is_up());
    redis.start_again();
    counters.tend().await;
    assert!(counters.is_up());
    // It has forgotten the script and what was counted.
    assert!(counters.take(&one(1, 1, now()), now()).await.unwrap().admitted);
}

/// A request waits once at most: after that the connection is gone, and nobody asks again before `tend` has an answer.
#[tokio::test]
async fn a_redis_that_hangs_holds_up_only_those_that_are_with_it() {
    let redis = TestRedis::start();
    let counters = counters(&redis);
    counters.tend().await;
    redis.hang();
    let began = Instant::now();
    let takes = (0..50).map(|name| {
        let counters = &counters;
        async move { counters.take(&one(name, 3, now()), now()).await }
    });
    let answers = futures::future::join_all(takes).await;
    assert!(answers.iter().all(|answer| *answer == Err(Unavailable)));
    assert!(began.elapsed() >= ANSWER && !counters.is_up());
    // A thousand more in less time than a tenth of them would wait.
    let began = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(counters.take(&one(1, 3, now()), now()).await, Err(Unavailable));
    }
    assert!(began.elapsed() < 100 * ANSWER, "{:?}", began.elapsed());
    // The kernel takes connections for it; that is no answer.
    let began = Instant::now();
    counters.tend().await;
    assert!(!counters.is_up() && began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    redis.wake();
    assert_eq!(counters.take(&one(1, 3, now()), now()).await, Err(Unavailable), "nobody has asked again");
    until("Redis answers again", || async {
        counters.tend().await;
        counters.is_up()
    })
    .await;
    assert!(counters.take(&one(100, 3, now()), now()).await.unwrap().admitted);
}

/// It answers, and cannot count: that is down, too.
#[tokio::test]
async fn a_redis_that_is_full_or_may_not_be_written_to_counts_for_nothing() {
    let redis = TestRedis::start();
    let mut by_hand = redis.connection();
    for (broken, mended) in
        [("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"), ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE")]
    {
        let mut run = |command: &str| {
            let (name, words) = command.split_once(' ').unwrap();
            redis::cmd(name).arg(words.split(' ').collect::<Vec<_>>()).exec(&mut by_hand).unwrap();
        };
        let counters = counters(&redis);
        counters.tend().await;
        assert!(counters.is_up());
        run(broken);
        assert_eq!(counters.take(&one(1, 3, now()), now()).await, Err(Unavailable), "{broken}");
        counters.tend().await;
        assert!(!counters.is_up(), "{broken}");
        run(mended);
        counters.tend().await;
        assert!(counters.is_up(), "{mended}");
    }
}

/// `rediss://`: a server is believed that the named authority vouches for, and no other.
#[tokio::test]
async fn over_tls_only_a_verified_server_is_asked() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let made =
        |name: &str| rcgen::generate_simple_self_signed(["localhost".to_owned(), name.to_owned()]).unwrap();
    let (ours, other) = (made("127.0.0.1"), made("127.0.0.1"));
    let certificate = write("redis.pem", ours.cert.pem());
    let redis = TestRedis::with_tls(&certificate, &write("redis-key.pem", ours.signing_key.serialize_pem()));
    let url = format!("rediss://{}", redis.addr());
    let with = |ca: &str| {
        RedisCounters::new(&cache(&[("REDIS_URL", &url), ("REDIS_TLS_CA_FILE", ca)])).unwrap().unwrap()
    };
    let counters = with(&certificate);
    counters.tend().await;
    assert!(counters.take(&one(1, 3, now()), now()).await.unwrap().admitted);
    let wrong =
        [with(&other.cert.pem()), RedisCounters::new(&cache(&[("REDIS_URL", &url)])).unwrap().unwrap()];
    for counters in wrong {
        counters.tend().await;
        assert!(!counters.is_up());
    }
}
