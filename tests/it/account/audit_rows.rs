//! Security events as rows: with what they tell of or not at all, and never in the way of an answer (spec §10; S60, S113).

use std::time::Duration;

use serde_json::{Value, json};

use super::audit::{capture, capture_all, rows};
use super::world::{Choice, PASSWORD, World, call};

const GONE: &str = "ALTER TABLE audit_events RENAME TO audit_events_gone";

/// S113: what cannot be told is not done, and no line says that it was.
#[tokio::test]
async fn what_cannot_be_told_is_not_done() {
    let world = World::new().await;
    let admin = world.admin().await;
    let id = world.session("acme", "ann@example.com").await.claims().sub;
    world.sql(GONE).await;
    let sessions = world.count("SELECT count(*) FROM token_families").await;
    let (captured, guard) = capture();
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.status, 503);
    let disable = format!("/v1/admin/users/{id}/disable?tenant_id=acme");
    assert_eq!(world.ask("POST", &disable, &admin, Value::Null).await.status, 503);
    drop(guard);
    assert_eq!(world.count("SELECT count(*) FROM token_families").await, sessions);
    assert_eq!(world.count("SELECT count(*) FROM users WHERE status <> 'active'").await, 0);
    let lines = captured.lines();
    assert!(!lines.iter().any(|line| line["target"] == "audit" && line["outcome"] == "ok"), "{lines:?}");
    world.end().await;
}

/// A refusal is the same answer whether its row can be written or not.
#[tokio::test]
async fn a_row_that_cannot_be_written_changes_no_refusal() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    let body =
        json!({"tenant_id": "acme", "client_id": "web", "email": "ann@example.com", "password": PASSWORD});
    assert_eq!(world.post("/v1/auth/register", &body).await.refusal(), (409, "email_taken".to_owned()));
    assert_eq!(rows(&world).await.iter().filter(|row| row.contains("email_taken")).count(), 1);
    world.sql(GONE).await;
    let (captured, guard) = capture();
    assert_eq!(world.post("/v1/auth/register", &body).await.refusal(), (409, "email_taken".to_owned()));
    drop(guard);
    let lines = captured.lines();
    assert!(lines.iter().any(|line| line["reason"] == "email_taken"), "the line is written all the same");
    assert!(lines.iter().any(|line| line["message"] == "the row of an event was not written"), "{lines:?}");
    world.end().await;
}

/// S60: nobody and somebody with a wrong password cost the same statements, one of them the row, and no other commit.
#[tokio::test]
async fn a_wrong_login_is_told_by_one_more_statement_for_nobody_as_for_somebody() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    let mut seen = Vec::new();
    for email in ["ann@example.com", "nobody@example.com"] {
        let (captured, guard) = capture_all();
        assert_eq!(world.try_login("acme", email, "wrong wrong wrong").await.status, 401);
        drop(guard);
        seen.push(captured.operations());
    }
    assert_eq!(seen[0], seen[1]);
    let end =
        ["begin", "users.record_failed_login", "audit.insert", "commit_without_waiting_for_disk", "commit"];
    assert!(seen[0].ends_with(&end.map(str::to_owned)), "{:?}", seen[0]);
    let kept = rows(&world).await;
    assert_eq!(kept.iter().filter(|row| row.contains("wrong_password")).count(), 1);
    assert_eq!(kept.iter().filter(|row| row.contains("unknown_user")).count(), 1);
    world.end().await;
}

/// A login and a refresh are told by one more statement in the transaction that there was anyway.
#[tokio::test]
async fn a_login_and_a_refresh_cost_one_more_statement_and_no_commit() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    for (name, commits) in [("login", 2), ("refresh", 1)] {
        let (captured, guard) = capture_all();
        let answer = if name == "login" {
            world.try_login("acme", "ann@example.com", PASSWORD).await
        } else {
            world.refresh(&tokens.refresh).await
        };
        assert_eq!(answer.status, 200);
        drop(guard);
        let seen = captured.operations();
        let count = |name: &str| seen.iter().filter(|operation| *operation == name).count();
        assert_eq!(
            (count("audit.insert"), count("commit"), count("begin")),
            (1, commits, commits),
            "{seen:?}"
        );
    }
    world.end().await;
}

/// What anybody can cause as often as they like is a line and no row.
#[tokio::test]
async fn what_a_stranger_can_cause_without_limit_leaves_no_row() {
    let env = vec![("RATE_ENABLED", "1".to_owned()), ("RATE_LOGIN_LIMIT", "3".to_owned())];
    let world = World::with(Choice { env, ..Choice::default() }).await;
    let tokens = world.session("acme", "ann@example.com").await;
    world.send(call("POST", "/v1/auth/logout", Some(&tokens.access), "")).await;
    world.sql("DELETE FROM audit_events").await;
    let (captured, guard) = capture();
    for _ in 0..5 {
        world.try_login("acme", "ann@example.com", "wrong wrong wrong").await;
        assert_eq!(world.refresh(&tokens.refresh).await.status, 401);
    }
    drop(guard);
    let lines = captured.lines();
    let told = |reason: &str| lines.iter().filter(|line| line["reason"] == reason).count();
    assert_eq!((told("too_many_requests"), told("revoked"), told("wrong_password")), (2, 5, 3));
    let kept = rows(&world).await;
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept.iter().all(|row| row.contains("wrong_password")), "{kept:?}");
    world.end().await;
}

/// `AUDIT_RETENTION`: what is older goes, and with 0 nothing does.
#[tokio::test]
async fn events_are_kept_for_as_long_as_the_setting_says() {
    for (retention, left) in [("1h", 1), ("0", 2)] {
        let env = vec![("AUDIT_RETENTION", retention.to_owned())];
        let world = World::with(Choice { env, ..Choice::default() }).await;
        world.register("acme", "ann@example.com").await;
        world.clock.advance(Duration::from_secs(3600));
        world.register("acme", "bob@example.com").await;
        world.state.control.sweep_global(&world.state.stores).await.unwrap();
        assert_eq!(world.count("SELECT count(*) FROM audit_events").await, left, "{retention}");
        world.end().await;
    }
}
