//! POST /v1/auth/logout and logout-all (EP005, EP006; S34, S40).

use serde_json::json;

use super::world::{Answer, Tokens, World, call};

async fn logout(world: &World, refresh: Option<&str>, bearer: Option<&str>) -> Answer {
    let body = refresh.map_or(String::new(), |token| json!({"refresh_token": token}).to_string());
    world.send(call("POST", "/v1/auth/logout", bearer, &body)).await
}

/// EP005: the family is revoked, and the access token that came along is denied at once.
#[tokio::test]
async fn logout_ends_the_session_and_denies_the_access_token() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let other = world.login("acme", "ann@example.com").await;
    let answer = logout(&world, Some(&tokens.refresh), Some(&tokens.access)).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    assert_eq!(world.refresh(&tokens.refresh).await.refusal(), (401, "invalid_refresh_token".to_owned()));
    assert_eq!(world.get("/v1/me", &tokens.access).await.refusal(), (401, "invalid_token".to_owned()));
    assert_eq!(world.count("SELECT count(*) FROM denied_jti").await, 1);
    let lives_until = "SELECT extract(epoch FROM expires_at)::bigint FROM denied_jti";
    assert_eq!(world.count(lives_until).await, tokens.claims().exp, "until the token's own end");
    assert_eq!(world.get("/v1/me", &other.access).await.status, 200, "another session goes on");
    Tokens::of(&world.refresh(&other.refresh).await);
    world.end().await;
}

/// spec §13.12: at our own routes an access token dies with its session, also when it did not come along.
#[tokio::test]
async fn either_token_alone_ends_the_session() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    assert_eq!(logout(&world, Some(&tokens.refresh), None).await.status, 204);
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    let tokens = world.login("acme", "ann@example.com").await;
    assert_eq!(logout(&world, None, Some(&tokens.access)).await.status, 204);
    assert_eq!(world.refresh(&tokens.refresh).await.status, 401);
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    // A token that was rotated away still names its session.
    let first = world.login("acme", "ann@example.com").await;
    let second = Tokens::of(&world.refresh(&first.refresh).await);
    assert_eq!(logout(&world, Some(&first.refresh), None).await.status, 204);
    assert_eq!(world.refresh(&second.refresh).await.status, 401);
    world.end().await;
}

/// §13.10: 204 whatever the tokens are, twice too, and nobody else's session is touched.
#[tokio::test]
async fn logout_is_204_for_tokens_that_are_no_good() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let moved = tokens.refresh.replacen("acme", "local", 1);
    let unknown = tokens.refresh.replacen("acme", "nobody", 1);
    let forged = format!("{}x", tokens.access);
    for (refresh, bearer) in [
        (None, None),
        (Some("x"), None),
        (Some(moved.as_str()), None),
        (Some(unknown.as_str()), None),
        (Some(tokens.access.as_str()), None),
        (None, Some("x")),
        (None, Some(forged.as_str())),
        (None, Some(tokens.refresh.as_str())),
    ] {
        assert_eq!(logout(&world, refresh, bearer).await.status, 204);
    }
    let second = Tokens::of(&world.refresh(&tokens.refresh).await);
    for _ in 0..2 {
        assert_eq!(logout(&world, Some(&second.refresh), Some(&second.access)).await.status, 204);
    }
    world.end().await;
}

/// EP006: every session of this account, and of nobody else.
#[tokio::test]
async fn logout_all_ends_every_session_of_the_account() {
    let world = World::new().await;
    let one = world.session("acme", "ann@example.com").await;
    let two = world.login("acme", "ann@example.com").await;
    let bob = world.session("acme", "bob@example.com").await;
    let answer = world.send(call("POST", "/v1/auth/logout-all", Some(&one.access), "")).await;
    assert_eq!(answer.status, 204);
    for tokens in [&one, &two] {
        assert_eq!(world.refresh(&tokens.refresh).await.status, 401);
        assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    }
    assert_eq!(world.get("/v1/me", &bob.access).await.status, 200);
    Tokens::of(&world.refresh(&bob.refresh).await);
    let answer = world.send(call("POST", "/v1/auth/logout-all", Some(&one.access), "")).await;
    assert_eq!(answer.status, 401, "the token that asked for it is dead too");
    let answer = world.send(call("POST", "/v1/auth/logout-all", None, "")).await;
    assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"hellojohn\""));
    world.end().await;
}
