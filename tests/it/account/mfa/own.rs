//! Password change and deletion of an account with a second factor (EP010; S34, S68, S69).

use std::time::Duration;

use hellojohn::domain::clock::Clock as _;
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

/// OpenID Connect Core §2: `auth_time` is when what `amr` names was shown. A password that is typed again makes no second factor of an
/// hour ago a fresh one; a proof that is shown with it does, and so does the password where it is all there is.
#[tokio::test]
async fn a_changed_password_tells_the_time_of_what_was_shown() {
    const AUTH_TIME: &str = "SELECT extract(epoch FROM auth_time)::bigint FROM token_families \
        WHERE revoked_at IS NULL AND tenant = 'acme'";
    let world = World::new().await;
    let later = Duration::from_secs(10 * 60);
    let change = |current: &str, new: &str| json!({"current_password": current, "new_password": new});

    // The password alone, of an account that has nothing else.
    let tokens = world.session("acme", "bob@example.com").await;
    world.clock.advance(later);
    let answer = world.with_token("/v1/me/password", &tokens.access, &change(PASSWORD, NEW)).await;
    assert_eq!(Tokens::of(&answer).claims().amr, ["pwd"]);
    assert_eq!(world.count(AUTH_TIME).await, world.clock.now().secs());
    world.sql("DELETE FROM users WHERE tenant = 'acme'").await;

    let ann = world.holder("acme", "ann@example.com").await;
    let tokens = world.full_login(&ann).await;
    let login = world.clock.now().secs();
    world.clock.advance(later);
    let answer = world.with_token("/v1/me/password", &tokens.access, &change(PASSWORD, NEW)).await;
    assert_eq!(Tokens::of(&answer).claims().amr, ["pwd", "otp", "mfa"]);
    assert_eq!(world.count(AUTH_TIME).await, login, "both were shown at the login");

    let back = change(NEW, PASSWORD);
    let answer = world.with_token("/v1/me/password", &Tokens::of(&answer).access, &back).await;
    assert_eq!(world.count(AUTH_TIME).await, login, "however often");
    Tokens::of(&answer);

    // A session of one factor, and the other one now.
    let (_, device) = world.remembered(&ann).await;
    let body = json!({"tenant_id": "acme", "client_id": "web", "email": ann.email, "password": PASSWORD});
    let mut request = call("POST", "/v1/auth/login", None, &body.to_string());
    request.headers_mut().insert("cookie", format!("hj_device={device}").parse().unwrap());
    let tokens = Tokens::of(&world.send(request).await);
    world.clock.advance(later);
    let mut both = change(PASSWORD, NEW);
    both["mfa_code"] = json!(world.next_code(&ann.secret));
    let answer = world.with_token("/v1/me/password", &tokens.access, &both).await;
    assert_eq!(Tokens::of(&answer).claims().amr, ["pwd", "otp", "mfa"]);
    assert_eq!(world.count(AUTH_TIME).await, world.clock.now().secs());
    world.end().await;
}
