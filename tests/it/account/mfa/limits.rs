//! The pools of second factors (spec §10, S61).

use std::time::Duration;

use serde_json::json;

use super::{PASSWORD, Tokens, World, refused, text_of};
use crate::account::world::Choice;

/// With limits, and with so many failures allowed that no account is held back before.
async fn limited(name: &'static str, limit: &str) -> World {
    let fixed = [("RATE_ENABLED", "1"), ("AUTH_MAX_FAILED_LOGINS", "100"), ("AUTH_LOCK_DURATION", "1h")];
    let env =
        fixed.into_iter().chain([(name, limit)]).map(|(name, value)| (name, value.to_owned())).collect();
    World::with(Choice { env, ..Choice::default() }).await
}

fn spent() -> (u16, String) {
    (429, "too_many_requests".to_owned())
}

#[tokio::test]
async fn wrong_codes_of_logins_are_limited_and_right_ones_are_not() {
    let world = limited("RATE_MFA_CHALLENGE_LIMIT", "3").await;
    let ann = world.holder("acme", "ann@example.com").await;
    let bea = world.holder("acme", "bea@example.com").await;
    for _ in 0..5 {
        world.full_login(&ann).await;
    }
    for _ in 0..3 {
        let token = world.half(&ann).await;
        let answer = world.second(&token, &world.wrong_code(&ann.secret)).await;
        assert_eq!(answer.refusal(), refused("invalid_mfa_code"));
    }
    let token = world.half(&ann).await;
    let code = world.next_code(&ann.secret);
    let answer = world.second(&token, &code).await;
    assert_eq!(answer.refusal(), spent(), "the right code too");
    assert!(answer.header("retry-after").is_some());
    assert_eq!(world.recover(&token, &ann.recovery[0]).await.refusal(), spent());
    assert_eq!(world.count("SELECT count(*) FROM recovery_codes").await, 20, "none was used up");
    world.full_login(&bea).await;
    world.clock.advance(Duration::from_secs(15 * 60));
    world.full_login(&ann).await;
    world.end().await;
}

/// A wrong code with the password counts like a wrong password.
#[tokio::test]
async fn wrong_codes_in_one_step_count_in_the_pool_of_logins() {
    let world = limited("RATE_LOGIN_LIMIT", "2").await;
    let ann = world.holder("acme", "ann@example.com").await;
    let body = |code: String| json!({"tenant_id": "acme", "client_id": "web", "email": ann.email, "password": PASSWORD, "mfa_code": code});
    for _ in 0..2 {
        let answer = world.post("/v1/auth/login", &body(world.wrong_code(&ann.secret))).await;
        assert_eq!(answer.refusal(), refused("invalid_mfa_code"));
    }
    let answer = world.post("/v1/auth/login", &body(world.next_code(&ann.secret))).await;
    assert_eq!(answer.refusal(), spent());
    world.end().await;
}

#[tokio::test]
async fn enrolments_are_limited_whatever_comes_of_them() {
    let world = limited("RATE_MFA_ENROLL_LIMIT", "2").await;
    let tokens = world.session("acme", "ann@example.com").await;
    for _ in 0..2 {
        assert_eq!(world.enroll(&tokens.access, &json!({})).await.status, 200);
    }
    assert_eq!(world.enroll(&tokens.access, &json!({})).await.refusal(), spent());
    world.end().await;
}

#[tokio::test]
async fn first_codes_are_limited() {
    let world = limited("RATE_MFA_VERIFY_LIMIT", "2").await;
    let tokens = world.session("acme", "ann@example.com").await;
    let secret = text_of(&world.enroll(&tokens.access, &json!({})).await.json(), "secret_base32");
    for _ in 0..2 {
        let answer = world.verify(&tokens.access, &world.wrong_code(&secret)).await;
        assert_eq!(answer.refusal(), refused("invalid_mfa_code"));
    }
    assert_eq!(world.verify(&tokens.access, &world.code(&secret)).await.refusal(), spent());
    world.end().await;
}

/// Disabling and rotating share a pool; so do the password change and the deletion with the challenge.
#[tokio::test]
async fn codes_that_a_token_holder_guesses_are_limited() {
    let world = limited("RATE_MFA_DISABLE_LIMIT", "2").await;
    let ann = world.holder("acme", "ann@example.com").await;
    let wrong = json!({"password": PASSWORD, "code": world.wrong_code(&ann.secret)});
    for path in ["/v1/mfa/totp/disable", "/v1/mfa/recovery/rotate"] {
        let answer = world.with_token(path, &ann.tokens.access, &wrong).await;
        assert_eq!(answer.refusal(), refused("invalid_mfa_code"), "{path}");
    }
    let right = json!({"password": PASSWORD, "code": world.next_code(&ann.secret)});
    let answer = world.with_token("/v1/mfa/totp/disable", &ann.tokens.access, &right).await;
    assert_eq!(answer.refusal(), spent());
    world.end().await;

    let world = limited("RATE_MFA_CHALLENGE_LIMIT", "1").await;
    let ann = world.holder("acme", "ann@example.com").await;
    let both = world.full_login(&ann).await;
    let change = |code: &str| json!({"current_password": PASSWORD, "new_password": "another horse, battery", "mfa_code": code});
    let wrong = change(&world.wrong_code(&ann.secret));
    let answer = world.with_token("/v1/me/password", &ann.tokens.access, &wrong).await;
    assert_eq!(answer.refusal(), refused("invalid_mfa_code"));
    let right = change(&world.next_code(&ann.secret));
    let answer = world.with_token("/v1/me/password", &ann.tokens.access, &right).await;
    assert_eq!(answer.refusal(), spent());
    // Who shows no code guesses none: a session of both factors is not held up by somebody else's guesses.
    let plain = json!({"current_password": PASSWORD, "new_password": "another horse, battery"});
    Tokens::of(&world.with_token("/v1/me/password", &both.access, &plain).await);
    world.end().await;
}
