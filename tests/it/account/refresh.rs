//! POST /v1/auth/refresh (EP004, spec §13.11; S24, S32-S35).

use std::collections::BTreeSet;
use std::time::Duration;

use hellojohn_control::Command;
use serde_json::json;

use super::world::{Tokens, World, slug};

fn refused() -> (u16, String) {
    (401, "invalid_refresh_token".to_owned())
}

/// EP004
#[tokio::test]
async fn a_refresh_keeps_session_and_authentication_and_replaces_the_tokens() {
    let world = World::new().await;
    let first = world.session("acme", "ann@example.com").await;
    world.clock.advance(Duration::from_secs(60));
    let answer = world.refresh(&first.refresh).await;
    let second = Tokens::of(&answer);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_ne!(second.refresh, first.refresh);
    let (a, b) = (first.claims(), second.claims());
    assert_eq!((&a.sid, &a.amr, &a.acr, &a.scope, &a.sub), (&b.sid, &b.amr, &b.acr, &b.scope, &b.sub));
    assert_ne!(a.jti, b.jti);
    assert_eq!(b.iat, a.iat + 60);
    assert_eq!(world.get("/v1/me", &second.access).await.status, 200);
    world.end().await;
}

/// spec §13.11, exactly: until 10 s after the rotation, and only while the successor is unused, the same one.
#[tokio::test]
async fn a_used_token_yields_the_same_successor_for_ten_seconds_exactly() {
    let world = World::new().await;
    let first = world.session("acme", "ann@example.com").await;
    let second = Tokens::of(&world.refresh(&first.refresh).await);
    world.clock.advance(Duration::from_millis(9_999));
    let again = Tokens::of(&world.refresh(&first.refresh).await);
    assert_eq!(again.refresh, second.refresh);
    assert_ne!(again.access, second.access, "with a fresh access token");
    assert_eq!(world.get("/v1/me", &again.access).await.status, 200);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.refresh(&first.refresh).await.refusal(), refused());
    // The family is revoked with all that belongs to it.
    assert_eq!(world.refresh(&second.refresh).await.refusal(), refused());
    assert_eq!(world.get("/v1/me", &again.access).await.status, 401);
    assert_eq!(world.count("SELECT count(*) FROM token_families WHERE revoke_reason = 'reuse'").await, 1);
    world.end().await;
}

/// S32, spec §13.11: after the successor was used the first token is a theft, also within the ten seconds.
#[tokio::test]
async fn a_used_token_whose_successor_was_used_revokes_the_family() {
    let world = World::new().await;
    let first = world.session("acme", "ann@example.com").await;
    let other = world.login("acme", "ann@example.com").await;
    let second = Tokens::of(&world.refresh(&first.refresh).await);
    let third = Tokens::of(&world.refresh(&second.refresh).await);
    assert_eq!(world.refresh(&first.refresh).await.refusal(), refused());
    assert_eq!(world.refresh(&third.refresh).await.refusal(), refused());
    Tokens::of(&world.refresh(&other.refresh).await);
    world.end().await;
}

/// S32: of fifty at the same moment one rotates, and all get the one successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_parallel_refreshes_of_one_token_make_one_successor() {
    let world = World::new().await;
    let first = world.session("acme", "ann@example.com").await;
    let answers = futures::future::join_all((0..50).map(|_| world.refresh(&first.refresh))).await;
    let successors: BTreeSet<String> = answers.iter().map(|answer| Tokens::of(answer).refresh).collect();
    assert_eq!(successors.len(), 1);
    assert_eq!(world.count("SELECT count(*) FROM refresh_tokens").await, 2);
    assert_eq!(world.count("SELECT count(*) FROM token_families WHERE revoked_at IS NULL").await, 1);
    Tokens::of(&world.refresh(successors.first().unwrap()).await);
    world.end().await;
}

/// S24, S34: no more than before, less when the client lost a scope, and a scope that returns does not return here.
#[tokio::test]
async fn scopes_shrink_with_the_client_and_never_grow() {
    let world = World::new().await;
    world.put_client("acme", "web", json!({"scopes": ["openid", "email"]})).await;
    let first = world.session("acme", "ann@example.com").await;
    world.put_client("acme", "web", json!({"scopes": ["openid", "email", "profile"]})).await;
    let answer = world.refresh(&first.refresh).await;
    assert_eq!(answer.json()["scope"], "openid email");
    world.put_client("acme", "web", json!({"scopes": ["openid"]})).await;
    let answer = world.refresh(&Tokens::of(&answer).refresh).await;
    assert_eq!(answer.json()["scope"], "openid");
    world.put_client("acme", "web", json!({"scopes": ["openid", "email"]})).await;
    let answer = world.refresh(&Tokens::of(&answer).refresh).await;
    assert_eq!(answer.json()["scope"], "openid");
    world.end().await;
}

/// S33: the end of a session does not move.
#[tokio::test]
async fn rotation_does_not_prolong_a_session() {
    let world = World::new().await;
    world.put_client("acme", "web", json!({"refresh_ttl_seconds": 3600})).await;
    let first = world.session("acme", "ann@example.com").await;
    world.clock.advance(Duration::from_secs(3599));
    let second = Tokens::of(&world.refresh(&first.refresh).await);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.refresh(&second.refresh).await.refusal(), refused());
    world.end().await;
}

/// S33: bound to tenant and client; a text that is no live token is refused alike.
#[tokio::test]
async fn a_token_is_of_its_tenant_and_its_client() {
    let world = World::new().await;
    world.put_client("acme", "other", json!({})).await;
    let tokens = world.session("acme", "ann@example.com").await;
    world.register("local", "ann@example.com").await;
    let moved = tokens.refresh.replacen("acme", "local", 1);
    let unknown = tokens.refresh.replacen("acme", "nobody", 1);
    let mut answers = Vec::new();
    for body in [
        json!({"refresh_token": tokens.refresh, "tenant_id": "local"}),
        json!({"refresh_token": tokens.refresh, "client_id": "other"}),
        json!({"refresh_token": moved}),
        json!({"refresh_token": moved, "tenant_id": "local"}),
        json!({"refresh_token": unknown}),
        json!({"refresh_token": "hjr_acme.x"}),
        json!({"refresh_token": ""}),
        json!({"refresh_token": tokens.access}),
        json!({"refresh_token": "x".repeat(100_000)}),
    ] {
        let answer = world.post("/v1/auth/refresh", &body).await;
        assert_eq!(answer.refusal(), refused(), "{body}");
        answers.push(answer.text());
    }
    answers.dedup();
    assert_eq!(answers.len(), 1);
    let body = json!({"refreshToken": tokens.refresh, "clientId": "web", "tenantId": "acme"});
    Tokens::of(&world.post("/v1/auth/refresh", &body).await);
    world.end().await;
}

/// spec §4: who switches off a client or a tenant ends its sessions; they do not come back when it is switched on.
#[tokio::test]
async fn sessions_do_not_outlive_a_disabled_client_or_a_suspended_tenant() {
    let world = World::new().await;
    let token = world.session("acme", "ann@example.com").await;
    world.put_client("acme", "web", json!({"enabled": false})).await;
    assert_eq!(world.refresh(&token.refresh).await.refusal(), refused());
    world.put_client("acme", "web", json!({"enabled": true})).await;
    assert_eq!(world.refresh(&token.refresh).await.refusal(), refused());
    let token = world.session("acme", "bea@example.com").await;
    world.put_tenant("acme", json!({"status": "suspended"})).await;
    world.put_tenant("acme", json!({"status": "active"})).await;
    assert_eq!(world.refresh(&token.refresh).await.refusal(), refused());
    world.end().await;
}

/// S34, S35, spec §4: dead by the view and by the account, without a row of the token having changed.
#[tokio::test]
async fn what_the_token_depends_on_is_judged_at_every_use() {
    let world = World::new().await;
    world.put_client("acme", "web", json!({"scopes": ["openid", "offline_access"]})).await;
    let mut token = world.session("acme", "ann@example.com").await.refresh;
    for (kill, revive) in [
        (json!({"providers": ["google"]}), json!({"providers": null})),
        (json!({"grant_types": ["authorization_code"]}), json!({"grant_types": null})),
        (json!({"scopes": ["openid"]}), json!({"scopes": ["openid", "offline_access"]})),
    ] {
        world.put_client("acme", "web", kill.clone()).await;
        assert_eq!(world.refresh(&token).await.refusal(), refused(), "{kill}");
        world.put_client("acme", "web", revive).await;
        token = Tokens::of(&world.refresh(&token).await).refresh;
    }
    for status in ["disabled", "locked"] {
        let statement = match status {
            "disabled" => "UPDATE users SET status = 'disabled'",
            _ => "UPDATE users SET status = 'locked'",
        };
        world.sql(statement).await;
        assert_eq!(world.refresh(&token).await.refusal(), refused(), "{status}");
    }
    world.sql("UPDATE users SET status = 'active'").await;
    // S61: failed logins of somebody else log nobody out.
    for _ in 0..10 {
        world.try_login("acme", "ann@example.com", "wrong wrong wrong").await;
    }
    token = Tokens::of(&world.refresh(&token).await).refresh;
    world.sql("DELETE FROM users").await;
    assert_eq!(world.refresh(&token).await.refusal(), refused());
    world.end().await;
}

/// spec §4: the client's uuid is in the tokens, so a name that comes back does not bring them back.
#[tokio::test]
async fn a_client_or_tenant_that_was_made_again_does_not_revive_tokens() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    world.delete_client("acme", "web").await;
    assert_eq!(world.refresh(&tokens.refresh).await.refusal(), refused());
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    world.put_client("acme", "web", json!({"scopes": ["openid", "profile", "email"]})).await;
    assert_eq!(world.refresh(&tokens.refresh).await.refusal(), refused());
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    let tokens = world.login("acme", "ann@example.com").await;
    world.propose(Command::DeleteTenant { slug: slug("acme") }).await;
    assert_eq!(world.refresh(&tokens.refresh).await.refusal(), refused());
    world.put_tenant("acme", json!({})).await;
    world.put_client("acme", "web", json!({})).await;
    assert_eq!(world.refresh(&tokens.refresh).await.refusal(), refused());
    world.end().await;
}

/// S112: what the database holds opens nothing.
#[tokio::test]
async fn the_database_holds_no_usable_token() {
    let world = World::new().await;
    let first = world.session("acme", "ann@example.com").await;
    let second = Tokens::of(&world.refresh(&first.refresh).await);
    let mut connection = world.db.connection().await;
    let rows: Vec<String> = sqlx::query_scalar(
        "SELECT row_to_json(t)::text || encode(coalesce(t.successor_sealed, ''), 'escape') FROM refresh_tokens t",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    for token in [&first.refresh, &second.refresh] {
        let secret = token.split_once('.').unwrap().1;
        assert!(rows.iter().all(|row| !row.contains(secret)), "{rows:?}");
    }
    world.end().await;
}
