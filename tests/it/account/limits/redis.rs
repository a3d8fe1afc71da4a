//! Nodes that count together in Redis, and go on alone when it is gone (S61, S114).

use metrics_exporter_prometheus::PrometheusBuilder;

use super::{
    Answer, Choice, REFUSED, TestRedis, Tokens, UNKNOWN, WRONG, World, call, capture, from, is, limited,
};
use super::{Duration, PASSWORD};

fn shared(redis: &TestRedis, settings: &[(&'static str, &str)]) -> Choice {
    let addr = redis.addr();
    limited(&[&[("CACHE_KIND", "redis"), ("REDIS_ADDR", addr.as_str())], settings].concat())
}

impl World {
    async fn me_from(&self, peer: &str) -> Answer {
        self.send(from(peer, call("GET", "/v1/me", None, ""))).await
    }
}

/// S61: on all APIs and nodes. Two worlds with the same master keys are two nodes.
#[tokio::test]
async fn nodes_share_their_limits() {
    let redis = TestRedis::start();
    let choice = shared(&redis, &[("RATE_LOGIN_LIMIT", "4"), ("RATE_MAX_REQUESTS", "100")]);
    let nodes = [World::with(choice.clone()).await, World::with(choice).await];
    for node in &nodes {
        node.register("acme", "ann@example.com").await;
    }
    for _ in 0..2 {
        for node in &nodes {
            assert!(is(&node.login_from("192.0.2.1", "ann@example.com", WRONG).await, UNKNOWN));
        }
    }
    for node in &nodes {
        let hashed = node.hashes.begun();
        assert!(is(&node.login_from("192.0.2.2", "ann@example.com", PASSWORD).await, REFUSED));
        assert_eq!(node.hashes.begun(), hashed);
    }
    // The limit on everything, too.
    let left = nodes[0].me_from("192.0.2.9").await.header("ratelimit-remaining").map(str::to_owned);
    assert_eq!(left.as_deref(), Some("99"));
    assert_eq!(nodes[1].me_from("192.0.2.9").await.header("ratelimit-remaining"), Some("98"));
    // A window that is over is over on both.
    for node in &nodes {
        node.clock.advance(Duration::from_secs(15 * 60));
    }
    assert_eq!(nodes[1].login_from("192.0.2.1", "ann@example.com", PASSWORD).await.status, 200);
    for node in nodes {
        node.end().await;
    }
}

/// S111, S112: what is in Redis names nobody, and all of it goes away by itself.
#[tokio::test]
async fn redis_holds_counters_without_names_and_not_for_ever() {
    let redis = TestRedis::start();
    let world = World::with(shared(&redis, &[("REDIS_PREFIX", "test:")])).await;
    world.login_from("192.0.2.1", "ann@example.com", WRONG).await;
    let mut content = redis.content();
    // Lives for a second: what the connection was tried with.
    content.retain(|(name, _, _)| !name.ends_with(":0"));
    assert_eq!(content.len(), 3, "the limit on everything, the address, the account: {content:?}");
    for (name, lives, count) in &content {
        assert!(name.starts_with("test:rl:"), "{name}");
        let longest = 15 * 60 * 1_000 + 10_000;
        assert!((0..=longest).contains(lives), "{name} lives {lives} ms");
        assert_eq!(count.parse::<u32>().ok(), Some(1));
        for secret in ["ann", "acme", "192", "login", WRONG] {
            assert!(!name.contains(secret), "{name}");
        }
    }
    world.end().await;
}

/// S114: when Redis is gone the login pool goes on in this process, with what it has counted so far, and the limit on
/// everything lets through. Told once each way, counted in a metric.
#[tokio::test]
async fn without_redis_logins_stay_limited_and_everything_else_goes_on() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let figures = recorder.handle();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut redis = TestRedis::start();
    let world = World::with(shared(&redis, &[("RATE_LOGIN_LIMIT", "4"), ("RATE_MAX_REQUESTS", "3")])).await;
    world.register("acme", "ann@example.com").await;
    world.register("acme", "bob@example.com").await;
    for _ in 0..2 {
        assert!(is(&world.login_from("192.0.2.1", "ann@example.com", WRONG).await, UNKNOWN));
    }
    let (captured, guard) = capture();
    redis.kill();
    // The limit on everything lets through, beyond its three.
    for _ in 0..10 {
        let answer = world.me_from("192.0.2.1").await;
        assert_eq!((answer.status.as_u16(), answer.header("ratelimit-limit")), (401, None));
    }
    // Two of four were used before.
    for _ in 0..2 {
        assert!(is(&world.login_from("192.0.2.2", "ann@example.com", WRONG).await, UNKNOWN));
    }
    assert!(is(&world.login_from("192.0.2.3", "ann@example.com", PASSWORD).await, REFUSED));
    assert_eq!(world.login_from("192.0.2.3", "bob@example.com", PASSWORD).await.status, 200);
    for _ in 0..3 {
        world.limits.tend().await;
    }
    assert_eq!(world.limits.redis_is_up(), Some(false));
    let rendered = figures.render();
    for figure in [
        "hellojohn_redis_up 0",
        "hellojohn_rate_limited_total{pool=\"login\"} 1",
        "hellojohn_rate_limit_fallbacks_total{pool=\"login\"} 3",
        "hellojohn_rate_limit_fallbacks_total{pool=\"global\"} 14",
    ] {
        assert!(rendered.contains(figure), "{figure} in {rendered}");
    }
    // Back, and empty: what this process has counted still holds.
    redis.start_again();
    world.limits.tend().await;
    assert_eq!(world.limits.redis_is_up(), Some(true));
    assert!(figures.render().contains("hellojohn_redis_up 1"));
    assert!(is(&world.login_from("192.0.2.4", "ann@example.com", PASSWORD).await, REFUSED));
    for left in ["2", "1", "0"] {
        assert_eq!(world.me_from("192.0.2.1").await.header("ratelimit-remaining"), Some(left));
    }
    assert!(is(&world.me_from("192.0.2.1").await, REFUSED));
    drop(guard);
    let lines = captured.lines();
    let about = |part: &str| {
        lines.iter().filter(|line| line["message"].as_str().unwrap_or_default().contains(part)).count()
    };
    assert_eq!((about("Redis does not answer"), about("Redis answers again")), (1, 1), "{lines:?}");
    world.end().await;
}

/// A Redis that is down at the start is no reason not to start, nor not to be ready.
#[tokio::test]
async fn a_node_starts_without_its_redis() {
    let mut redis = TestRedis::start();
    redis.kill();
    let world = World::with(shared(&redis, &[("RATE_LOGIN_LIMIT", "1")])).await;
    let tokens: Tokens = world.session("acme", "ann@example.com").await;
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200);
    assert!(is(&world.login_from("192.0.2.1", "ann@example.com", WRONG).await, UNKNOWN));
    assert!(is(&world.login_from("192.0.2.1", "ann@example.com", PASSWORD).await, REFUSED));
    redis.start_again();
    world.limits.tend().await;
    assert_eq!(world.limits.redis_is_up(), Some(true));
    world.end().await;
}
