//! Enrol, verify, replace, disable, new recovery codes (EP060, EP061, EP063, EP064; S34, S66, S67).

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use serde_json::json;

use super::{PASSWORD, Tokens, World, list, mfa_token, refused, text_of};

/// EP060-EP062, spec §7, §13.10: the whole way, once.
#[tokio::test]
async fn an_authenticator_is_enrolled_and_asked_for_from_then_on() {
    let world = World::new().await;
    world.put_tenant("acme", json!({"name": "Acme Ltd"})).await;
    let tokens = world.session("acme", "ann@example.com").await;
    let off = json!({"totp_enabled": false, "totp_enabled_at": null, "recovery_codes_left": 0, "trusted_devices": 0});
    assert_eq!(world.status(&tokens.access).await, off);

    let answer = world.enroll(&tokens.access, &json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.header("cache-control")), (200, Some("no-store")));
    let json = answer.json();
    let secret = text_of(&json, "secret_base32");
    assert_eq!(data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap().len(), 20, "160 bits");
    let url = format!(
        "otpauth://totp/Acme%20Ltd:ann%40example.com?secret={secret}&issuer=Acme%20Ltd&algorithm=SHA1&digits=6&period=30"
    );
    assert_eq!(json["otpauth_url"], url);
    assert!(text_of(&json, "qr_svg").starts_with("<svg "));
    let png = base64::engine::general_purpose::STANDARD.decode(text_of(&json, "qr_png")).unwrap();
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let mut members: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    members.sort_unstable();
    assert_eq!(members, ["otpauth_url", "qr_png", "qr_svg", "secret_base32"]);

    // Nothing is asked for until the first code shows that the authenticator has the secret.
    world.login("acme", "ann@example.com").await;
    assert_eq!(world.status(&tokens.access).await, off);
    let answer = world.verify(&tokens.access, &world.code(&secret)).await;
    assert_eq!(answer.json()["enabled"], true, "{}", answer.text());
    let codes = list(&answer.json()["recovery_codes"]);
    assert_eq!((codes.len(), codes.iter().collect::<BTreeSet<_>>().len()), (10, 10));

    let answer = world.try_login("acme", "ann@example.com", PASSWORD).await;
    assert_eq!(answer.json()["methods"], json!(["totp", "recovery_code"]));
    let mut members: Vec<_> = answer.json().as_object().unwrap().keys().cloned().collect();
    members.sort_unstable();
    assert_eq!(members, ["methods", "mfa_required", "mfa_token"]);
    let token = mfa_token(&answer);
    let both = Tokens::of(&world.second(&token, &world.next_code(&secret)).await);
    let claims = both.claims();
    assert_eq!(
        (claims.amr, claims.acr.as_deref()),
        (vec!["pwd".into(), "otp".into(), "mfa".into()], Some("loa:2"))
    );
    // It stays so, and the session that enrolled is worth what it was.
    let again = Tokens::of(&world.refresh(&both.refresh).await);
    assert_eq!(again.claims().acr.as_deref(), Some("loa:2"));
    let old = Tokens::of(&world.refresh(&tokens.refresh).await);
    assert_eq!((old.claims().amr, old.claims().acr.as_deref()), (vec!["pwd".into()], Some("loa:1")));
    let status = world.status(&again.access).await;
    assert_eq!((&status["totp_enabled"], &status["recovery_codes_left"]), (&json!(true), &json!(10)));
    assert!(status["totp_enabled_at"].is_string(), "{status}");
    world.end().await;
}

/// S66: a token that somebody finds later adds no factor.
#[tokio::test]
async fn a_first_factor_needs_a_recent_login_or_the_password() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    world.clock.advance(Duration::from_secs(600));
    assert_eq!(world.enroll(&tokens.access, &json!({})).await.status, 200);
    world.clock.advance(Duration::from_millis(1));
    let late = (403, "reauthentication_required".to_owned());
    assert_eq!(world.enroll(&tokens.access, &json!({})).await.refusal(), late);
    assert_eq!(world.enroll(&tokens.access, &json!({"password": null})).await.refusal(), late);
    // A refresh is no login.
    let fresh = Tokens::of(&world.refresh(&tokens.refresh).await);
    assert_eq!(world.enroll(&fresh.access, &json!({})).await.refusal(), late);
    let wrong = world.enroll(&fresh.access, &json!({"password": "a wrong guess"})).await;
    assert_eq!(wrong.refusal(), refused("invalid_credentials"));
    assert_eq!(world.count("SELECT failed_logins::bigint FROM users").await, 1);
    assert_eq!(world.enroll(&fresh.access, &json!({"password": PASSWORD})).await.status, 200);
    assert_eq!(world.post("/v1/mfa/totp/enroll", &json!({})).await.status, 401);
    world.end().await;
}

/// S66: the active secret stays in force until the new one had its first code, and only both factors begin that.
#[tokio::test]
async fn enrolment_never_replaces_an_active_secret_without_both_factors() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let bearer = &ann.tokens.access;
    let needed = (403, "reauthentication_required".to_owned());
    let code = world.next_code(&ann.secret);
    for body in [
        json!({}),
        json!({"password": PASSWORD}),
        json!({"code": code}),
        json!({"recovery_code": ann.recovery[0]}),
    ] {
        assert_eq!(world.enroll(bearer, &body).await.refusal(), needed, "{body}");
    }
    let wrong = json!({"password": PASSWORD, "code": world.wrong_code(&ann.secret)});
    assert_eq!(world.enroll(bearer, &wrong).await.refusal(), refused("invalid_mfa_code"));
    let wrong = json!({"password": "a wrong guess", "code": code});
    assert_eq!(world.enroll(bearer, &wrong).await.refusal(), refused("invalid_credentials"));
    let stranger = json!({"password": PASSWORD, "recovery_code": "aaaa-bbbb-cccc-dddd-eeee-ffff"});
    assert_eq!(world.enroll(bearer, &stranger).await.refusal(), refused("invalid_mfa_code"));
    assert_eq!(world.count("SELECT count(*) FROM totp_enrolments").await, 0);
    assert_eq!(world.count("SELECT failed_logins::bigint FROM users").await, 3);

    let answer = world.enroll(bearer, &json!({"password": PASSWORD, "code": code})).await;
    let new = text_of(&answer.json(), "secret_base32");
    assert_ne!(new, ann.secret);
    // Until then the old one, and the code that was shown is used up.
    let token = world.half(&ann).await;
    assert_eq!(world.second(&token, &code).await.refusal(), refused("invalid_mfa_code"));
    let early = world.code(&new);
    assert_eq!(world.second(&token, &early).await.refusal(), refused("invalid_mfa_code"));
    let other = Tokens::of(&world.second(&token, &world.next_code(&ann.secret)).await);

    let half = world.half(&ann).await;
    let answer = world.verify(bearer, &world.code(&new)).await;
    let codes = list(&answer.json()["recovery_codes"]);
    assert!(codes.iter().all(|code| !ann.recovery.contains(code)));
    // Everything from before it is over: the other session, the half login, the old secret, the old codes.
    assert_eq!(world.refresh(&other.refresh).await.status, 401);
    assert_eq!(world.get("/v1/me", &other.access).await.status, 401);
    assert_eq!(world.get("/v1/me", bearer).await.status, 200);
    let code = world.next_code(&new);
    assert_eq!(world.second(&half, &code).await.refusal(), refused("invalid_mfa_token"));
    let token = world.half(&ann).await;
    assert_eq!(world.second(&token, &world.code(&ann.secret)).await.refusal(), refused("invalid_mfa_code"));
    assert_eq!(world.recover(&token, &ann.recovery[1]).await.refusal(), refused("invalid_mfa_code"));
    Tokens::of(&world.second(&token, &code).await);
    world.end().await;
}

/// S66: what was begun while there was no factor does not replace one that came meanwhile.
#[tokio::test]
async fn an_enrolment_replaces_what_its_owner_proved_to_hold_and_nothing_else() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let both = json!({"password": PASSWORD, "code": world.next_code(&ann.secret)});
    let answer = world.enroll(&ann.tokens.access, &both).await;
    let new = text_of(&answer.json(), "secret_base32");
    world.sql("UPDATE totp_enrolments SET replaces = NULL").await;
    let answer = world.verify(&ann.tokens.access, &world.code(&new)).await;
    assert_eq!(answer.refusal(), (404, "mfa_enrolment_not_found".to_owned()));
    world.full_login(&ann).await;
    world.end().await;
}

/// Spec §4: one-time things end.
#[tokio::test]
async fn an_enrolment_ends_after_a_quarter_of_an_hour_five_wrong_codes_or_another_one() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let none = (404, "mfa_enrolment_not_found".to_owned());
    assert_eq!(world.verify(&tokens.access, "123456").await.refusal(), none);

    let first = text_of(&world.enroll(&tokens.access, &json!({})).await.json(), "secret_base32");
    let second = text_of(&world.enroll(&tokens.access, &json!({})).await.json(), "secret_base32");
    let answer = world.verify(&tokens.access, &world.code(&first)).await;
    assert_eq!(answer.refusal(), refused("invalid_mfa_code"));
    for _ in 0..4 {
        let answer = world.verify(&tokens.access, &world.wrong_code(&second)).await;
        assert_eq!(answer.refusal(), refused("invalid_mfa_code"));
    }
    assert_eq!(world.verify(&tokens.access, &world.code(&second)).await.refusal(), none);
    assert_eq!(world.count("SELECT failed_logins::bigint FROM users").await, 0, "nobody is held back for it");

    let tokens = world.login("acme", "ann@example.com").await;
    let third = text_of(&world.enroll(&tokens.access, &json!({})).await.json(), "secret_base32");
    world.clock.advance(Duration::from_secs(15 * 60 - 1));
    let fresh = Tokens::of(&world.refresh(&tokens.refresh).await);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.verify(&fresh.access, &world.code(&third)).await.refusal(), none);
    world.end().await;
}

/// S34: a change of the factors ends every other session.
#[tokio::test]
async fn enabling_and_disabling_end_every_other_session() {
    let world = World::new().await;
    let one = world.session("acme", "ann@example.com").await;
    let two = world.login("acme", "ann@example.com").await;
    let eve = world.session("acme", "eve@example.com").await;
    let secret = text_of(&world.enroll(&one.access, &json!({})).await.json(), "secret_base32");
    assert_eq!(world.verify(&one.access, &world.code(&secret)).await.status, 200);
    assert_eq!(world.refresh(&two.refresh).await.refusal(), refused("invalid_refresh_token"));
    assert_eq!(world.get("/v1/me", &two.access).await.status, 401);
    assert_eq!(
        world.count("SELECT count(*) FROM token_families WHERE revoke_reason = 'mfa_changed'").await,
        1
    );
    let token = mfa_token(&world.try_login("acme", "ann@example.com", PASSWORD).await);
    let three = Tokens::of(&world.second(&token, &world.next_code(&secret)).await);
    let half = mfa_token(&world.try_login("acme", "ann@example.com", PASSWORD).await);

    let body = json!({"password": PASSWORD, "code": world.next_code(&secret)});
    let answer = world.with_token("/v1/mfa/totp/disable", &one.access, &body).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0), "{}", answer.text());
    assert_eq!(world.refresh(&three.refresh).await.status, 401);
    assert_eq!(world.get("/v1/me", &one.access).await.status, 200);
    assert_eq!(world.get("/v1/me", &eve.access).await.status, 200, "nobody else's");
    let code = world.next_code(&secret);
    assert_eq!(world.second(&half, &code).await.refusal(), refused("invalid_mfa_token"));
    let claims = world.login("acme", "ann@example.com").await.claims();
    assert_eq!(claims.acr.as_deref(), Some("loa:1"));
    for table in ["SELECT count(*) FROM totp_factors", "SELECT count(*) FROM recovery_codes"] {
        assert_eq!(world.count(table).await, 0, "{table}");
    }
    let body = json!({"password": PASSWORD, "code": code});
    for path in ["/v1/mfa/totp/disable", "/v1/mfa/recovery/rotate"] {
        let answer = world.with_token(path, &one.access, &body).await;
        assert_eq!(answer.refusal(), (409, "mfa_not_enabled".to_owned()), "{path}");
    }
    world.end().await;
}

/// S66, S61: neither the password nor a code alone disables or rotates, and every guess counts.
#[tokio::test]
async fn disabling_and_rotating_need_the_password_and_a_proof() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    for path in ["/v1/mfa/totp/disable", "/v1/mfa/recovery/rotate"] {
        let code = world.next_code(&ann.secret);
        let wrong = json!({"password": "a wrong guess", "code": code});
        let answer = world.with_token(path, &ann.tokens.access, &wrong).await;
        assert_eq!(answer.refusal(), refused("invalid_credentials"), "{path}");
        let wrong = json!({"password": PASSWORD, "code": world.wrong_code(&ann.secret)});
        let answer = world.with_token(path, &ann.tokens.access, &wrong).await;
        assert_eq!(answer.refusal(), refused("invalid_mfa_code"), "{path}");
        let answer = world.with_token(path, &ann.tokens.access, &json!({"password": PASSWORD})).await;
        assert_eq!(answer.errors(), ["code: required"], "{path}");
        let answer = world.with_token(path, &ann.tokens.access, &json!({"code": code})).await;
        assert_eq!(answer.errors(), ["password: required"], "{path}");
    }
    assert_eq!(world.count("SELECT failed_logins::bigint FROM users").await, 4);
    let wrong = json!({"password": PASSWORD, "code": world.wrong_code(&ann.secret)});
    for _ in 0..6 {
        world.with_token("/v1/mfa/totp/disable", &ann.tokens.access, &wrong).await;
    }
    let right = json!({"password": PASSWORD, "code": world.next_code(&ann.secret)});
    let answer = world.with_token("/v1/mfa/totp/disable", &ann.tokens.access, &right).await;
    assert_eq!(answer.refusal(), (403, "account_locked".to_owned()));
    assert_eq!(world.count("SELECT count(*) FROM totp_factors").await, 1);
    world.end().await;
}

/// S67: rotation kills the old codes, and a recovery code is proof enough for it.
#[tokio::test]
async fn new_recovery_codes_make_the_old_ones_worthless() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let body = json!({"password": PASSWORD, "recoveryCode": ann.recovery[0].to_uppercase()});
    let answer = world.with_token("/v1/mfa/recovery/rotate", &ann.tokens.access, &body).await;
    let new = list(&answer.json()["recovery_codes"]);
    assert_eq!(new.len(), 10);
    assert_eq!(answer.json().as_object().unwrap().len(), 1);
    let token = world.half(&ann).await;
    for old in &ann.recovery[..2] {
        assert_eq!(world.recover(&token, old).await.refusal(), refused("invalid_mfa_code"));
    }
    Tokens::of(&world.recover(&token, &new[0].replace('-', " ")).await);
    let tokens = world.full_login(&ann).await;
    assert_eq!(world.status(&tokens.access).await["recovery_codes_left"], 9);
    assert_eq!(world.get("/v1/me", &ann.tokens.access).await.status, 200, "no session ends for it");
    world.end().await;
}

/// The list of ways says what there is.
#[tokio::test]
async fn without_recovery_codes_none_is_offered() {
    let world = World::new().await;
    world.holder("acme", "ann@example.com").await;
    world.sql("DELETE FROM recovery_codes").await;
    let answer = world.try_login("acme", "ann@example.com", PASSWORD).await;
    assert_eq!(answer.json()["methods"], json!(["totp"]));
    world.end().await;
}
