//! Every event there is, as a line and as a row that says the same (spec §10, S113).

use std::collections::BTreeSet;
use std::time::Duration;

use hellojohn::domain::audit::{Action, AdminAction};
use serde_json::{Value, json};

use super::{PASSWORD, World, call, list, mfa_token, text_of};
use crate::account::audit::{Captured, capture, rows};
use crate::account::mail::{Mailing, accepting};
use crate::account::oauth::ASK;

const NEW: &str = "another horse, battery";
const ACME: &str = "/v1/admin/tenants/acme";

/// What is told in lines only: docs/decisions/0025.
fn has_no_row(line: &Value) -> bool {
    let refused = line["outcome"] == "refused";
    let unknown = line["action"] == "mfa.challenge" && line["reason"] == "unknown_token";
    refused && (unknown || line["action"] == "token.refresh" || line["reason"] == "too_many_requests")
}

/// The lines of the events, each as its row should be.
fn told(captured: &Captured) -> Vec<String> {
    let lines = captured.lines();
    let events = lines.iter().filter(|line| {
        line["target"] == "audit"
            && ["security event", "administrative action"].contains(&text_of(line, "message").as_str())
    });
    let mut told: Vec<String> = events
        .filter(|line| !has_no_row(line))
        .map(|line| {
            let tenant = line["tenant"].as_str().unwrap_or("_system");
            let actor = line["actor"].as_str().map(|actor| {
                if actor.contains('/') { actor.to_owned() } else { format!("{tenant}/{actor}") }
            });
            let object = line["object"].as_str().filter(|object| !object.is_empty());
            json!([
                tenant,
                line["action"],
                line["outcome"],
                line["reason"],
                actor,
                object,
                line["client_id"],
                line["request_id"],
                line["ip"],
                line["user_agent"]
            ])
            .to_string()
        })
        .collect();
    told.sort();
    told
}

/// Somebody's whole life.
async fn live(mailing: &Mailing) {
    let world = &mailing.world;
    world.register("acme", "ann@example.com").await;
    let verify = mailing.delivered(2).await[1].token();
    let path = format!("/v1/auth/verify-email?token={verify}");
    world.send(accepting(&path, "application/json")).await;
    world.try_login("acme", "ann@example.com", "wrong wrong wrong").await;
    world.try_login("acme", "nobody@example.com", "wrong wrong wrong").await;
    let first = world.login("acme", "ann@example.com").await;
    let second = super::Tokens::of(&world.refresh(&first.refresh).await);
    world.clock.advance(Duration::from_secs(11));
    world.refresh(&first.refresh).await;
    world.refresh(&second.refresh).await;
    let bearer = world.login("acme", "ann@example.com").await.access;
    let other = world.login("acme", "ann@example.com").await;
    let session = other.claims().sid.unwrap();
    world.ask("DELETE", &format!("/v1/me/sessions/{session}"), &bearer, Value::Null).await;
    world.ask("PUT", "/v1/me", &bearer, json!({"given_name": "Ann"})).await;
    world.clock.advance(Duration::from_secs(61));
    let start = json!({"tenant_id": "acme", "email": "ann@example.com"});
    world.post("/v1/auth/verify-email/start", &start).await;

    let body = json!({"password": PASSWORD});
    let secret = text_of(&world.enroll(&bearer, &body).await.json(), "secret_base32");
    world.verify(&bearer, &world.wrong_code(&secret)).await;
    let codes = list(&world.verify(&bearer, &world.code(&secret)).await.json()["recovery_codes"]);
    let half = mfa_token(&world.try_login("acme", "ann@example.com", PASSWORD).await);
    world.second(&half, &world.wrong_code(&secret)).await;
    let remember = json!({"mfa_token": half, "recovery_code": codes[0], "remember_device": true});
    let passed = world.post("/v1/mfa/totp/challenge", &remember).await;
    world.second(&half, &world.next_code(&secret)).await;
    let device = passed.header("set-cookie").unwrap()[10..].split(';').next().unwrap().to_owned();
    let body =
        json!({"tenant_id": "acme", "client_id": "web", "email": "ann@example.com", "password": PASSWORD});
    let mut trusted = call("POST", "/v1/auth/login", None, &body.to_string());
    trusted.headers_mut().insert("cookie", format!("hj_device={device}").parse().unwrap());
    trusted.headers_mut().insert("user-agent", "curl/8".parse().unwrap());
    let bearer = super::Tokens::of(&world.send(trusted).await).access;
    let wrong = json!({"password": "wrong wrong wrong", "code": world.next_code(&secret)});
    world.with_token("/v1/mfa/recovery/rotate", &bearer, &wrong).await;
    let wrong = json!({"current_password": PASSWORD, "new_password": NEW, "code": world.wrong_code(&secret)});
    world.ask("POST", "/v1/me/password", &bearer, wrong).await;
    let proof = json!({"password": PASSWORD, "code": world.next_code(&secret)});
    let rotated = world.with_token("/v1/mfa/recovery/rotate", &bearer, &proof).await;
    let codes = list(&rotated.json()["recovery_codes"]);
    let proof = json!({"password": PASSWORD, "recovery_code": codes[0]});
    assert_eq!(world.with_token("/v1/mfa/totp/disable", &bearer, &proof).await.status, 204);
    let short = json!({"current_password": PASSWORD, "new_password": "short"});
    world.ask("POST", "/v1/me/password", &bearer, short).await;
    let change = json!({"current_password": PASSWORD, "new_password": NEW});
    let changed = super::Tokens::of(&world.ask("POST", "/v1/me/password", &bearer, change).await);
    world.send(call("POST", "/v1/auth/logout", Some(&changed.access), "")).await;

    world.clock.advance(Duration::from_secs(61));
    let token = super::reset::reset_link(mailing, "ann@example.com").await;
    mailing.forgot("nobody@example.com").await;
    mailing.reset(&token, "short").await;
    let reset = super::Tokens::of(&mailing.reset(&token, PASSWORD).await);
    mailing.reset(&token, PASSWORD).await;
    world.send(call("POST", "/v1/auth/logout-all", Some(&reset.access), "")).await;
    let last = world.login("acme", "ann@example.com").await;
    world.ask("DELETE", "/v1/me", &last.access, json!({"password": "wrong wrong wrong"})).await;
    let deleted = world.ask("DELETE", "/v1/me", &last.access, json!({"password": PASSWORD})).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text());
}

/// Everything that an administrator can do, and be refused.
async fn administer(world: &World, admin: &str) {
    let made = world
        .ask("POST", "/v1/admin/users", admin, json!({"tenant_id": "acme", "email": "bob@example.com"}))
        .await;
    let id = text_of(&made.json()["user"], "id");
    let user = |verb: &str| format!("/v1/admin/users/{id}{verb}?tenant_id=acme");
    let pair = json!({"tenant_id": "acme", "user_id": id, "client_id": "web"});
    let consent = json!({"tenant_id": "acme", "user_id": id, "client_id": "web", "scopes": ["email"]});
    let import = json!({"tenant_id": "acme", "users": [{"email": "fay@example.com"}]});
    let check = json!({"tenant_id": "acme", "users": [{"email": "fay@example.com"}], "dry_run": true});
    let add = json!({"add": ["editor"]});
    for (method, path, body) in [
        ("POST", "/v1/admin/users".to_owned(), json!({"tenant_id": "acme", "email": "bob@example.com"})),
        ("PATCH", user(""), json!({"given_name": "Bob"})),
        ("POST", user("/disable"), Value::Null),
        ("POST", user("/enable"), Value::Null),
        ("POST", user("/unlock"), Value::Null),
        ("DELETE", user("/sessions"), Value::Null),
        ("DELETE", user("/mfa"), Value::Null),
        ("POST", format!("/v1/admin/rbac/users/{id}/roles?tenant_id=acme"), add.clone()),
        ("POST", "/v1/admin/rbac/roles/editor/perms?tenant_id=acme".to_owned(), add),
        ("POST", "/v1/admin/consents/upsert".to_owned(), consent),
        ("POST", "/v1/admin/consents/revoke".to_owned(), pair),
        ("DELETE", format!("/v1/admin/consents/{id}/web?tenant_id=acme"), Value::Null),
        ("POST", "/v1/admin/users/import".to_owned(), check),
        ("POST", "/v1/admin/users/import".to_owned(), import),
        ("DELETE", user(""), Value::Null),
        ("DELETE", user(""), Value::Null),
        ("DELETE", format!("/v1/admin/users/{id}?tenant_id=nobody"), Value::Null),
        ("POST", format!("{ACME}/clients/web/revoke"), Value::Null),
        ("POST", format!("{ACME}/clients/none/revoke"), Value::Null),
        ("POST", format!("{ACME}/user-store/test-connection"), Value::Null),
        ("POST", format!("{ACME}/user-store/migrate"), Value::Null),
        ("POST", "/v1/admin/cluster/snapshot".to_owned(), Value::Null),
        ("POST", "/v1/admin/cluster/step-down".to_owned(), Value::Null),
    ] {
        world.ask(method, &path, admin, body).await;
    }
}

/// What somebody lets clients have, and what these do with it.
async fn let_in(world: &World) {
    world.furnish_apps("acme").await;
    let cookie = world.seated("cat@example.com").await;
    let code = world.auth_code(&cookie, &ASK).await;
    world.redeem(&code, &[]).await;
    world.redeem(&code, &[]).await;
    let wrong = world.auth_code(&cookie, &ASK).await;
    world.redeem(&wrong, &[("code_verifier", "x")]).await;
    let tokens = world.granted(&cookie).await;
    world.form("/oauth2/revoke", &[], &[("client_id", "app"), ("token", &tokens.refresh)]).await;
}

/// Spec §10, S113, S111, S112: what has a line has a row that says the same, for every action there is, and neither tells an
/// address, a password or a token.
#[tokio::test]
async fn every_action_is_a_line_and_a_row_that_says_the_same() {
    let mailing = Mailing::with(&[("AUTH_RESET_AUTO_LOGIN", "1")]).await;
    let world = &mailing.world;
    let admin = world.admin().await;
    mailing.delivered(1).await;
    world.sql("DELETE FROM audit_events").await;
    let (captured, guard) = capture();
    live(&mailing).await;
    let_in(world).await;
    administer(world, &admin).await;
    drop(guard);

    let kept = rows(world).await;
    assert_eq!(told(&captured), kept);
    let seen: BTreeSet<String> = kept
        .iter()
        .map(|row| serde_json::from_str::<Value>(row).unwrap()[1].as_str().unwrap().to_owned())
        .collect();
    let all = Action::ALL.iter().map(|action| action.as_str());
    let all: BTreeSet<&str> = all.chain(AdminAction::ALL.iter().map(|action| action.as_str())).collect();
    let missed: Vec<_> = all.iter().filter(|action| !seen.contains(**action)).collect();
    assert!(missed.is_empty(), "never seen: {missed:?}");
    let text = kept.join("\n");
    for secret in ["example.com", PASSWORD, NEW, "wrong wrong", "hjl_", "hjm_", "hjc_", "hjr_"] {
        assert!(!text.contains(secret), "{secret} is in a row");
    }
    mailing.end().await;
}
