//! A mailed link is one factor, and no way around the other (S71, S75).

use serde_json::json;

use super::{Holder, mfa_token, refused};
use crate::account::mail::Mailing;
use crate::account::world::{PASSWORD, Tokens};

const NEW: &str = "another horse, battery";

/// Somebody with a second factor, and the token of a reset that was asked for.
async fn forgotten(address_is_verified: bool) -> (Mailing, Holder, String) {
    let mailing = Mailing::with(&[("AUTH_RESET_AUTO_LOGIN", "1")]).await;
    let holder = mailing.world.holder("acme", "ann@example.com").await;
    if address_is_verified {
        mailing.world.sql("UPDATE users SET email_verified = true").await;
    }
    mailing.forgot("ann@example.com").await;
    let mails = mailing.delivered(2).await;
    let token = mails.iter().find(|mail| mail.data.contains("/reset?")).unwrap().token();
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
