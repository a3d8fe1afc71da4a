//! Many at the same moment, at two nodes on one database: one (S65, S67, S68; spec §4).

use axum::Router;
use futures::future::join_all;
use serde_json::{Value, json};

use super::{Answer, Holder, PASSWORD, World, call};
use crate::account::world::{Choice, send};

const CHALLENGE: &str = "/v1/mfa/totp/challenge";
const MANY: usize = 10;

/// Two nodes: two sets of services with pools of their own. They share the clock and the catalogue, as nodes do.
fn nodes(world: &World) -> [Router; 2] {
    [world.router.clone(), world.rebuilt(world.db.pools(), &Choice::default())]
}

/// Sends the bodies at once, to the nodes in turn; how often each status was answered.
async fn at_once(world: &World, path: &str, bodies: &[Value]) -> Vec<Answer> {
    let nodes = nodes(world);
    let calls = bodies.iter().enumerate().map(|(n, body)| {
        let node = nodes[n % 2].clone();
        let request = call("POST", path, None, &body.to_string());
        tokio::spawn(async move { send(&node, request).await })
    });
    join_all(calls).await.into_iter().map(Result::unwrap).collect()
}

fn passed(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.status == 200).count()
}

async fn halves(world: &World, holder: &Holder) -> Vec<String> {
    let mut tokens = Vec::new();
    for _ in 0..MANY {
        tokens.push(world.half(holder).await);
    }
    tokens
}

/// S65: one step, many half logins, two nodes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_logins_with_one_code_one_is_let_in() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let tokens = halves(&world, &ann).await;
    let code = world.next_code(&ann.secret);
    let bodies: Vec<Value> = tokens.iter().map(|token| json!({"mfa_token": token, "code": code})).collect();
    let answers = at_once(&world, CHALLENGE, &bodies).await;
    assert_eq!(passed(&answers), 1, "{answers:?}");
    assert_eq!(world.count("SELECT count(*) FROM token_families").await, 2);
    // The same through the login with both factors at once, where the passwords are compared first.
    world.sql("UPDATE users SET failed_logins = 0, locked_until = NULL").await;
    let code = world.next_code(&ann.secret);
    let body = json!({"tenant_id": "acme", "client_id": "web", "email": ann.email, "password": PASSWORD, "mfa_code": code});
    let answers = at_once(&world, "/v1/auth/login", &vec![body; MANY]).await;
    assert_eq!(passed(&answers), 1, "{answers:?}");
    world.end().await;
}

/// S67: one recovery code, many half logins, two nodes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_logins_with_one_recovery_code_one_is_let_in() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let tokens = halves(&world, &ann).await;
    let code = &ann.recovery[3];
    let bodies: Vec<Value> =
        tokens.iter().map(|token| json!({"mfa_token": token, "recovery_code": code})).collect();
    let answers = at_once(&world, CHALLENGE, &bodies).await;
    assert_eq!(passed(&answers), 1, "{answers:?}");
    assert_eq!(world.count("SELECT count(*) FROM recovery_codes").await, 9);
    world.end().await;
}

/// S68: one half login, many good recovery codes: it is finished once, and no code is used up for nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_login_is_finished_once() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let token = world.half(&ann).await;
    let bodies: Vec<Value> =
        ann.recovery.iter().map(|code| json!({"mfa_token": token, "recovery_code": code})).collect();
    let answers = at_once(&world, CHALLENGE, &bodies).await;
    assert_eq!(passed(&answers), 1, "{answers:?}");
    let others = answers.iter().filter(|answer| answer.refusal() == super::refused("invalid_mfa_token"));
    assert_eq!(others.count(), 9);
    assert_eq!(world.count("SELECT count(*) FROM recovery_codes").await, 9);
    assert_eq!(world.count("SELECT failed_logins::bigint FROM users").await, 0);
    world.end().await;
}

/// S61: parallel guesses all count, against the token and against the account, and no more than five are looked at. They
/// are held up until several wait at the same place, so that none has it to itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_guesses_are_limited_as_those_one_after_the_other() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let token = world.half(&ann).await;
    let body = json!({"mfa_token": token, "code": world.wrong_code(&ann.secret)});
    let bodies = vec![body; 20];
    let mut holding = world.db.connection().await;
    sqlx::raw_sql("BEGIN; SELECT id FROM users FOR UPDATE").execute(&mut holding).await.unwrap();
    let release = async {
        const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
            AND datname = current_database()";
        while world.count(WAITING).await < 8 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        sqlx::raw_sql("COMMIT").execute(&mut holding).await.unwrap();
    };
    let (answers, ()) = tokio::join!(at_once(&world, CHALLENGE, &bodies), release);
    let judged = answers.iter().filter(|answer| answer.refusal() == super::refused("invalid_mfa_code"));
    assert_eq!(judged.count(), 5);
    let dead = answers.iter().filter(|answer| answer.refusal() == super::refused("invalid_mfa_token"));
    assert_eq!(dead.count(), 15);
    assert_eq!(world.count("SELECT failed_logins::bigint FROM users").await, 5);
    assert_eq!(world.count("SELECT wrong_codes::bigint FROM mfa_tokens").await, 5);
    world.end().await;
}

/// Of many first codes one enables, and its recovery codes are those that work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrolment_is_verified_once() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let secret = super::text_of(&world.enroll(&tokens.access, &json!({})).await.json(), "secret_base32");
    let code = world.code(&secret);
    let answers = join_all((0..MANY).map(|_| world.verify(&tokens.access, &code))).await;
    assert_eq!(passed(&answers), 1, "{answers:?}");
    let codes = answers.iter().find(|answer| answer.status == 200).unwrap().json()["recovery_codes"].clone();
    assert_eq!(world.count("SELECT count(*) FROM recovery_codes").await, 10);
    let ann =
        Holder { tenant: "acme", email: "ann@example.com", tokens, secret, recovery: super::list(&codes) };
    assert_eq!(world.recover(&world.half(&ann).await, &ann.recovery[9]).await.status, 200);
    world.end().await;
}

/// A login that was under way when the factor came is not let in without it, nor left behind as a session.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_of_the_password_alone_survives_the_moment_of_enabling() {
    let world = World::new().await;
    for n in 0..5 {
        let email = ["a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com"][n];
        let tokens = world.session("acme", email).await;
        let secret = super::text_of(&world.enroll(&tokens.access, &json!({})).await.json(), "secret_base32");
        let code = world.code(&secret);
        let logins = join_all((0..6).map(|_| world.try_login("acme", email, PASSWORD)));
        let (verified, logins) = tokio::join!(world.verify(&tokens.access, &code), logins);
        assert_eq!(verified.status, 200, "{}", verified.text());
        for login in logins {
            let json = login.json();
            if let Some(refresh) = json["refresh_token"].as_str() {
                assert_eq!(world.refresh(refresh).await.status, 401);
            } else {
                assert_eq!(json["mfa_required"], true, "{json}");
            }
        }
    }
    world.end().await;
}
