//! Password change and deletion of an account with a second factor (EP010; S34, S68, S69).

use serde_json::{Value, json};

use super::{Answer, Holder, PASSWORD, Tokens, World, call, refused};

const NEW: &str = "another horse, battery";

impl World {
    async fn change_own(&self, bearer: &str, more: Value) -> Answer {
        let mut body = json!({"current_password": PASSWORD, "new_password": NEW});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.with_token("/v1/me/password", bearer, &body).await
    }

    async fn delete_own(&self, bearer: &str, more: Value) -> Answer {
        let mut body = json!({"password": PASSWORD});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.send(call("DELETE", "/v1/me", Some(bearer), &body.to_string())).await
    }
}

fn needed() -> (u16, String) {
    (403, "mfa_required".to_owned())
}

/// S68: neither a way around the second factor nor a way down.
#[tokio::test]
async fn a_changed_password_keeps_what_the_session_is_worth() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let both = world.full_login(&ann).await;
    let half = world.half(&ann).await;
    let fresh = Tokens::of(&world.change_own(&both.access, json!({})).await);
    let claims = fresh.claims();
    assert_eq!(
        (claims.amr, claims.acr.as_deref()),
        (vec!["pwd".into(), "otp".into(), "mfa".into()], Some("loa:2"))
    );
    assert_ne!(claims.sid, both.claims().sid);
    // S68: half a login with the old password leads nowhere.
    let code = world.next_code(&ann.secret);
    assert_eq!(world.second(&half, &code).await.refusal(), refused("invalid_mfa_token"));
    assert_eq!(world.count("SELECT count(*) FROM mfa_tokens").await, 0);
    assert_eq!(world.try_login("acme", ann.email, NEW).await.json()["mfa_required"], true);
    world.end().await;
}

/// S69: a session of the password alone changes no password.
#[tokio::test]
async fn a_session_of_one_factor_needs_the_other_to_change_the_password() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let bearer = &ann.tokens.access;
    for nothing in [json!({}), json!({"mfa_code": null})] {
        assert_eq!(world.change_own(bearer, nothing).await.refusal(), needed());
    }
    let wrong = json!({"mfa_code": world.wrong_code(&ann.secret)});
    assert_eq!(world.change_own(bearer, wrong).await.refusal(), refused("invalid_mfa_code"));
    assert_eq!(world.count("SELECT failed_logins::bigint FROM users").await, 1);
    let malformed = world.change_own(bearer, json!({"mfa_code": "12345"})).await;
    assert_eq!(malformed.errors(), ["mfa_code: invalid"]);
    let two = json!({"mfa_code": "123456", "recovery_code": ann.recovery[0]});
    assert_eq!(world.change_own(bearer, two).await.errors(), ["recovery_code: conflict"]);
    assert_eq!(world.get("/v1/me", bearer).await.status, 200, "nothing was ended");
    let code = world.next_code(&ann.secret);
    let fresh = Tokens::of(&world.change_own(bearer, json!({"mfa_code": code})).await);
    assert_eq!(fresh.claims().acr.as_deref(), Some("loa:2"), "both were shown for it");
    let twice = json!({"tenant_id": "acme", "client_id": "web", "email": ann.email, "password": NEW, "mfa_code": code});
    assert_eq!(world.post("/v1/auth/login", &twice).await.refusal(), refused("invalid_mfa_code"));
    world.end().await;
}

/// EP010: the account goes with everything about its factors, and not by a stolen password.
#[tokio::test]
async fn a_deleted_account_leaves_no_factor() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let half = world.half(&ann).await;
    let remember = json!({"mfa_token": half, "code": world.next_code(&ann.secret), "remember_device": true});
    let both = Tokens::of(&world.post("/v1/mfa/totp/challenge", &remember).await);
    world.half(&ann).await;
    let again = json!({"password": PASSWORD, "code": world.next_code(&ann.secret)});
    assert_eq!(world.enroll(&both.access, &again).await.status, 200);

    assert_eq!(world.delete_own(&ann.tokens.access, json!({})).await.refusal(), needed());
    let wrong = json!({"recovery_code": "aaaa-bbbb-cccc-dddd-eeee-ffff"});
    assert_eq!(world.delete_own(&ann.tokens.access, wrong).await.refusal(), refused("invalid_mfa_code"));
    let tables = [
        ("SELECT count(*) FROM totp_factors", 1),
        ("SELECT count(*) FROM totp_enrolments", 1),
        ("SELECT count(*) FROM recovery_codes", 10),
        ("SELECT count(*) FROM mfa_tokens", 1),
        ("SELECT count(*) FROM trusted_devices", 1),
    ];
    for (table, count) in tables {
        assert_eq!(world.count(table).await, count, "{table}");
    }
    assert_eq!(world.delete_own(&both.access, json!({})).await.status, 204);
    for (table, _) in tables {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
    let bea: Holder = world.holder("acme", "bea@example.com").await;
    let proven = json!({"recoveryCode": bea.recovery[0]});
    assert_eq!(world.delete_own(&bea.tokens.access, proven).await.status, 204);
    world.end().await;
}
