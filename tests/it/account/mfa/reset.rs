//! A mailed link is one factor, and no way around the other (S71, S75).

use std::time::Duration;

use serde_json::{Value, json};

use super::{Holder, list, mfa_token, refused};
use crate::account::mail::{Mailing, accepting};
use crate::account::world::{PASSWORD, Tokens, call, text_of};

const NEW: &str = "another horse, battery";

/// Somebody who has enrolled a second factor, with or without having shown before that the address is theirs.
async fn enrolled(address_is_verified: bool) -> (Mailing, Holder) {
    let mailing = Mailing::with(&[("AUTH_RESET_AUTO_LOGIN", "1")]).await;
    let world = &mailing.world;
    let tokens = world.session("acme", "ann@example.com").await;
    if address_is_verified {
        world.sql("UPDATE users SET email_verified = true").await;
    }
    let secret = text_of(&world.enroll(&tokens.access, &json!({})).await.json(), "secret_base32");
    let answer = world.verify(&tokens.access, &world.code(&secret)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let recovery = list(&answer.json()["recovery_codes"]);
    (mailing, Holder { tenant: "acme", email: "ann@example.com", tokens, secret, recovery })
}

/// The token of a reset that is asked for by this address.
pub(super) async fn reset_link(mailing: &Mailing, email: &str) -> String {
    mailing.world.clock.advance(Duration::from_secs(61));
    mailing.forgot(email).await;
    let count = mailing.sink.mails().len();
    mailing
        .tending("the mail to arrive", async || {
            mailing.sink.mails().iter().skip(count).any(|m| m.data.contains("/reset?"))
        })
        .await;
    mailing.settled().await;
    mailing.sink.mails().iter().rfind(|mail| mail.data.contains("/reset?")).unwrap().token()
}

async fn forgotten(address_is_verified: bool) -> (Mailing, Holder, String) {
    let (mailing, holder) = enrolled(address_is_verified).await;
    let token = reset_link(&mailing, "ann@example.com").await;
    (mailing, holder, token)
}

/// S71: after a reset the second factor is asked for as after a password, and what was begun before is dead.
#[tokio::test]
async fn a_reset_does_not_spare_the_second_factor() {
    let (mailing, holder, token) = forgotten(true).await;
    let world = &mailing.world;
    let before = world.half(&holder).await;
    let half = mfa_token(&mailing.reset(&token, NEW).await);
    assert_eq!(world.refresh(&holder.tokens.refresh).await.status, 401);
    assert_eq!(
        world.second(&before, &world.next_code(&holder.secret)).await.refusal(),
        refused("invalid_mfa_token")
    );
    let tokens = Tokens::of(&world.second(&half, &world.next_code(&holder.secret)).await);
    assert_eq!(tokens.claims().acr.as_deref(), Some("loa:2"));
    assert_eq!(world.status(&tokens.access).await["totp_enabled"], true);
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.status, 401);
    mfa_token(&world.try_login("acme", "ann@example.com", NEW).await);
    mailing.end().await;
}

/// S75: whoever made an account with somebody else's address does not keep its owner out with a factor of their own.
#[tokio::test]
async fn the_factor_of_an_account_whose_address_was_never_verified_goes_with_the_reset() {
    let (mailing, holder, token) = forgotten(false).await;
    let world = &mailing.world;
    let tokens = Tokens::of(&mailing.reset(&token, NEW).await);
    assert_eq!(world.get("/v1/me", &holder.tokens.access).await.status, 401);
    let status = world.status(&tokens.access).await;
    assert_eq!((&status["totp_enabled"], &status["recovery_codes_left"]), (&json!(false), &json!(0)));
    Tokens::of(&world.try_login("acme", "ann@example.com", NEW).await);
    mailing.end().await;
}

/// S75: somebody registers with a stranger's address and enrols a factor; the owner, who thinks that it is theirs, follows the mailed
/// link, and only later finds that they cannot get in. The link takes nothing from whoever has the password, for that is nearly always
/// the one who reads the mail. But it makes nothing the owner's that was there before: their reset takes it all, a factor too that
/// came in the place of the first.
#[tokio::test]
async fn following_a_verify_link_does_not_make_the_factor_of_a_stranger_ones_own() {
    for replaced in [false, true] {
        let (mailing, mut stranger) = enrolled(false).await;
        let world = &mailing.world;
        let link = mailing.delivered(1).await.remove(0).token();
        let path = format!("/v1/auth/verify-email?token={link}");
        let answer = world.send(accepting(&path, "application/json")).await;
        assert_eq!(answer.json(), json!({"email_verified": true}), "{}", answer.text());
        // Confirmed: nobody is logged out, and the factor is asked for as ever.
        assert_eq!(world.get("/v1/me", &stranger.tokens.access).await.status, 200);
        if replaced {
            let both = json!({"password": PASSWORD, "code": world.next_code(&stranger.secret)});
            let answer = world.enroll(&stranger.tokens.access, &both).await;
            stranger.secret = text_of(&answer.json(), "secret_base32");
            let answer = world.verify(&stranger.tokens.access, &world.code(&stranger.secret)).await;
            stranger.recovery = list(&answer.json()["recovery_codes"]);
        }
        let (tokens, device) = world.remembered(&stranger).await;
        let half = world.half(&stranger).await;

        let token = reset_link(&mailing, "ann@example.com").await;
        let owner = Tokens::of(&mailing.reset(&token, NEW).await);
        for old in [&stranger.tokens, &tokens] {
            assert_eq!(world.get("/v1/me", &old.access).await.status, 401);
            assert_eq!(world.refresh(&old.refresh).await.status, 401);
        }
        let code = world.next_code(&stranger.secret);
        assert_eq!(world.second(&half, &code).await.refusal(), refused("invalid_mfa_token"));
        assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.status, 401);
        let status = world.status(&owner.access).await;
        let left =
            ["totp_enabled", "recovery_codes_left", "trusted_devices"].map(|name| status[name].clone());
        assert_eq!(left, [json!(false), json!(0), json!(0)], "{status}");
        // With a factor of the owner's own, which stays from now on, the stranger's device is nobody's.
        let secret = text_of(&world.enroll(&owner.access, &json!({})).await.json(), "secret_base32");
        assert_eq!(world.verify(&owner.access, &world.code(&secret)).await.status, 200);
        let body =
            json!({"tenant_id": "acme", "client_id": "web", "email": "ann@example.com", "password": NEW});
        let mut request = call("POST", "/v1/auth/login", None, &body.to_string());
        request.headers_mut().insert("cookie", format!("hj_device={device}").parse().unwrap());
        mfa_token(&world.send(request).await);
        let token = reset_link(&mailing, "ann@example.com").await;
        mfa_token(&mailing.reset(&token, PASSWORD).await);
        mailing.end().await;
    }
}

/// A change of the password that fails for its second factor leaves mailed links as they are.
#[tokio::test]
async fn a_wrong_code_at_a_change_of_the_password_kills_no_link() {
    let (mailing, holder, token) = forgotten(true).await;
    let world = &mailing.world;
    let wrong = world.wrong_code(&holder.secret);
    let change = json!({"current_password": PASSWORD, "new_password": NEW, "mfa_code": wrong});
    let answer = world.with_token("/v1/me/password", &holder.tokens.access, &change).await;
    assert_eq!(answer.refusal(), refused("invalid_mfa_code"));
    mfa_token(&mailing.reset(&token, NEW).await);
    mailing.end().await;
}

/// S71: the factor stays when an administrator gives the account another address, whose owner then resets the password.
#[tokio::test]
async fn another_address_does_not_cost_the_second_factor() {
    let (mailing, holder) = enrolled(true).await;
    let world = &mailing.world;
    let admin = world.admin().await;
    let path = format!("/v1/admin/users/{}?tenant_id=acme", holder.tokens.claims().sub);
    let moved = world.ask("PATCH", &path, &admin, json!({"email": "other@example.com"})).await;
    assert_eq!(moved.json()["user"]["email_verified"], false, "{}", moved.text());
    let token = reset_link(&mailing, "other@example.com").await;
    let half = mfa_token(&mailing.reset(&token, NEW).await);
    Tokens::of(&world.second(&half, &world.next_code(&holder.secret)).await);
    mailing.end().await;
}

/// S34, S71: what an administrator does to an account makes the links worthless that were mailed before.
#[tokio::test]
async fn mailed_links_do_not_survive_an_administrators_change() {
    let (mailing, holder) = enrolled(true).await;
    let world = &mailing.world;
    let admin = world.admin().await;
    let path = |verb: &str| format!("/v1/admin/users/{}{verb}?tenant_id=acme", holder.tokens.claims().sub);
    let dead = (400, "invalid_mail_token".to_owned());
    let changes: [&[(&str, &str, Value)]; 3] = [
        &[("PATCH", "", json!({"password": "a password of support"}))],
        &[("POST", "/disable", json!({})), ("POST", "/enable", json!({}))],
        &[
            ("PATCH", "", json!({"email": "other@example.com"})),
            ("PATCH", "", json!({"email": "ann@example.com"})),
        ],
    ];
    for steps in changes {
        let token = reset_link(&mailing, "ann@example.com").await;
        for (method, verb, body) in steps {
            let answer = world.ask(method, &path(verb), &admin, body.clone()).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        assert_eq!(mailing.reset(&token, NEW).await.refusal(), dead, "{steps:?}");
    }
    mailing.end().await;
}

/// S61: a reset does not give guesses at the second factor back, and the hold ends by itself as ever.
#[tokio::test]
async fn a_reset_does_not_end_the_hold_that_protects_the_second_factor() {
    let (mailing, holder, token) = forgotten(true).await;
    let world = &mailing.world;
    let wrong = world.wrong_code(&holder.secret);
    for _ in 0..2 {
        let half = world.half(&holder).await;
        for _ in 0..5 {
            assert_eq!(world.second(&half, &wrong).await.refusal(), refused("invalid_mfa_code"));
        }
    }
    let held = world.try_login("acme", "ann@example.com", PASSWORD).await;
    assert_eq!(held.refusal(), (403, "account_locked".to_owned()));
    mailing.reset(&token, NEW).await;
    let held = world.try_login("acme", "ann@example.com", NEW).await;
    assert_eq!(held.refusal(), (403, "account_locked".to_owned()));
    world.clock.advance(Duration::from_secs(15 * 60));
    mfa_token(&world.try_login("acme", "ann@example.com", NEW).await);
    mailing.end().await;
}
