//! POST /v1/auth/login (EP002).

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{Answer, Choice, ISSUER, PASSWORD, Tokens, World, part, payload, text_of};

/// An answer without what differs by design.
fn comparable(answer: &Answer) -> (u16, Value, Vec<String>) {
    let mut headers: Vec<String> =
        answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    headers.sort();
    (answer.status.as_u16(), answer.json(), headers)
}

/// EP002, spec §7
#[tokio::test]
async fn a_login_yields_tokens_with_the_claims_of_the_specification() {
    let world = World::new().await;
    let id = text_of(&world.register("acme", "ann@example.com").await.json()["user"], "id");
    let answer = world.try_login("acme", "ANN@example.com", PASSWORD).await;
    let tokens = Tokens::of(&answer);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let json = answer.json();
    let mut names: Vec<&str> = json.as_object().unwrap().keys().map(String::as_str).collect();
    names.sort_unstable();
    let expected =
        ["access_token", "expires_at", "expires_in", "id_token", "refresh_token", "scope", "token_type"];
    assert_eq!(names, expected);
    assert_eq!((&json["token_type"], &json["expires_in"]), (&json!("Bearer"), &json!(900)));
    assert_eq!(json["expires_at"], "2027-01-15T08:15:00.000Z");
    assert_eq!(json["scope"], "openid profile email");
    assert!(tokens.refresh.starts_with("hjr_acme."), "the token leads to its tenant");

    let header = part(&tokens.access, 0);
    let kid = world.key(&hellojohn_control::documents::KeySet::Global).kid.clone();
    assert_eq!(header, json!({"typ": "at+jwt", "alg": "EdDSA", "kid": kid}));
    let mut claims = payload(&tokens.access);
    for random in ["jti", "sid"] {
        let value = claims.as_object_mut().unwrap().remove(random).unwrap();
        value.as_str().unwrap().parse::<uuid::Uuid>().unwrap();
    }
    assert_eq!(
        claims,
        json!({
            "iss": ISSUER, "sub": id, "aud": "web", "client_id": "web", "azp": "web", "scope": "openid profile email",
            "tid": "acme", "exp": 1_800_000_900, "iat": 1_800_000_000, "nbf": 1_800_000_000, "amr": ["pwd"],
            "acr": "loa:1",
        })
    );
    world.end().await;
}

/// spec §7: node, then tenant, then client; a client gets no scope that it does not have.
#[tokio::test]
async fn lifetimes_and_scopes_come_from_the_closest_that_names_them() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    world.put_tenant("acme", json!({"settings": {"tokens": {"accessTtlSeconds": 300}}})).await;
    let answer = world.try_login("acme", "ann@example.com", PASSWORD).await;
    assert_eq!(answer.json()["expires_in"], 300);
    world.put_client("acme", "web", json!({"access_ttl_seconds": 120, "scopes": ["openid"]})).await;
    let answer = world.try_login("acme", "ann@example.com", PASSWORD).await;
    assert_eq!((&answer.json()["expires_in"], &answer.json()["scope"]), (&json!(120), &json!("openid")));
    world.put_client("acme", "web", json!({"grant_types": ["authorization_code"]})).await;
    let answer = world.try_login("acme", "ann@example.com", PASSWORD).await;
    assert_eq!(answer.json().get("refresh_token"), None, "this client may not refresh");
    world.end().await;
}

/// S60: unknown user, wrong password, held, disabled: one body, and one Argon2 each.
#[tokio::test]
async fn every_failure_has_the_same_answer_and_costs_the_same_work() {
    let world = World::new().await;
    for name in ["ann", "disabled", "locked", "held", "no-password"] {
        world.register("acme", &format!("{name}@example.com")).await;
    }
    world.sql("UPDATE users SET status = 'disabled' WHERE email = 'disabled@example.com'").await;
    world.sql("UPDATE users SET status = 'locked' WHERE email = 'locked@example.com'").await;
    world
        .sql("UPDATE users SET locked_until = '2027-01-15T08:01:00Z' WHERE email = 'held@example.com'")
        .await;
    world.sql("UPDATE users SET password_hash = NULL WHERE email = 'no-password@example.com'").await;
    world.register("local", "elsewhere@example.com").await;
    let mut answers = Vec::new();
    for email in [
        "ann@example.com",
        "disabled@example.com",
        "locked@example.com",
        "held@example.com",
        "no-password@example.com",
        "nobody@example.com",
        "elsewhere@example.com",
        "no address at all",
        "",
    ] {
        let before = world.hashes.begun();
        let answer = world.try_login("acme", email, "wrong wrong wrong").await;
        assert_eq!(world.hashes.begun() - before, 1, "{email}");
        assert_eq!(answer.refusal(), (401, "invalid_credentials".to_owned()), "{email}");
        assert_eq!(answer.header("www-authenticate"), None, "{email}");
        answers.push(comparable(&answer));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    // After the right password only.
    for (email, expected) in [
        ("disabled@example.com", "account_disabled"),
        ("locked@example.com", "account_locked"),
        ("held@example.com", "account_locked"),
    ] {
        let answer = world.try_login("acme", email, PASSWORD).await;
        assert_eq!(answer.refusal(), (403, expected.to_owned()));
    }
    assert_eq!(world.try_login("acme", "no-password@example.com", PASSWORD).await.status, 401);
    world.end().await;
}

/// S61: ten failures hold an account back for a quarter of an hour, and no longer.
#[tokio::test]
async fn an_account_is_held_back_after_ten_failures_and_for_a_quarter_of_an_hour() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    for _ in 0..9 {
        world.try_login("acme", "ann@example.com", "wrong wrong wrong").await;
    }
    world.login("acme", "ann@example.com").await;
    assert_eq!(world.count("SELECT failed_logins::bigint FROM users").await, 0, "a success begins anew");
    for _ in 0..10 {
        world.try_login("acme", "ann@example.com", "wrong wrong wrong").await;
    }
    let locked = (403, "account_locked".to_owned());
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.refusal(), locked);
    world.clock.advance(Duration::from_millis(15 * 60 * 1000 - 1));
    assert_eq!(world.try_login("acme", "ann@example.com", "wrong wrong wrong").await.status, 401);
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.refusal(), locked);
    world.clock.advance(Duration::from_millis(1));
    world.login("acme", "ann@example.com").await;
    world.end().await;
}

/// S61: the counter is atomic, and the right password does not slip through among many wrong ones.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_failures_all_count() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    let all = (0..60).map(|_| world.try_login("acme", "ann@example.com", "wrong wrong wrong"));
    let answers = futures::future::join_all(all).await;
    assert!(answers.iter().all(|answer| answer.status == 401));
    assert_eq!(world.count("SELECT failed_logins::bigint FROM users").await, 60);
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.status, 403);
    world.end().await;
}

/// S64: a hash of other parameters is renewed by the first login, once.
#[tokio::test]
async fn a_hash_of_old_parameters_is_renewed_at_login() {
    let old = World::with(Choice { iterations: Some(2), ..Choice::default() }).await;
    old.register("acme", "ann@example.com").await;
    let mut connection = old.db.connection().await;
    let hash: String =
        sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(&mut connection).await.unwrap();
    assert!(hash.contains("t=2"), "{hash}");
    old.end().await;

    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    let mut connection = world.db.connection().await;
    sqlx::query("UPDATE users SET password_hash = $1").bind(&hash).execute(&mut connection).await.unwrap();
    for hashes in [2, 1] {
        let before = world.hashes.begun();
        world.login("acme", "ann@example.com").await;
        assert_eq!(world.hashes.begun() - before, hashes);
    }
    let renewed: String =
        sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(&mut connection).await.unwrap();
    assert!(renewed.contains("t=1"), "{renewed}");
    world.end().await;
}

/// S63, spec §13.13: a login does not enforce the policy; over 1,024 bytes nothing is hashed.
#[tokio::test]
async fn the_policy_is_for_new_passwords_and_the_byte_limit_for_all() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    world.put_tenant("acme", json!({"settings": {"passwordPolicy": {"minLength": 64}}})).await;
    world.login("acme", "ann@example.com").await;
    let before = world.hashes.begun();
    let answer = world.try_login("acme", "ann@example.com", &"x".repeat(1025)).await;
    assert_eq!(answer.refusal(), (400, "invalid_parameter".to_owned()));
    assert_eq!(world.hashes.begun(), before);
    assert_eq!(world.try_login("acme", "ann@example.com", &"x".repeat(1024)).await.status, 401);
    world.end().await;
}

/// S102
#[tokio::test]
async fn unknown_fields_are_refused() {
    let world = World::new().await;
    let body = json!({"tenant_id": "acme", "client_id": "web", "email": "a@b.example", "password": "x", "scope": "all"});
    let answer = world.post("/v1/auth/login", &body).await;
    assert_eq!(answer.errors(), ["scope: unknown_field"]);
    let answer = world.post("/v1/auth/refresh", &json!({"refresh_token": "x", "scope": "all"})).await;
    assert_eq!(answer.errors(), ["scope: unknown_field"]);
    let answer = world.post("/v1/auth/logout", &json!({"refresh_token": "x", "all": true})).await;
    assert_eq!(answer.errors(), ["all: unknown_field"]);
    world.end().await;
}

/// Spec §8: `AUTH_MAX_FAILED_LOGINS`, `AUTH_LOCK_DURATION`.
#[tokio::test]
async fn when_and_for_how_long_an_account_is_held_back_are_settings() {
    let env = [("AUTH_MAX_FAILED_LOGINS", "3"), ("AUTH_LOCK_DURATION", "2m")];
    let env = env.map(|(name, value)| (name, value.to_owned())).to_vec();
    let world = World::with(Choice { env, ..Choice::default() }).await;
    world.register("acme", "ann@example.com").await;
    for _ in 0..3 {
        world.try_login("acme", "ann@example.com", "wrong wrong wrong").await;
    }
    let held = world.try_login("acme", "ann@example.com", PASSWORD).await;
    assert_eq!(held.refusal(), (403, "account_locked".to_owned()));
    world.clock.advance(Duration::from_secs(120));
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.status, 200);
    world.end().await;
}
