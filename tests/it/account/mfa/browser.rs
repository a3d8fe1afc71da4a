//! Second factors of browser sessions (EP020, EP062; S68, S69, S77, S78).

use axum::http::header;
use serde_json::{Value, json};

use super::{Answer, Holder, Tokens, World, mfa_token, refused};
use crate::account::session::{cookie_of, credentials};

const CHALLENGE: &str = "/v1/mfa/totp/challenge";
const JSON: (&str, &str) = ("content-type", "application/json");
const TOKENS: &str = "SELECT count(*) FROM token_families";
const BROWSERS: &str = "SELECT count(*) FROM browser_sessions";

impl World {
    async fn half_browser(&self, holder: &Holder) -> String {
        let mut body = credentials(holder.tenant, holder.email);
        body["return_to"] = json!("/account");
        let answer = self.enter(&body, "").await;
        assert!(answer.header("set-cookie").is_none(), "half a login is no session");
        mfa_token(&answer)
    }

    async fn second_browser(&self, token: &str, code: &str) -> Answer {
        self.browse(CHALLENGE, &[JSON], &json!({"mfa_token": token, "code": code}).to_string()).await
    }
}

/// S68: what a login was begun for is what it ends with, and nothing in the second half changes it.
#[tokio::test]
async fn a_half_login_ends_as_what_it_was_begun_for() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let tokens = world.count(TOKENS).await;
    let half = world.half_browser(&ann).await;
    let answer = world.second_browser(&half, &world.next_code(&ann.secret)).await;
    assert_eq!(answer.json(), json!({"return_to": "/account"}), "a cookie and no tokens");
    let cookie = cookie_of(&answer);
    assert_eq!(world.sits(&cookie).await.unwrap().amr, ["pwd", "otp", "mfa"]);
    assert_eq!((world.count(TOKENS).await, world.count(BROWSERS).await), (tokens, 1));
    let again = world.second_browser(&half, &world.next_code(&ann.secret)).await;
    assert_eq!(again.refusal(), refused("invalid_mfa_token"));

    let half = world.half(&ann).await;
    let answer = world.second_browser(&half, &world.next_code(&ann.secret)).await;
    assert!(answer.header("set-cookie").is_none() && !Tokens::of(&answer).refresh.is_empty());
    assert_eq!(world.count(BROWSERS).await, 1, "tokens and no cookie");
    world.end().await;
}

/// S78: the second half sets a cookie, so it asks where it comes from; a refusal uses nothing up.
#[tokio::test]
async fn the_second_half_of_a_browser_wants_a_page_of_our_own() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let half = world.half_browser(&ann).await;
    let code = world.next_code(&ann.secret);
    let body = json!({"mfa_token": half, "code": code}).to_string();
    let evil = ("origin", "https://evil.example");
    let answer = world.browse(CHALLENGE, &[JSON, evil], &body).await;
    assert_eq!(answer.refusal(), (403, "csrf_refused".to_owned()));
    let answer = world.browse(CHALLENGE, &[("content-type", "text/plain")], &body).await;
    assert_eq!(answer.refusal(), (415, "unsupported_media_type".to_owned()));
    assert_eq!(world.count(BROWSERS).await, 0);
    cookie_of(&world.second_browser(&half, &code).await);
    // Tokens are for programs of any origin, as before.
    let half = world.half(&ann).await;
    let body = json!({"mfa_token": half, "code": world.next_code(&ann.secret)}).to_string();
    Tokens::of(&world.browse(CHALLENGE, &[evil], &body).await);
    world.end().await;
}

/// S77: at the second half, too.
#[tokio::test]
async fn the_second_half_ends_the_session_that_came_with_it() {
    let world = World::new().await;
    world.register("acme", "eve@example.com").await;
    let ann = world.holder("acme", "ann@example.com").await;
    let old = world.browser("acme", "eve@example.com").await;
    let half = world.half_browser(&ann).await;
    assert!(world.sits(&old).await.is_some(), "half a login ends nothing");
    let body = |code: &str| json!({"mfa_token": half, "code": code}).to_string();
    let cookie = format!("hj_session={old}");
    let headers = [JSON, ("cookie", cookie.as_str())];
    let wrong = world.browse(CHALLENGE, &headers, &body(&world.wrong_code(&ann.secret))).await;
    assert_eq!(wrong.refusal(), refused("invalid_mfa_code"));
    assert!(world.sits(&old).await.is_some());
    let right = world.browse(CHALLENGE, &headers, &body(&world.next_code(&ann.secret))).await;
    let new = cookie_of(&right);
    assert!(world.sits(&old).await.is_none() && world.sits(&new).await.is_some());
    world.end().await;
}

/// S68: between the halves everything is asked again.
#[tokio::test]
async fn a_half_login_of_a_browser_dies_with_what_it_rests_on() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let half = world.half_browser(&ann).await;
    world.put_client("acme", "web", json!({"enabled": false})).await;
    let answer = world.second_browser(&half, &world.next_code(&ann.secret)).await;
    assert_eq!(answer.refusal(), (403, "client_disabled".to_owned()));
    world.put_client("acme", "web", json!({"enabled": true})).await;
    world.delete_client("acme", "web").await;
    world.put_client("acme", "web", json!({})).await;
    let answer = world.second_browser(&half, &world.next_code(&ann.secret)).await;
    assert_eq!(answer.refusal(), refused("invalid_mfa_token"), "another client of the name");

    let mut body = credentials("acme", ann.email);
    body["client_id"] = Value::Null;
    let half = mfa_token(&world.enter(&body, "").await);
    world.put_tenant("acme", json!({"status": "suspended"})).await;
    let answer = world.second_browser(&half, &world.next_code(&ann.secret)).await;
    assert_eq!(answer.refusal(), (403, "tenant_suspended".to_owned()));
    world.put_tenant("acme", json!({"status": "active"})).await;
    let cookie = cookie_of(&world.second_browser(&half, &world.next_code(&ann.secret)).await);
    assert_eq!(world.sits(&cookie).await.unwrap().client, None);
    world.end().await;
}

/// EP020, S69: in one step, with a code in the body or from a trusted device.
#[tokio::test]
async fn a_browser_shows_its_second_factor_in_one_step() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let mut body = credentials("acme", ann.email);
    body["mfa_code"] = json!(world.wrong_code(&ann.secret));
    assert_eq!(world.enter(&body, "").await.refusal(), refused("invalid_mfa_code"));
    body["mfa_code"] = json!(world.next_code(&ann.secret));
    let cookie = cookie_of(&world.enter(&body, "").await);
    assert_eq!(world.sits(&cookie).await.unwrap().amr, ["pwd", "otp", "mfa"]);

    let half = world.half_browser(&ann).await;
    let body = json!({"mfa_token": half, "code": world.next_code(&ann.secret), "remember_device": true});
    let answer = world.browse(CHALLENGE, &[JSON], &body.to_string()).await;
    let cookies: Vec<_> =
        answer.headers.get_all(header::SET_COOKIE).iter().map(|one| one.to_str().unwrap()).collect();
    assert_eq!(cookies.len(), 2, "the session and the device");
    let device = cookies.iter().find(|one| one.starts_with("hj_device=")).unwrap().split(';').next().unwrap();
    let plain = credentials("acme", ann.email).to_string();
    let trusted = world.browse("/v1/session/login", &[JSON, ("cookie", device)], &plain).await;
    let cookie = cookie_of(&trusted);
    assert_eq!(world.sits(&cookie).await.unwrap().amr, ["pwd"], "a trusted device is no factor");
    world.end().await;
}

/// S34: another second factor ends them.
#[tokio::test]
async fn a_change_of_the_second_factor_ends_browsers() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let cookie = world.browser("acme", "ann@example.com").await;
    let answer = world.enroll(&tokens.access, &json!({})).await;
    let secret = super::text_of(&answer.json(), "secret_base32");
    assert!(world.sits(&cookie).await.is_some(), "a secret that waits changes nothing");
    assert_eq!(world.verify(&tokens.access, &world.code(&secret)).await.status, 200);
    assert_eq!(world.sits(&cookie).await, None);

    let mut body = credentials("acme", "ann@example.com");
    body["mfa_code"] = json!(world.next_code(&secret));
    let cookie = cookie_of(&world.enter(&body, "").await);
    let both = json!({"password": super::PASSWORD, "code": world.next_code(&secret)});
    assert_eq!(world.with_token("/v1/mfa/totp/disable", &tokens.access, &both).await.status, 204);
    assert_eq!(world.sits(&cookie).await, None);
    world.end().await;
}
