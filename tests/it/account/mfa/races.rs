//! What happens between two steps of one request, held there by a lock of the test's own (S34, S80, S81).

use serde_json::{Value, json};

use super::{Answer, PASSWORD, Tokens, World};
use crate::harness::node::until;

const ANN: &str = "ann@example.com";
const WAITING: &str =
    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";

impl World {
    /// Waits until so many requests wait for a lock.
    async fn held_up(&self, count: i64) {
        until("the requests to wait", || async { self.count(WAITING).await == count }).await;
    }
}

/// S34: whoever asked with a session that ended while their password was compared, or while they waited for somebody else, gets
/// nothing of what they asked for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_in_the_middle_of_a_request_changes_nothing() {
    let world = World::new().await;
    world.register("acme", ANN).await;
    let tokens = world.login("acme", ANN).await;
    let secret = super::text_of(&world.enroll(&tokens.access, &json!({})).await.json(), "secret_base32");
    let change = json!({"current_password": PASSWORD, "new_password": "another horse, battery"});
    let requests = [
        ("POST", "/v1/me/password", change),
        ("DELETE", "/v1/me", json!({"password": PASSWORD})),
        ("POST", "/v1/mfa/totp/verify", json!({"code": world.code(&secret)})),
        ("POST", "/v1/mfa/totp/enroll", json!({})),
    ];
    for (method, path, body) in requests {
        let tokens = world.login("acme", ANN).await;
        let mut holding = world.db.connection().await;
        sqlx::raw_sql("BEGIN; SELECT id FROM users FOR UPDATE").execute(&mut holding).await.unwrap();
        let logout = async {
            world.held_up(1).await;
            let answer = world.post("/v1/auth/logout", &json!({"refresh_token": tokens.refresh})).await;
            assert_eq!(answer.status, 204, "{}", answer.text());
            sqlx::raw_sql("COMMIT").execute(&mut holding).await.unwrap();
        };
        let (answer, ()) = tokio::join!(world.ask(method, path, &tokens.access, body), logout);
        assert_eq!(answer.refusal(), super::refused("invalid_token"), "{method} {path}");
    }
    let fresh = world.login("acme", ANN).await;
    assert_eq!(world.status(&fresh.access).await["totp_enabled"], false);
    world.end().await;
}

/// S80, S81: what is just being begun with an account when all its sessions are ended does not survive: the end waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_being_made_while_all_are_ended_is_ended_too() {
    let world = World::new().await;
    let admin = world.admin().await;
    let id = world.session("acme", ANN).await.claims().sub;
    let of = |verb: &str| format!("/v1/admin/users/{id}{verb}?tenant_id=acme");
    let ends = [
        ("DELETE", of("/sessions")),
        ("DELETE", of("/mfa")),
        ("POST", "/v1/auth/logout-all".to_owned()),
        ("POST", of("/disable")),
    ];
    for (method, path) in ends {
        for refreshes in [true, false] {
            let before = world.login("acme", ANN).await;
            let bearer = if path.contains("admin") { &admin } else { &before.access };
            // Whoever makes a session, or goes on with one, stops right before its last row.
            let mut holding = world.db.connection().await;
            sqlx::raw_sql("BEGIN; LOCK TABLE refresh_tokens IN SHARE MODE")
                .execute(&mut holding)
                .await
                .unwrap();
            let begun = async {
                if refreshes {
                    world.refresh(&before.refresh).await
                } else {
                    world.try_login("acme", ANN, PASSWORD).await
                }
            };
            let ended = async {
                world.held_up(1).await;
                world.ask(method, &path, bearer, Value::Null).await
            };
            let release = async {
                world.held_up(2).await;
                sqlx::raw_sql("COMMIT").execute(&mut holding).await.unwrap();
            };
            let (begun, ended, ()): (Answer, Answer, ()) = tokio::join!(begun, ended, release);
            assert!(ended.status.is_success(), "{method} {path}: {}", ended.text());
            let made = Tokens::of(&begun);
            assert_eq!(world.get("/v1/me", &made.access).await.status, 401, "{method} {path} {refreshes}");
            assert_eq!(world.refresh(&made.refresh).await.status, 401, "{method} {path} {refreshes}");
            let enabled = world.ask("POST", &of("/enable"), &admin, Value::Null).await;
            assert_eq!(enabled.status, 200, "{}", enabled.text());
        }
    }
    world.end().await;
}
