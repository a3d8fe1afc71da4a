//! Rate limits around accounts (spec §10, S61, S62, S114).

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use hellojohn::http::edge::Connection;
use hellojohn::store::{Dsn, PoolSettings, Pools};
use serde_json::json;

use super::world::{Answer, Choice, PASSWORD, Tokens, World, call, send};
use crate::harness::logs::capture;
use crate::harness::redis::TestRedis;

mod redis;

const WRONG: &str = "wrong wrong wrong";
const REFUSED: (u16, &str) = (429, "too_many_requests");
const UNKNOWN: (u16, &str) = (401, "invalid_credentials");

/// Limits are on, with these settings. The hold on accounts stays out of the way.
fn limited(settings: &[(&'static str, &str)]) -> Choice {
    let out_of_the_way =
        [("RATE_ENABLED", "1"), ("AUTH_MAX_FAILED_LOGINS", "100"), ("AUTH_LOCK_DURATION", "1h")];
    let env = out_of_the_way.iter().chain(settings).map(|(name, value)| (*name, (*value).to_owned()));
    Choice { env: env.collect(), ..Choice::default() }
}

/// A request as it comes from this peer.
fn from(peer: &str, mut request: Request<Body>) -> Request<Body> {
    let peer = format!("{peer}:1").parse().or_else(|_| format!("[{peer}]:1").parse()).unwrap();
    request.extensions_mut().insert(Connection { peer, tls: false });
    request
}

fn login(email: &str, password: &str) -> Request<Body> {
    let body = json!({"tenant_id": "acme", "client_id": "web", "email": email, "password": password});
    call("POST", "/v1/auth/login", None, &body.to_string())
}

fn is(answer: &Answer, expected: (u16, &str)) -> bool {
    answer.refusal() == (expected.0, expected.1.to_owned())
}

impl World {
    async fn login_from(&self, peer: &str, email: &str, password: &str) -> Answer {
        self.send(from(peer, login(email, password))).await
    }

    async fn confirm(&self, peer: &str, method: &str, path: &str, access: &str, password: &str) -> Answer {
        let body = match method {
            "DELETE" => json!({"password": password}),
            _ => json!({"current_password": password, "new_password": "another horse, battery"}),
        };
        self.send(from(peer, call(method, path, Some(access), &body.to_string()))).await
    }
}

/// S61: so many wrong passwords for an account, from wherever; then nobody is heard, before anything is hashed, until the
/// window is over. Who has no account is treated the same (S60).
#[tokio::test]
async fn wrong_passwords_for_an_account_are_limited_in_each_window() {
    let world = World::with(limited(&[("RATE_LOGIN_LIMIT", "5"), ("RATE_LOGIN_WINDOW", "10m")])).await;
    world.register("acme", "ann@example.com").await;
    // The world's clock stands at the beginning of a window.
    world.clock.advance(Duration::from_millis(120_001));
    for email in ["ann@example.com", "nobody@example.com"] {
        for number in 0..5 {
            let answer = world.login_from(&format!("192.0.2.{number}"), email, WRONG).await;
            assert!(is(&answer, UNKNOWN), "{}", answer.text());
        }
        let hashed = world.hashes.begun();
        for password in [WRONG, PASSWORD] {
            let answer = world.login_from("192.0.2.99", &email.to_uppercase(), password).await;
            assert!(is(&answer, REFUSED), "{}", answer.text());
            assert_eq!(answer.json()["appcode"], 1011);
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            // 479.999 seconds are left, and whoever obeys is never early.
            let headers = ["retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];
            assert_eq!(headers.map(|name| answer.header(name).unwrap()), ["480", "5", "0", "480"]);
        }
        assert_eq!(world.hashes.begun(), hashed, "nothing is hashed");
    }
    world.clock.advance(Duration::from_millis(479_998));
    assert!(is(&world.login_from("192.0.2.99", "ann@example.com", PASSWORD).await, REFUSED));
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.login_from("192.0.2.99", "ann@example.com", PASSWORD).await.status, 200);
    world.end().await;
}

/// S61: parallel guesses take their places before they are compared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_guesses_do_not_pass_together() {
    let world = World::with(limited(&[("RATE_LOGIN_LIMIT", "20")])).await;
    world.register("acme", "ann@example.com").await;
    let all = (0..200).map(|_| world.login_from("192.0.2.1", "ann@example.com", WRONG));
    let answers = futures::future::join_all(all).await;
    assert_eq!(answers.iter().filter(|answer| is(answer, UNKNOWN)).count(), 20);
    assert_eq!(answers.iter().filter(|answer| is(answer, REFUSED)).count(), 180);
    world.end().await;
}

/// S61: the routes that ask for the password again draw from the same pool as the login.
#[tokio::test]
async fn every_api_that_takes_a_password_shares_the_pool() {
    let world = World::with(limited(&[("RATE_LOGIN_LIMIT", "6")])).await;
    let tokens = world.session("acme", "ann@example.com").await;
    for _ in 0..2 {
        assert!(is(&world.login_from("192.0.2.1", "ann@example.com", WRONG).await, UNKNOWN));
        for (method, path) in [("POST", "/v1/me/password"), ("DELETE", "/v1/me")] {
            let answer = world.confirm("192.0.2.2", method, path, &tokens.access, WRONG).await;
            assert!(is(&answer, UNKNOWN), "{method} {path}: {}", answer.text());
        }
    }
    assert!(is(&world.login_from("192.0.2.3", "ann@example.com", PASSWORD).await, REFUSED));
    let hashed = world.hashes.begun();
    for (method, path) in [("POST", "/v1/me/password"), ("DELETE", "/v1/me")] {
        let answer = world.confirm("192.0.2.3", method, path, &tokens.access, PASSWORD).await;
        assert!(is(&answer, REFUSED), "{method} {path}: {}", answer.text());
    }
    assert_eq!(world.hashes.begun(), hashed, "nothing is hashed");
    world.end().await;
}

/// An office behind one address logs in as often as it likes; its wrong passwords are limited ten times as widely as an
/// account's.
#[tokio::test]
async fn what_succeeds_counts_for_nothing_and_an_address_may_have_ten_times_as_many() {
    let world = World::with(limited(&[("RATE_LOGIN_LIMIT", "1")])).await;
    world.register("acme", "ann@example.com").await;
    for _ in 0..25 {
        assert_eq!(world.login_from("192.0.2.1", "ann@example.com", PASSWORD).await.status, 200);
    }
    for number in 0..10 {
        let answer = world.login_from("192.0.2.1", &format!("guess-{number}@example.com"), WRONG).await;
        assert!(is(&answer, UNKNOWN), "{}", answer.text());
    }
    let answer = world.login_from("192.0.2.1", "ann@example.com", PASSWORD).await;
    assert!(is(&answer, REFUSED));
    assert_eq!(answer.header("ratelimit-limit"), Some("10"));
    assert_eq!(world.login_from("192.0.2.2", "ann@example.com", PASSWORD).await.status, 200);
    world.end().await;
}

/// What is nobody's fault, and what only somebody who knows the password learns, is no guess.
#[tokio::test]
async fn a_database_that_is_down_and_an_account_that_is_locked_count_for_nothing() {
    let choice = limited(&[("RATE_LOGIN_LIMIT", "1")]);
    let world = World::with(choice.clone()).await;
    world.register("acme", "ann@example.com").await;
    world.sql("UPDATE users SET status = 'locked'").await;
    for _ in 0..25 {
        let answer = world.login_from("192.0.2.1", "ann@example.com", PASSWORD).await;
        assert!(is(&answer, (403, "account_locked")), "{}", answer.text());
    }
    let nowhere = Dsn::parse("postgres://nobody@127.0.0.1:1/none").unwrap();
    let down = world.rebuilt(Pools::new(PoolSettings::default(), Some(&nowhere)), &choice);
    for _ in 0..25 {
        let answer = send(&down, from("192.0.2.1", login("ann@example.com", PASSWORD))).await;
        assert!(is(&answer, (503, "storage_unavailable")), "{}", answer.text());
    }
    world.end().await;
}

/// Registrations cost a hash and tell which addresses are taken: limited by address, and apart from logins.
#[tokio::test]
async fn registrations_are_limited_by_address() {
    let world = World::with(limited(&[("RATE_LOGIN_LIMIT", "1")])).await;
    let register = |number: u32| {
        let email = format!("p{number}@example.com");
        let body = json!({"tenant_id": "acme", "client_id": "web", "email": email, "password": PASSWORD});
        from("192.0.2.1", call("POST", "/v1/auth/register", None, &body.to_string()))
    };
    for number in 0..10 {
        assert_eq!(world.send(register(number % 5)).await.status, if number < 5 { 201 } else { 409 });
    }
    let hashed = world.hashes.begun();
    assert!(is(&world.send(register(11)).await, REFUSED));
    assert_eq!(world.hashes.begun(), hashed, "nothing is hashed");
    assert_eq!(world.login_from("192.0.2.1", "p1@example.com", PASSWORD).await.status, 200);
    world.end().await;
}

/// S60: a registration whose outcome only a mail tells counts like a forgotten password, for the address that it names, whether that
/// has an account or not. Over the limit nobody is told more.
#[tokio::test]
async fn registrations_that_mail_count_with_forgotten_passwords() {
    let settings = [("RATE_FORGOT_LIMIT", "2"), ("REGISTER_ENUMERATION_SAFE", "1")];
    let world = World::with(limited(&settings)).await;
    let asked = |email: &str| json!({"tenant_id": "acme", "client_id": "web", "email": email});
    let register = async |peer: &str, email: &str| {
        let mut body = asked(email);
        body["password"] = json!(PASSWORD);
        world.send(from(peer, call("POST", "/v1/auth/register", None, &body.to_string()))).await
    };
    let forgot = async |peer: &str, email: &str| {
        world.send(from(peer, call("POST", "/v1/auth/forgot", None, &asked(email).to_string()))).await
    };
    assert_eq!(register("192.0.2.1", "ann@example.com").await.status, 202, "makes the account");
    assert_eq!(register("192.0.2.2", "ann@example.com").await.status, 202, "is told of to its owner");
    let hashed = world.hashes.begun();
    let taken = register("192.0.2.3", "ANN@example.com").await;
    assert!(is(&taken, REFUSED), "{}", taken.text());
    assert!(is(&forgot("192.0.2.4", "ann@example.com").await, REFUSED), "one count");
    for peer in ["192.0.2.1", "192.0.2.2"] {
        assert_eq!(forgot(peer, "bob@example.com").await.status, 202);
    }
    let free = register("192.0.2.3", "bob@example.com").await;
    assert_eq!((free.status, free.json()["detail"].clone()), (taken.status, taken.json()["detail"].clone()));
    assert_eq!(world.hashes.begun(), hashed, "nothing is hashed");
    assert_eq!(world.count("SELECT count(*) FROM users").await, 1);
    assert_eq!(register("192.0.2.3", "cleo@example.com").await.status, 202, "nobody else is held up");
    world.end().await;
}

/// S62: nobody chooses the address that is counted.
#[tokio::test]
async fn forged_forwarding_headers_evade_no_limit() {
    let world = World::with(limited(&[("RATE_LOGIN_LIMIT", "1"), ("TRUSTED_PROXIES", "10.0.0.0/8")])).await;
    let guess = |peer: &str, forwarded: &str, number: usize| {
        let mut request = from(peer, login(&format!("{peer}-{number}@example.com"), WRONG));
        request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
        request
    };
    // A stranger who claims another address each time, and one behind the proxy who puts such claims in front; and what
    // cannot be read is the proxy's own.
    type Claim = fn(usize) -> String;
    let cases: [(&str, Claim); 3] = [
        ("192.0.2.1", |number| format!("198.51.100.{number}")),
        ("10.0.0.1", |number| format!("198.51.100.{number}, 203.0.113.7")),
        ("10.0.0.2", |number| format!("198.51.100.{number}, nonsense-{number}")),
    ];
    for (peer, claim) in cases {
        for number in 0..10 {
            let answer = world.send(guess(peer, &claim(number), number)).await;
            assert!(is(&answer, UNKNOWN), "{peer}: {}", answer.text());
        }
        assert!(is(&world.send(guess(peer, &claim(10), 10)).await, REFUSED), "{peer}");
    }
    // Another client of the same proxy is another address.
    assert!(is(&world.send(guess("10.0.0.1", "203.0.113.8", 11)).await, UNKNOWN));
    world.end().await;
}

/// Limits are on from the start, and so is the trap of a load balancer that nobody has named: it is told, once.
#[tokio::test]
async fn a_proxy_that_is_not_named_is_told_when_it_matters() {
    let world = World::with(limited(&[("RATE_LOGIN_LIMIT", "1"), ("TRUSTED_PROXIES", "10.0.0.0/8")])).await;
    let (captured, guard) = capture();
    let warnings =
        || captured.lines().iter().filter(|line| line["level"] == "WARN").cloned().collect::<Vec<_>>();
    for (peer, forwarded, told) in [
        ("192.0.2.1", None, 0),
        ("10.0.0.1", Some("192.0.2.2"), 0),
        ("192.0.2.3", Some("192.0.2.4"), 1),
        ("192.0.2.5", Some("192.0.2.6"), 1),
    ] {
        for expected in [UNKNOWN, REFUSED] {
            let mut request = from(peer, login(&format!("{peer}@example.com"), WRONG));
            if let Some(forwarded) = forwarded {
                request.headers_mut().insert("x-forwarded-for", forwarded.parse().unwrap());
            }
            assert!(is(&world.send(request).await, expected), "{peer}");
        }
        assert_eq!(warnings().len(), told, "{peer}: {:?}", warnings());
    }
    drop(guard);
    let warning = &warnings()[0];
    assert_eq!(warning["peer"], "192.0.2.3");
    assert!(warning["message"].as_str().unwrap().contains("TRUSTED_PROXIES does not name"), "{warning}");
    world.end().await;
}

/// Whoever has one IPv6 address has a /64 of them.
#[tokio::test]
async fn an_ipv6_network_is_one_address() {
    let world = World::with(limited(&[("RATE_LOGIN_LIMIT", "1")])).await;
    let guess = async |peer: String, number: u32| {
        world.login_from(&peer, &format!("guess-{number}@example.com"), WRONG).await
    };
    for number in 0..10 {
        assert!(is(&guess(format!("2001:db8:0:1::{number:x}"), number).await, UNKNOWN));
    }
    assert!(is(&guess("2001:db8:0:1:ffff:ffff:ffff:ffff".to_owned(), 10).await, REFUSED));
    assert!(is(&guess("2001:db8:0:2::1".to_owned(), 11).await, UNKNOWN));
    // An IPv4 address in IPv6 clothing is that address.
    for number in 0..10 {
        assert!(is(&guess("::ffff:192.0.2.1".to_owned(), 20 + number).await, UNKNOWN));
    }
    assert!(is(&guess("192.0.2.1".to_owned(), 30).await, REFUSED));
    assert!(is(&guess("::ffff:192.0.2.2".to_owned(), 31).await, UNKNOWN));
    world.end().await;
}

/// The limit on everything: by address and route, told on every answer.
#[tokio::test]
async fn requests_to_a_route_are_limited_by_address() {
    let world = World::with(limited(&[("RATE_MAX_REQUESTS", "3"), ("RATE_WINDOW", "1m")])).await;
    let ask = |peer: &str, path: &str| world.send(from(peer, call("GET", path, None, "")));
    for left in ["2", "1", "0"] {
        let answer = ask("192.0.2.1", "/v1/me").await;
        assert_eq!((answer.status.as_u16(), answer.header("ratelimit-remaining")), (401, Some(left)));
        assert_eq!(
            (answer.header("ratelimit-limit"), answer.header("ratelimit-reset")),
            (Some("3"), Some("60"))
        );
    }
    let answer = ask("192.0.2.1", "/v1/me").await;
    assert!(is(&answer, REFUSED), "before the token is looked at: {}", answer.text());
    assert_eq!((answer.header("retry-after"), answer.header("ratelimit-remaining")), (Some("60"), Some("0")));
    assert_eq!(ask("192.0.2.2", "/v1/me").await.status, 401);
    assert_eq!(ask("192.0.2.1", "/v1/profile").await.status, 401);
    // The route counts, not the path: nobody gets a new counter by another path.
    for path in ["/v1/admin/tenants/a", "/v1/admin/tenants/b", "/v1/admin/tenants/c?x=1"] {
        assert_eq!(ask("192.0.2.1", path).await.status, 401, "{path}");
    }
    assert!(is(&ask("192.0.2.1", "/v1/admin/tenants/d").await, REFUSED));
    for path in ["/nowhere", "/nowhere/else", "/neither"] {
        assert_eq!(ask("192.0.2.1", path).await.status, 404, "{path}");
    }
    assert!(is(&ask("192.0.2.1", "/nor/here").await, REFUSED));
    // Where there is nothing in the dialect of OAuth, it is told in that.
    let answer = ask("192.0.2.1", "/oauth2/nowhere").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["error"]), (429, &json!("temporarily_unavailable")));
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(ask("192.0.2.1", "/v1/me").await.status, 401);
    world.end().await;
}

/// A pool that is exhausted is told of in place of the limit on everything.
#[tokio::test]
async fn an_answer_tells_of_the_limit_that_refused_it() {
    let world = World::with(limited(&[("RATE_LOGIN_LIMIT", "1"), ("RATE_LOGIN_WINDOW", "1h")])).await;
    let answer = world.login_from("192.0.2.1", "ann@example.com", WRONG).await;
    assert_eq!(answer.header("ratelimit-limit"), Some("3000"));
    let answer = world.login_from("192.0.2.1", "ann@example.com", WRONG).await;
    assert_eq!((answer.header("ratelimit-limit"), answer.header("retry-after")), (Some("1"), Some("3600")));
    world.end().await;
}

/// `RATE_ENABLED=0`, and the hold on accounts is there all the same.
#[tokio::test]
async fn limits_can_be_switched_off() {
    let settings = [("RATE_LOGIN_LIMIT", "1"), ("RATE_MAX_REQUESTS", "1"), ("RATE_ENABLED", "0")];
    let world = World::with(limited(&settings)).await;
    world.register("acme", "ann@example.com").await;
    for _ in 0..100 {
        let answer = world.login_from("192.0.2.1", "ann@example.com", WRONG).await;
        assert!(is(&answer, UNKNOWN), "{}", answer.text());
        assert_eq!(answer.header("ratelimit-limit"), None);
    }
    let held = world.login_from("192.0.2.1", "ann@example.com", PASSWORD).await;
    assert!(is(&held, (403, "account_locked")));
    world.end().await;
}

/// The security event says so, and names nobody who was not looked up.
#[tokio::test]
async fn a_refused_login_is_a_security_event() {
    let world = World::with(limited(&[("RATE_LOGIN_LIMIT", "1")])).await;
    world.login_from("192.0.2.1", "ann@example.com", WRONG).await;
    let (captured, guard) = capture();
    world.login_from("192.0.2.1", "ann@example.com", WRONG).await;
    drop(guard);
    let lines = captured.lines();
    let event = lines.iter().find(|line| line["target"] == "audit").unwrap();
    assert_eq!((&event["action"], &event["reason"]), (&json!("user.login"), &json!("too_many_requests")));
    assert_eq!((&event["ip"], event.get("actor")), (&json!("192.0.2.1"), None));
    assert!(!captured.text().contains("example.com"));
    world.end().await;
}
