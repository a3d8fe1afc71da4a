//! Trusted devices (EP062, S69).

use std::time::Duration;

use axum::http::header;
use serde_json::{Value, json};

use super::{Answer, Holder, PASSWORD, Tokens, World, call, mfa_token, refused};
use crate::account::world::Choice;

const MONTH: Duration = Duration::from_secs(30 * 86_400);

impl World {
    /// A full login that asks for the device to be trusted; its tokens and the cookie's value.
    pub(super) async fn remembered(&self, holder: &Holder) -> (Tokens, String) {
        let token = self.half(holder).await;
        let body =
            json!({"mfa_token": token, "code": self.next_code(&holder.secret), "remember_device": true});
        let answer = self.post("/v1/mfa/totp/challenge", &body).await;
        let cookie = answer.header("set-cookie").unwrap().to_owned();
        let value = cookie.strip_prefix("hj_device=").unwrap().split(';').next().unwrap().to_owned();
        (Tokens::of(&answer), value)
    }

    async fn login_with(&self, tenant: &str, email: &str, cookie: &str) -> Answer {
        let body = json!({"tenant_id": tenant, "client_id": "web", "email": email, "password": PASSWORD});
        let mut request = call("POST", "/v1/auth/login", None, &body.to_string());
        request.headers_mut().insert(header::COOKIE, cookie.parse().unwrap());
        self.send(request).await
    }

    pub(super) async fn is_trusted(&self, holder: &Holder, device: &str) -> bool {
        let answer = self.login_with(holder.tenant, holder.email, &format!("hj_device={device}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["mfa_required"] != true
    }
}

/// S69, spec §13.8
#[tokio::test]
async fn a_trusted_device_is_not_asked_and_gives_no_more_than_the_password() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let plain = world.second(&world.half(&ann).await, &world.next_code(&ann.secret)).await;
    assert!(plain.header("set-cookie").is_none(), "only for whoever asks for it");
    let token = world.half(&ann).await;
    let wrong = json!({"mfa_token": token, "code": world.wrong_code(&ann.secret), "remember_device": true});
    assert!(world.post("/v1/mfa/totp/challenge", &wrong).await.header("set-cookie").is_none());

    let body = json!({"mfaToken": token, "code": world.next_code(&ann.secret), "rememberDevice": true});
    let answer = world.post("/v1/mfa/totp/challenge", &body).await;
    let cookie = answer.header("set-cookie").unwrap().to_owned();
    let (value, attributes) = cookie.split_once("; ").unwrap();
    assert_eq!(attributes, "Path=/; Max-Age=2592000; HttpOnly; SameSite=Lax");
    assert!(!answer.text().contains(value.strip_prefix("hj_device=").unwrap()), "not in the body");
    assert_eq!(Tokens::of(&answer).claims().acr.as_deref(), Some("loa:2"));

    let trusted = Tokens::of(&world.login_with("acme", ann.email, &format!("a=b; {value}; c=d")).await);
    let claims = trusted.claims();
    assert_eq!((claims.amr, claims.acr.as_deref()), (vec!["pwd".into()], Some("loa:1")));
    assert_eq!(world.status(&trusted.access).await["trusted_devices"], 1);
    // It is no second factor for what needs one, and no password.
    let wrong =
        json!({"tenant_id": "acme", "client_id": "web", "email": ann.email, "password": "a wrong guess"});
    let mut request = call("POST", "/v1/auth/login", None, &wrong.to_string());
    request.headers_mut().insert(header::COOKIE, value.parse().unwrap());
    assert_eq!(world.send(request).await.refusal(), refused("invalid_credentials"));
    let device = value.strip_prefix("hj_device=").unwrap();
    assert_eq!(world.second(device, "123456").await.refusal(), refused("invalid_mfa_token"));
    assert_eq!(world.refresh(device).await.status, 401);
    assert_eq!(world.get("/v1/me", device).await.status, 401);
    world.end().await;
}

/// Spec §13.8
#[tokio::test]
async fn the_cookie_is_secure_where_the_public_url_is_https() {
    let env = vec![("SERVER_PUBLIC_URL", "https://id.example".to_owned())];
    let world = World::with(Choice { env, ..Choice::default() }).await;
    let ann = world.holder("acme", "ann@example.com").await;
    let body = json!({"mfa_token": world.half(&ann).await, "recovery_code": ann.recovery[0], "remember_device": true});
    let answer = world.post("/v1/mfa/totp/challenge", &body).await;
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.ends_with("; HttpOnly; SameSite=Lax; Secure") && !cookie.contains("Domain"), "{cookie}");
    world.end().await;
}

/// S69, S103
#[tokio::test]
async fn a_device_is_of_one_account_in_one_tenant_and_its_cookie_of_one_form() {
    let world = World::new().await;
    let ann = world.holder("acme", "ann@example.com").await;
    let (_, device) = world.remembered(&ann).await;
    let bea = world.holder("acme", "bea@example.com").await;
    let twin = world.holder("local", "ann@example.com").await;
    for other in [&bea, &twin] {
        assert!(!world.is_trusted(other, &device).await, "{} {}", other.tenant, other.email);
        assert!(!world.is_trusted(other, &device.replacen("acme", other.tenant, 1)).await);
    }
    for forged in [
        "",
        "x",
        "hjd_acme.",
        &device[..device.len() - 1],
        &device.replacen("hjd_", "hjr_", 1),
        &format!("{device}A"),
    ] {
        assert!(!world.is_trusted(&ann, forged).await, "{forged}");
    }
    let twice = world.login_with("acme", ann.email, &format!("hj_device={device}; hj_device=x")).await;
    mfa_token(&twice);
    assert!(world.is_trusted(&ann, &device).await);
    // Another one in the same browser does not forget the first.
    let (_, second) = world.remembered(&ann).await;
    assert!(world.is_trusted(&ann, &device).await && world.is_trusted(&ann, &second).await);
    world.end().await;
}

/// S69: what ends the trust.
#[tokio::test]
async fn trust_ends_with_time_password_factor_and_logging_out_everywhere() {
    let world = World::new().await;
    let mut ann = world.holder("acme", "ann@example.com").await;
    let (_, device) = world.remembered(&ann).await;
    world.clock.advance(MONTH - Duration::from_millis(30_001));
    assert!(world.is_trusted(&ann, &device).await);
    world.clock.advance(Duration::from_secs(31));
    assert!(!world.is_trusted(&ann, &device).await);

    let (tokens, device) = world.remembered(&ann).await;
    assert_eq!(world.with_token("/v1/auth/logout", &tokens.access, &json!({})).await.status, 204);
    assert!(world.is_trusted(&ann, &device).await, "an ordinary logout keeps it");
    let tokens = world.full_login(&ann).await;
    assert_eq!(world.with_token("/v1/auth/logout-all", &tokens.access, &Value::Null).await.status, 204);
    assert!(!world.is_trusted(&ann, &device).await);

    let (tokens, device) = world.remembered(&ann).await;
    // There and back, so that the password of the test stays the same.
    let other = "another horse, battery";
    let change = json!({"current_password": PASSWORD, "new_password": other});
    let fresh = Tokens::of(&world.with_token("/v1/me/password", &tokens.access, &change).await);
    let change = json!({"current_password": other, "new_password": PASSWORD});
    let fresh = Tokens::of(&world.with_token("/v1/me/password", &fresh.access, &change).await);
    assert!(!world.is_trusted(&ann, &device).await);

    let (_, device) = world.remembered(&ann).await;
    let both = json!({"password": PASSWORD, "code": world.next_code(&ann.secret)});
    let answer = world.enroll(&fresh.access, &both).await;
    assert!(world.is_trusted(&ann, &device).await, "until the new secret has its first code");
    ann.secret = super::text_of(&answer.json(), "secret_base32");
    assert_eq!(world.verify(&fresh.access, &world.code(&ann.secret)).await.status, 200);
    assert!(!world.is_trusted(&ann, &device).await);

    let (tokens, device) = world.remembered(&ann).await;
    let both = json!({"password": PASSWORD, "code": world.next_code(&ann.secret)});
    assert_eq!(world.with_token("/v1/mfa/totp/disable", &tokens.access, &both).await.status, 204);
    assert_eq!(world.count("SELECT count(*) FROM trusted_devices WHERE expires_at > '2027-02-14'").await, 0);
    // Enrolled anew, the old trust does not come back.
    let enrolled = world.enroll(&tokens.access, &json!({})).await;
    ann.secret = super::text_of(&enrolled.json(), "secret_base32");
    assert_eq!(world.verify(&tokens.access, &world.code(&ann.secret)).await.status, 200);
    assert!(!world.is_trusted(&ann, &device).await);
    world.end().await;
}
