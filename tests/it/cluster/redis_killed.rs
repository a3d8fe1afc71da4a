//! The Redis that three nodes count in is killed under load and comes back (S61, S114; spec §10).

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};

use super::{PASSWORD, everywhere, make_acme};
use crate::harness::api::{Answer, Api};
use crate::harness::cluster::{Cluster, NAMES, PATIENCE};
use crate::harness::redis::TestRedis;

/// Wrong passwords that an account has.
const LOGINS: usize = 4;
/// Requests to a route that an address has.
const REQUESTS: usize = 20;
/// People who log in again and again.
const CLIENTS: u8 = 6;

/// One request from an address.
async fn from(api: &Api, address: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
    let body = body.map(|body| body.to_string().into_bytes());
    api.try_send(method, path, &[("x-forwarded-for", address)], body).await.unwrap()
}

async fn log_in(api: &Api, address: &str, email: &str, password: &str) -> (u16, String) {
    let body = json!({"tenant_id": "acme", "client_id": "web", "email": email, "password": password});
    let answer = from(api, address, Method::POST, "/v1/auth/login", Some(body)).await;
    (answer.status, answer.code())
}

fn wrong() -> (u16, String) {
    (401, "invalid_credentials".to_owned())
}

fn too_many() -> (u16, String) {
    (429, "too_many_requests".to_owned())
}

/// Logs in at the nodes in turn, each time from another address, until told to stop; counts, and accepts nothing but success.
async fn keep_logging_in(nodes: Vec<Api>, client: u8, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) {
    let email = format!("client-{client}@example.test");
    for number in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let address = Ipv4Addr::from_bits(u32::from(client + 100) << 24 | number).to_string();
        let node = &nodes[number as usize % nodes.len()];
        let told = log_in(node, &address, &email, PASSWORD).await;
        assert_eq!(told, (200, String::new()), "login {number} of {email}");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until so many more have logged in.
async fn more(done: &AtomicU64, logins: u64) {
    let wanted = done.load(Ordering::Relaxed) + logins;
    let deadline = Instant::now() + PATIENCE;
    while done.load(Ordering::Relaxed) < wanted {
        assert!(Instant::now() < deadline, "logins do not go on");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

/// Requests that are left to an address at the limit on everything, as the nodes tell in turn; nothing where nobody counts.
async fn left(nodes: &[Api], address: &str) -> Vec<Option<String>> {
    let mut left = Vec::new();
    for api in nodes {
        let answer = from(api, address, Method::GET, "/v1/me", None).await.expect(401);
        left.push(answer.header("ratelimit-remaining").map(str::to_owned));
    }
    left
}

/// Waits until every node says that of its Redis, in `/readyz` and in its metrics, and stays ready.
async fn redis_is(cluster: &Cluster, up: bool) {
    for name in NAMES {
        cluster
            .until(name, "knows of Redis", |answer| {
                assert_eq!(answer.status, 200, "no reason not to serve people");
                (answer.json()["checks"]["cache"] == "ok") == up
            })
            .await;
        let figure = if up { "hellojohn_redis_up 1" } else { "hellojohn_redis_up 0" };
        let metrics = cluster.api(name).get("/metrics").await.expect(200).body;
        let metrics = String::from_utf8(metrics).unwrap();
        assert!(metrics.lines().any(|line| line == figure), "{name}: {figure}");
        assert!(up || metrics.contains("hellojohn_rate_limit_fallbacks_total{"), "{name}");
    }
}

/// How often each node has said that Redis is gone, and that it is back.
fn told(cluster: &Cluster) -> Vec<(usize, usize)> {
    let of = |name| {
        let log = std::fs::read_to_string(cluster.log(name)).unwrap();
        let about = |what: &str| log.lines().filter(|line| line.contains(what)).count();
        (about("Redis does not answer"), about("Redis answers again"))
    };
    NAMES.map(of).to_vec()
}

async fn limited(redis: &TestRedis) -> Cluster {
    let mut cluster = Cluster::prepare().await;
    for (name, value) in [
        ("RATE_ENABLED", "1"),
        ("CACHE_KIND", "redis"),
        ("REDIS_ADDR", redis.addr().as_str()),
        // Windows that do not end in between.
        ("RATE_WINDOW", "1d"),
        ("RATE_MAX_REQUESTS", REQUESTS.to_string().as_str()),
        ("RATE_LOGIN_WINDOW", "1d"),
        ("RATE_LOGIN_LIMIT", LOGINS.to_string().as_str()),
        // The hold on an account stays out of the way.
        ("AUTH_MAX_FAILED_LOGINS", "100"),
        ("AUTH_LOCK_DURATION", "1h"),
        ("TRUSTED_PROXIES", "127.0.0.1/32"),
        ("ARGON2_MEMORY_KIB", "8"),
        ("ARGON2_ITERATIONS", "1"),
        ("ARGON2_PARALLELISM", "1"),
    ] {
        cluster.set(name, value);
    }
    cluster.start_all().await;
    cluster
}

/// S114: nobody who knows the password is refused while it dies, is away and comes back. Without it each node goes on with its own
/// count of wrong passwords, the limit on everything lets through, and each outage is told once; with it they count together again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logins_go_on_and_stay_limited_when_redis_is_killed_under_load() {
    let mut redis = TestRedis::start();
    let cluster = limited(&redis).await;
    let token = cluster.mint_token();
    everywhere(&cluster, make_acme(&cluster, &token).await).await;
    let nodes = NAMES.map(|name| cluster.api(name)).to_vec();
    let people = (0..CLIENTS).map(|client| format!("client-{client}@example.test"));
    for (number, email) in people.chain(["ann@example.test".into(), "carl@example.test".into()]).enumerate() {
        let body = json!({"tenant_id": "acme", "client_id": "web", "email": email, "password": PASSWORD});
        let address = format!("198.51.100.{number}");
        from(&nodes[0], &address, Method::POST, "/v1/auth/register", Some(body)).await.expect(201);
    }
    redis_is(&cluster, true).await;
    let count_together = |left: Vec<Option<String>>| {
        let expected = (1..=3).map(|used| Some((REQUESTS - used).to_string())).collect::<Vec<_>>();
        assert_eq!(left, expected);
    };
    count_together(left(&nodes, "192.0.2.1").await);
    let (ann, carl) = ("ann@example.test", "carl@example.test");
    // Two of four at the first node, one at the second.
    for node in [0, 0, 1] {
        assert_eq!(log_in(&nodes[node], "192.0.2.2", ann, "wrong wrong wrong").await, wrong());
    }

    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let load: Vec<_> = (0..CLIENTS)
        .map(|client| {
            tokio::spawn(keep_logging_in(nodes.clone(), client, Arc::clone(&stop), Arc::clone(&done)))
        })
        .collect();
    more(&done, 60).await;
    redis.kill();
    more(&done, 60).await;
    redis_is(&cluster, false).await;
    for _ in 0..=REQUESTS {
        assert_eq!(left(&nodes, "192.0.2.1").await, vec![None; 3], "lets through");
    }
    // Each with what it has counted so far, wherever that was counted besides.
    for (api, counted) in nodes.iter().zip([2, 1, 0]) {
        for _ in counted..LOGINS {
            assert_eq!(log_in(api, "192.0.2.2", ann, "wrong wrong wrong").await, wrong());
        }
        for password in ["wrong wrong wrong", PASSWORD] {
            assert_eq!(log_in(api, "192.0.2.3", ann, password).await, too_many());
        }
    }
    assert_eq!(told(&cluster), vec![(1, 0); 3], "once");

    redis.start_again();
    redis_is(&cluster, true).await;
    more(&done, 60).await;
    count_together(left(&nodes, "192.0.2.4").await);
    for node in [0, 1, 2, 2] {
        assert_eq!(log_in(&nodes[node], "192.0.2.5", carl, "wrong wrong wrong").await, wrong());
    }
    for api in &nodes {
        assert_eq!(log_in(api, "192.0.2.6", carl, PASSWORD).await, too_many());
    }
    assert_eq!(told(&cluster), vec![(1, 1); 3]);

    redis.kill();
    redis_is(&cluster, false).await;
    more(&done, 60).await;
    assert_eq!(told(&cluster), vec![(2, 1); 3], "once for each outage");
    stop.store(true, Ordering::Relaxed);
    for client in load {
        client.await.unwrap();
    }
}
