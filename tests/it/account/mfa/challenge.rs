//! The second half of a login (EP002, EP062; S35, S61, S65, S68).

use std::time::Duration;

use hellojohn_control::Command;
use serde_json::{Value, json};

use super::{Holder, PASSWORD, Tokens, World, mfa_token, refused, text_of};
use crate::account::world::slug;

impl World {
    async fn inline(&self, holder: &Holder, more: Value) -> super::Answer {
        let mut body = json!({"tenant_id": holder.tenant, "client_id": "web", "email": holder.email, "password": PASSWORD});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.post("/v1/auth/login", &body).await
    }

    async fn failures(&self) -> i64 {
        self.count("SELECT failed_logins::bigint FROM users").await
    }
}

/// EP002: in one step for whoever knows that it will be asked for.
#[tokio::test]
async fn a_login_takes_the_second_factor_with_the_password() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let code = world.next_code(&ann.secret);
    let tokens = Tokens::of(&world.inline(&ann, json!({"mfa_code": code})).await);
    assert_eq!(tokens.claims().amr, ["pwd", "otp", "mfa"]);
    assert_eq!(tokens.claims().acr.as_deref(), Some("loa:2"));
    // S65: used up, here as at the challenge.
    let again = world.inline(&ann, json!({"mfaCode": code})).await;
    assert_eq!(again.refusal(), refused("invalid_mfa_code"));
    assert_eq!(world.failures().await, 1);
    let recovered = Tokens::of(&world.inline(&ann, json!({"recovery_code": ann.recovery[0]})).await);
    assert_eq!(
        (recovered.claims().amr, recovered.claims().acr.as_deref()),
        (vec!["pwd".into(), "mfa".into()], Some("loa:2"))
    );
    assert_eq!(world.failures().await, 0, "both factors clear the count");
    let again = world.inline(&ann, json!({"recoveryCode": ann.recovery[0]})).await;
    assert_eq!(again.refusal(), refused("invalid_mfa_code"));
    // An account without a second factor may be sent a code all the same.
    let bea = Holder { email: "bea@example.com", ..ann };
    world.register("acme", bea.email).await;
    Tokens::of(&world.inline(&bea, json!({"mfa_code": "123456"})).await);
    world.end().await;
}

/// S68: nothing that is left out or left empty is a second factor.
#[tokio::test]
async fn leaving_the_code_out_gives_no_tokens() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    for nothing in [json!({}), json!({"mfa_code": null}), json!({"recovery_code": null, "mfa_code": null})] {
        mfa_token(&world.inline(&ann, nothing).await);
    }
    for wrong in [
        json!({"mfa_code": ""}),
        json!({"recovery_code": ""}),
        json!({"mfa_code": 123_456}),
        json!({"mfa_code": []}),
        json!({"mfa_code": true}),
    ] {
        let answer = world.inline(&ann, wrong.clone()).await;
        assert_eq!(answer.status, 422, "{wrong}: {}", answer.text());
    }
    let token = world.half(&ann).await;
    for nothing in [
        json!({"mfa_token": token}),
        json!({"mfa_token": token, "code": null}),
        json!({"mfa_token": token, "code": ""}),
        json!({"mfa_token": token, "code": null, "recovery_code": null, "remember_device": true}),
        json!({"mfa_token": token, "code": "000000", "mfa_required": false}),
        json!({"code": "000000"}),
        json!({"mfa_token": null, "code": "000000"}),
        json!({}),
    ] {
        let answer = world.post("/v1/mfa/totp/challenge", &nothing).await;
        assert_eq!(answer.status, 422, "{nothing}: {}", answer.text());
        assert!(answer.header("set-cookie").is_none());
    }
    assert_eq!(world.count("SELECT count(*) FROM token_families WHERE revoked_at IS NULL").await, 1);
    assert_eq!(world.failures().await, 0);
    world.end().await;
}

/// S68: good for the challenge and for nothing else, and nothing else is good for the challenge.
#[tokio::test]
async fn the_token_of_a_half_login_is_no_other_token() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let token = world.half(&ann).await;
    assert_eq!(token.split('.').count(), 2, "no JWT");
    for (method, path) in
        [("GET", "/v1/me"), ("GET", "/v1/mfa"), ("POST", "/v1/auth/logout-all"), ("GET", "/v1/admin/ping")]
    {
        let answer = world.send(super::call(method, path, Some(&token), "")).await;
        assert_eq!(answer.refusal(), refused("invalid_token"), "{path}");
    }
    let body = json!({"password": PASSWORD, "code": world.code(&ann.secret)});
    for path in ["/v1/mfa/totp/enroll", "/v1/mfa/totp/disable", "/v1/mfa/recovery/rotate"] {
        assert_eq!(world.with_token(path, &token, &body).await.refusal(), refused("invalid_token"), "{path}");
    }
    let change = json!({"current_password": PASSWORD, "new_password": "another horse, battery"});
    assert_eq!(world.with_token("/v1/me/password", &token, &change).await.status, 401);
    assert_eq!(world.refresh(&token).await.refusal(), refused("invalid_refresh_token"));
    assert_eq!(world.refresh(&token.replacen("hjm_", "hjr_", 1)).await.status, 401);

    let code = world.next_code(&ann.secret);
    for other in [
        &ann.tokens.access,
        &ann.tokens.refresh,
        &ann.tokens.refresh.replacen("hjr_", "hjm_", 1),
        &token.replacen("acme", "local", 1),
        &token.replacen("acme", "nobody", 1),
        &token.replacen("hjm_", "hjd_", 1),
        &String::new(),
        &"x".repeat(10_000),
    ] {
        assert_eq!(world.second(other, &code).await.refusal(), refused("invalid_mfa_token"), "{other}");
    }
    Tokens::of(&world.second(&token, &code).await);
    world.end().await;
}

/// S65: ±1 step, each once, and never an older one.
#[tokio::test]
async fn a_step_is_accepted_once_and_none_before_it_afterwards() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    world.clock.advance(Duration::from_secs(300));
    let now = hellojohn::domain::clock::Clock::now(world.clock.as_ref());
    let at = |steps: i64| {
        super::totp(&ann.secret, hellojohn_control::Timestamp::from_secs(now.secs() + steps * 30))
    };
    let wrong = refused("invalid_mfa_code");
    for (steps, right) in
        [(2, false), (-2, false), (-1, true), (-1, false), (1, true), (1, false), (0, false), (-1, false)]
    {
        let token = world.half(&ann).await;
        let answer = world.second(&token, &at(steps)).await;
        if right {
            Tokens::of(&answer);
        } else {
            assert_eq!(answer.refusal(), wrong, "{steps}");
        }
    }
    world.end().await;
}

/// S68: five minutes, one use, five tries.
#[tokio::test]
async fn a_half_login_ends_after_five_minutes_five_wrong_codes_or_one_right_one() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let over = refused("invalid_mfa_token");
    let (early, late) = (world.half(&ann).await, world.half(&ann).await);
    world.clock.advance(Duration::from_millis(299_999));
    Tokens::of(&world.second(&early, &world.code(&ann.secret)).await);
    assert_eq!(world.recover(&early, &ann.recovery[0]).await.refusal(), over, "used");
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(world.second(&late, &world.next_code(&ann.secret)).await.refusal(), over);

    let token = world.half(&ann).await;
    for n in 0..5 {
        let answer = match n % 2 {
            0 => world.second(&token, &world.wrong_code(&ann.secret)).await,
            _ => world.recover(&token, "aaaa-bbbb-cccc-dddd-eeee-ffff").await,
        };
        assert_eq!(answer.refusal(), refused("invalid_mfa_code"), "{n}");
    }
    assert_eq!(world.second(&token, &world.next_code(&ann.secret)).await.refusal(), over);
    assert_eq!(world.recover(&token, &ann.recovery[0]).await.refusal(), over);
    assert_eq!(world.failures().await, 5);
    Tokens::of(&world.recover(&world.half(&ann).await, &ann.recovery[0]).await);
    world.end().await;
}

/// S61: whoever knows the password cannot guess codes without end: the password alone clears no failure.
#[tokio::test]
async fn wrong_codes_hold_the_account_back_whatever_the_passwords_in_between() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    for n in 0..10 {
        let token = world.half(&ann).await;
        assert_eq!(world.failures().await, n);
        world.second(&token, &world.wrong_code(&ann.secret)).await;
    }
    let locked = (403, "account_locked".to_owned());
    assert_eq!(world.try_login("acme", ann.email, PASSWORD).await.refusal(), locked);
    let inline = world.inline(&ann, json!({"mfa_code": world.next_code(&ann.secret)})).await;
    assert_eq!(inline.refusal(), locked);
    // S35: a half login from before the hold is held, too, and the code is not even looked at.
    world.sql("UPDATE users SET locked_until = NULL").await;
    let token = world.half(&ann).await;
    world.sql("UPDATE users SET locked_until = '2100-01-01T00:00:00Z'").await;
    assert_eq!(world.second(&token, &world.code(&ann.secret)).await.refusal(), locked);
    world.sql("UPDATE users SET locked_until = NULL").await;
    Tokens::of(&world.second(&token, &world.code(&ann.secret)).await);
    assert_eq!(world.failures().await, 0);
    // Passwords and codes share one count.
    for _ in 0..5 {
        world.try_login("acme", ann.email, "a wrong guess").await;
        let inline = json!({"mfa_code": world.wrong_code(&ann.secret)});
        assert_eq!(world.inline(&ann, inline).await.refusal(), refused("invalid_mfa_code"));
    }
    assert_eq!(world.try_login("acme", ann.email, PASSWORD).await.refusal(), locked);
    world.clock.advance(Duration::from_secs(15 * 60));
    world.full_login(&ann).await;
    world.end().await;
}

/// S35, S68: what a login asks is asked again at the second half.
#[tokio::test]
async fn what_happened_between_the_halves_counts() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let (web, off) = (json!({"providers": null, "enabled": true}), |code: &str| (403, code.to_owned()));
    for (patch, code) in [
        (json!({"enabled": false}), "client_disabled"),
        (json!({"providers": ["google"]}), "provider_not_allowed"),
    ] {
        let token = world.half(&ann).await;
        world.put_client("acme", "web", patch).await;
        assert_eq!(world.second(&token, &world.next_code(&ann.secret)).await.refusal(), off(code));
        world.put_client("acme", "web", web.clone()).await;
        Tokens::of(&world.second(&token, &world.code(&ann.secret)).await);
    }
    let token = world.half(&ann).await;
    world.put_tenant("acme", json!({"status": "suspended"})).await;
    assert_eq!(world.second(&token, &world.next_code(&ann.secret)).await.refusal(), off("tenant_suspended"));
    world.put_tenant("acme", json!({"status": "active"})).await;
    for (statement, code) in [
        ("UPDATE users SET status = 'disabled'", "account_disabled"),
        ("UPDATE users SET status = 'locked'", "account_locked"),
    ] {
        world.sql(statement).await;
        assert_eq!(world.second(&token, &world.code(&ann.secret)).await.refusal(), off(code));
        world.sql("UPDATE users SET status = 'active'").await;
    }
    // Another password, whoever set it and whether or not the token's row went with it.
    let hash = "UPDATE users SET password_hash = (SELECT password_hash FROM users WHERE email = 'bea@example.com') \
        WHERE email = 'ann@example.com'";
    world.register("acme", "bea@example.com").await;
    world.sql(hash).await;
    assert_eq!(world.second(&token, &world.code(&ann.secret)).await.refusal(), refused("invalid_mfa_token"));
    assert_eq!(world.count("SELECT count(*) FROM mfa_tokens").await, 1);

    // A client that is made again is another one; so is a tenant.
    let token = world.half(&ann).await;
    world.delete_client("acme", "web").await;
    assert_eq!(world.second(&token, &world.code(&ann.secret)).await.refusal(), refused("invalid_mfa_token"));
    world.put_client("acme", "web", json!({})).await;
    assert_eq!(world.second(&token, &world.code(&ann.secret)).await.refusal(), refused("invalid_mfa_token"));
    let token = world.half(&ann).await;
    world.propose(Command::DeleteTenant { slug: slug("acme") }).await;
    assert_eq!(world.second(&token, &world.code(&ann.secret)).await.refusal(), refused("invalid_mfa_token"));
    world.end().await;
}

/// S103: the factor is of one account in one tenant; the same address elsewhere has none of it.
#[tokio::test]
async fn another_tenant_knows_neither_the_factor_nor_its_codes() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let elsewhere = world.session("local", "ann@example.com").await;
    assert_eq!(world.status(&elsewhere.access).await["totp_enabled"], false);
    let other = world.holder("local", "bea@example.com").await;
    let token = world.half(&other).await;
    assert_eq!(world.recover(&token, &ann.recovery[0]).await.refusal(), refused("invalid_mfa_code"));
    let foreign = world.half(&ann).await.replacen("acme", "local", 1);
    assert_eq!(
        world.second(&foreign, &world.next_code(&other.secret)).await.refusal(),
        refused("invalid_mfa_token")
    );
    // A secret that somebody moves in the database to another account opens nothing there.
    world
        .sql("UPDATE totp_factors SET secret = (SELECT secret FROM totp_factors WHERE tenant = 'acme')")
        .await;
    let answer = world.second(&token, &world.code(&ann.secret)).await;
    assert_eq!(answer.refusal(), (500, "internal".to_owned()));
    assert!(!text_of(&answer.json(), "detail").contains("seal"), "{}", answer.text());
    world.end().await;
}

/// S64, S68: the hash is renewed at the first half, and the second still fits.
#[tokio::test]
async fn an_old_hash_is_renewed_by_the_first_half() {
    use crate::account::world::Choice;
    let old = World::with(Choice { iterations: Some(2), ..Choice::default() }).await;
    old.register("acme", "ann@example.com").await;
    let mut connection = old.db.connection().await;
    let hash: String =
        sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(&mut connection).await.unwrap();
    old.end().await;
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let mut connection = world.db.connection().await;
    sqlx::query("UPDATE users SET password_hash = $1").bind(&hash).execute(&mut connection).await.unwrap();
    world.full_login(&ann).await;
    let renewed: String =
        sqlx::query_scalar("SELECT password_hash FROM users").fetch_one(&mut connection).await.unwrap();
    assert!(hash.contains("t=2") && renewed.contains("t=1"), "{renewed}");
    world.end().await;
}

/// A look-up that fails refuses, and a guess that cannot be counted is not answered (S61, S114).
#[tokio::test]
async fn what_the_database_cannot_tell_or_keep_lets_nobody_in() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let token = world.half(&ann).await;
    for (breaks, mends) in [
        ("ALTER TABLE totp_factors RENAME TO gone", "ALTER TABLE gone RENAME TO totp_factors"),
        ("ALTER TABLE mfa_tokens RENAME TO gone", "ALTER TABLE gone RENAME TO mfa_tokens"),
    ] {
        world.sql(breaks).await;
        let answer = world.try_login("acme", ann.email, PASSWORD).await;
        assert_eq!(answer.refusal(), (503, "storage_unavailable".to_owned()), "{breaks}");
        let answer = world.second(&token, &world.code(&ann.secret)).await;
        assert_eq!(answer.refusal(), (503, "storage_unavailable".to_owned()), "{breaks}");
        world.sql(mends).await;
    }
    world.sql("ALTER TABLE users ADD CONSTRAINT uncounted CHECK (failed_logins = 0)").await;
    for answer in [
        world.second(&token, &world.wrong_code(&ann.secret)).await,
        world.inline(&ann, json!({"mfa_code": world.wrong_code(&ann.secret)})).await,
    ] {
        assert_eq!(answer.refusal(), (500, "internal".to_owned()));
    }
    Tokens::of(&world.second(&token, &world.next_code(&ann.secret)).await);
    world.end().await;
}
