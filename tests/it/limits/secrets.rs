//! Passwords of Redis are in no text (S111); and what its user must be allowed.

use hellojohn::store::limiter::{Counters as _, RedisCounters};

use super::{cache, now, one};
use crate::harness::logs::capture;
use crate::harness::redis::TestRedis;

const PASSWORD: &str = "planted-redis-password";

#[tokio::test]
async fn the_right_password_works_and_a_wrong_one_is_told_without_itself() {
    let redis = TestRedis::with(&["--requirepass", PASSWORD]);
    let (captured, guard) = capture();
    let mut shown = String::new();
    for (login, up) in
        [(format!(":{PASSWORD}@"), true), (format!(":wrong-{PASSWORD}@"), false), (String::new(), false)]
    {
        let cache = cache(&[("REDIS_URL", &format!("redis://{login}{}", redis.addr()))]);
        let counters = RedisCounters::new(&cache).unwrap().unwrap();
        for _ in 0..3 {
            counters.tend().await;
        }
        assert_eq!(counters.is_up(), up, "{login}");
        shown.push_str(&format!("{cache:?} {counters:?}"));
    }
    drop(guard);
    let lines = captured.lines();
    assert!(!shown.contains(PASSWORD), "{shown}");
    assert!(!format!("{lines:?}").contains(PASSWORD), "{lines:?}");
    let told: Vec<String> = lines.iter().map(|line| line["why"].as_str().unwrap().to_owned()).collect();
    assert_eq!(told.len(), 2, "each once: {told:?}");
    assert!(told[0].contains("authentication"), "{told:?}");
    assert!(told[1].contains("NOAUTH"), "{told:?}");
}

/// A server that knows no AUTH repeats what it was sent.
#[tokio::test]
async fn what_a_server_says_is_not_repeated() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = vec![0; 4096];
        let length = stream.read(&mut heard).await.unwrap();
        heard.truncate(length);
        let echo = String::from_utf8(heard).unwrap().replace("\r\n", " ");
        let answer = format!("-ERR unknown command, with args beginning with: {echo}\r\n");
        stream.write_all(answer.repeat(4).as_bytes()).await.unwrap();
        echo
    });
    let (captured, guard) = capture();
    let cache = cache(&[("REDIS_URL", &format!("redis://:{PASSWORD}@{addr}"))]);
    let counters = RedisCounters::new(&cache).unwrap().unwrap();
    counters.tend().await;
    drop(guard);
    assert!(server.await.unwrap().contains(PASSWORD), "it was sent");
    let lines = captured.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(!format!("{lines:?}").contains(PASSWORD), "{lines:?}");
}

/// docs/operations.md names what a user of Redis must be allowed; no more than that is needed, and not a bit less.
#[tokio::test]
async fn the_documented_rights_are_enough() {
    const MANUAL: &str = include_str!("../../../docs/operations.md");
    let rights = MANUAL.split("A user of its own needs `").nth(1).unwrap().split('`').next().unwrap();
    let wanted: Vec<&str> = rights.split(' ').chain(["+select"]).collect();
    let up = async |rights: &[&str]| {
        let password = format!(">{PASSWORD}");
        let user = ["--user", "hellojohn", "on", &password, "resetchannels", "-@all"];
        let redis = TestRedis::with(&[&user, rights].concat());
        let url = format!("redis://hellojohn:{PASSWORD}@{}/3", redis.addr());
        let counters = RedisCounters::new(&cache(&[("REDIS_URL", &url)])).unwrap().unwrap();
        counters.tend().await;
        let taken = counters.take(&one(1, 3, now()), now()).await.is_ok();
        taken && counters.give_back(&one(1, 3, now())).await.is_ok()
    };
    assert!(up(&wanted).await, "{wanted:?}");
    for left_out in 0..wanted.len() {
        let mut rights = wanted.clone();
        let without = rights.remove(left_out);
        assert!(!up(&rights).await, "{without} is not needed");
    }
}
