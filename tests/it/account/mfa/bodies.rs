//! What the routes take (spec §5, §13.10; S102).

use serde_json::json;

use super::{PASSWORD, World, call};

#[tokio::test]
async fn fields_that_are_unknown_missing_or_malformed_are_named() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let recovery = &ann.recovery[0];
    let both = json!({"password": PASSWORD, "code": "123456", "recovery_code": recovery});
    for (path, body, errors) in [
        ("/v1/mfa/totp/enroll", json!({"secret": "x"}), ["secret: unknown_field"]),
        ("/v1/mfa/totp/enroll", both.clone(), ["recovery_code: conflict"]),
        ("/v1/mfa/totp/enroll", json!({"code": "12345"}), ["code: invalid"]),
        ("/v1/mfa/totp/verify", json!({}), ["code: required"]),
        ("/v1/mfa/totp/verify", json!({"code": null}), ["code: wrong_type"]),
        ("/v1/mfa/totp/verify", json!({"code": 123_456}), ["code: wrong_type"]),
        ("/v1/mfa/totp/verify", json!({"code": "12345a"}), ["code: invalid"]),
        ("/v1/mfa/totp/verify", json!({"code": "123456", "enabled": true}), ["enabled: unknown_field"]),
        ("/v1/mfa/totp/disable", both.clone(), ["recovery_code: conflict"]),
        (
            "/v1/mfa/totp/disable",
            json!({"password": PASSWORD, "recovery_code": "short"}),
            ["recovery_code: invalid"],
        ),
        ("/v1/mfa/recovery/rotate", both.clone(), ["recovery_code: conflict"]),
        ("/v1/mfa/recovery/rotate", json!({}), ["password: required"]),
    ] {
        let answer = world.with_token(path, &ann.tokens.access, &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.errors()),
            (422, errors.map(str::to_owned).to_vec()),
            "{path} {body}"
        );
        assert_eq!(world.post(path, &body).await.status, 401, "{path}: before the body is looked at");
    }
    let token = world.half(&ann).await;
    for (body, errors) in [
        (json!({"mfa_token": token, "code": "1", "x": 1}), ["code: invalid"]),
        (json!({"mfa_token": token, "code": "123456", "tenant_id": "acme"}), ["tenant_id: unknown_field"]),
        (
            json!({"mfa_token": token, "code": "123456", "recovery_code": recovery}),
            ["recovery_code: conflict"],
        ),
        (json!({"mfa_token": token, "recovery_code": "0".repeat(29)}), ["recovery_code: invalid"]),
        (
            json!({"mfa_token": token, "code": "123456", "remember_device": "yes"}),
            ["remember_device: wrong_type"],
        ),
    ] {
        let answer = world.post("/v1/mfa/totp/challenge", &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.errors()),
            (422, errors.map(str::to_owned).to_vec()),
            "{body}"
        );
    }
    // No error echoes what was sent, none is a guess.
    let answer = world.post("/v1/mfa/totp/challenge", &json!({"mfa_token": token, "code": "98765"})).await;
    assert!(!answer.text().contains("98765"), "{}", answer.text());
    assert_eq!(world.count("SELECT failed_logins::bigint FROM users").await, 0);
    let long = json!({"password": "x".repeat(1025), "code": "123456"});
    let answer = world.with_token("/v1/mfa/totp/disable", &ann.tokens.access, &long).await;
    assert_eq!(answer.refusal(), (400, "invalid_parameter".to_owned()));
    // An empty body is one without fields, at enrolment alone.
    let empty = world.send(call("POST", "/v1/mfa/totp/enroll", Some(&ann.tokens.access), "")).await;
    assert_eq!(empty.refusal(), (403, "reauthentication_required".to_owned()));
    let empty = world.send(call("POST", "/v1/mfa/totp/challenge", None, "")).await;
    assert_eq!(empty.status, 400);
    world.end().await;
}

/// People type codes as they are shown.
#[tokio::test]
async fn codes_are_taken_with_the_spaces_that_authenticators_show() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let code = world.next_code(&ann.secret);
    let token = world.half(&ann).await;
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    assert_eq!(world.second(&token, &spaced).await.status, 200);
    world.end().await;
}
