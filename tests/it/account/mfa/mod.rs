//! Second factors through their routes (EP060-EP065; S34, S61, S65-S69, S112).

mod admin;
mod audit;
mod bodies;
mod browser;
mod caps;
mod challenge;
mod devices;
mod enrol;
mod events;
mod limits;
mod own;
mod parallel;
mod races;
mod reset;
mod secrets;

use std::time::Duration;

use hellojohn::domain::clock::Clock as _;
use hellojohn_control::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};

use super::world::{Answer, PASSWORD, Tokens, World, call, text_of};

const STEP: Duration = Duration::from_secs(30);

/// Somebody with an authenticator.
pub(super) struct Holder {
    tenant: &'static str,
    pub(super) email: &'static str,
    tokens: Tokens,
    pub(super) secret: String,
    pub(super) recovery: Vec<String>,
}

/// What an authenticator shows: an implementation of its own, so that ours is not compared with itself.
fn totp(secret: &str, at: Timestamp) -> String {
    let key = data_encoding::BASE32_NOPAD.decode(secret.as_bytes()).unwrap();
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(&key).unwrap();
    mac.update(&(at.secs() / 30).to_be_bytes());
    let mac = mac.finalize().into_bytes();
    let offset = usize::from(mac[19] & 15);
    let number = u32::from_be_bytes(mac[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

/// A code that no step around `at` has.
fn wrong(secret: &str, at: Timestamp) -> String {
    let near: Vec<String> =
        (-3..=3).map(|n| totp(secret, Timestamp::from_secs(at.secs() + n * 30))).collect();
    (0..).map(|n| format!("{n:06}")).find(|code| !near.contains(code)).unwrap()
}

fn mfa_token(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["mfa_required"], true, "{json}");
    assert!(json.get("access_token").is_none() && json.get("refresh_token").is_none(), "{json}");
    text_of(&json, "mfa_token")
}

fn list(json: &Value) -> Vec<String> {
    json.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

impl World {
    async fn with_token(&self, path: &str, bearer: &str, body: &Value) -> Answer {
        self.send(call("POST", path, Some(bearer), &body.to_string())).await
    }

    async fn enroll(&self, bearer: &str, body: &Value) -> Answer {
        self.with_token("/v1/mfa/totp/enroll", bearer, body).await
    }

    async fn verify(&self, bearer: &str, code: &str) -> Answer {
        self.with_token("/v1/mfa/totp/verify", bearer, &json!({"code": code})).await
    }

    /// What the authenticator shows now.
    fn code(&self, secret: &str) -> String {
        totp(secret, self.clock.now())
    }

    /// What it shows in the next step: one that was not used yet.
    pub(super) fn next_code(&self, secret: &str) -> String {
        self.clock.advance(STEP);
        self.code(secret)
    }

    pub(super) fn wrong_code(&self, secret: &str) -> String {
        wrong(secret, self.clock.now())
    }

    /// Registers, logs in and enrols.
    pub(super) async fn holder(&self, tenant: &'static str, email: &'static str) -> Holder {
        let tokens = self.session(tenant, email).await;
        let answer = self.enroll(&tokens.access, &json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let secret = text_of(&answer.json(), "secret_base32");
        let answer = self.verify(&tokens.access, &self.code(&secret)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let recovery = list(&answer.json()["recovery_codes"]);
        Holder { tenant, email, tokens, secret, recovery }
    }

    /// The first half of a login.
    async fn half(&self, holder: &Holder) -> String {
        mfa_token(&self.try_login(holder.tenant, holder.email, PASSWORD).await)
    }

    async fn second(&self, token: &str, code: &str) -> Answer {
        self.post("/v1/mfa/totp/challenge", &json!({"mfa_token": token, "code": code})).await
    }

    async fn recover(&self, token: &str, code: &str) -> Answer {
        self.post("/v1/mfa/totp/challenge", &json!({"mfa_token": token, "recovery_code": code})).await
    }

    /// Both halves.
    async fn full_login(&self, holder: &Holder) -> Tokens {
        let token = self.half(holder).await;
        let code = self.next_code(&holder.secret);
        Tokens::of(&self.second(&token, &code).await)
    }

    async fn status(&self, bearer: &str) -> Value {
        self.get("/v1/mfa", bearer).await.json()
    }
}

fn refused(code: &str) -> (u16, String) {
    (401, code.to_owned())
}
