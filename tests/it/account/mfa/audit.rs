//! Everything about second factors is an event (spec §10); why a code was refused stands there and nowhere else.

use serde_json::{Value, json};

use super::{PASSWORD, World, text_of};
use crate::account::audit::capture;

#[tokio::test]
async fn every_step_is_an_event_that_names_the_reason_and_no_secret() {
    let world = World::new().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let id = tokens.claims().sub;
    let (captured, guard) = capture();
    let bearer = &tokens.access;
    let secret = text_of(&world.enroll(bearer, &json!({})).await.json(), "secret_base32");
    world.verify(bearer, &world.wrong_code(&secret)).await;
    let code = world.code(&secret);
    let recovery = super::list(&world.verify(bearer, &code).await.json()["recovery_codes"]);
    let ann =
        super::Holder { tenant: "acme", email: "ann@example.com", tokens: tokens.clone(), secret, recovery };
    let token = world.half(&ann).await;
    let answers = [
        world.second(&token, &code).await,
        world.second(&token, &world.wrong_code(&ann.secret)).await,
        world.recover(&token, "aaaa-bbbb-cccc-dddd-eeee-ffff").await,
    ];
    // One answer for all.
    let mut texts: Vec<String> = answers.iter().map(super::Answer::text).collect();
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    let remember = json!({"mfa_token": token, "recovery_code": ann.recovery[0], "remember_device": true});
    let passed = world.post("/v1/mfa/totp/challenge", &remember).await;
    let device = passed.header("set-cookie").unwrap()[10..].split(';').next().unwrap().to_owned();
    world.second(&token, &world.next_code(&ann.secret)).await;
    let body = json!({"tenant_id": "acme", "client_id": "web", "email": ann.email, "password": PASSWORD});
    let mut trusted = super::call("POST", "/v1/auth/login", None, &body.to_string());
    trusted.headers_mut().insert("cookie", format!("hj_device={device}").parse().unwrap());
    world.send(trusted).await;
    let proof = |world: &World| json!({"password": PASSWORD, "code": world.next_code(&ann.secret)});
    let rotated = world.with_token("/v1/mfa/recovery/rotate", bearer, &proof(&world)).await;
    world.with_token("/v1/mfa/totp/disable", bearer, &proof(&world)).await;
    drop(guard);

    let text = captured.text();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<&Value> = lines.iter().filter(|line| line["target"] == "audit").collect();
    let told: Vec<[String; 3]> =
        events.iter().map(|event| ["action", "outcome", "reason"].map(|name| text_of(event, name))).collect();
    let expected = [
        ["mfa.enrol", "ok", ""],
        ["mfa.enable", "refused", "wrong_code"],
        ["mfa.enable", "ok", ""],
        ["mfa.required", "ok", ""],
        ["mfa.challenge", "refused", "replayed_code"],
        ["mfa.challenge", "refused", "wrong_code"],
        ["mfa.challenge", "refused", "wrong_recovery_code"],
        ["mfa.challenge", "ok", ""],
        ["mfa.recovery_use", "ok", ""],
        ["mfa.device_trust", "ok", ""],
        ["user.login", "ok", ""],
        ["mfa.challenge", "refused", "unknown_token"],
        ["user.login", "ok", ""],
        ["mfa.device_use", "ok", ""],
        ["mfa.recovery_rotate", "ok", ""],
        ["mfa.disable", "ok", ""],
    ];
    assert_eq!(told, expected);
    for (event, [_, _, reason]) in events.iter().zip(&told) {
        let actor = (reason != "unknown_token").then_some(id.as_str());
        assert_eq!((event["actor"].as_str(), &event["tenant"]), (actor, &json!("acme")), "{event}");
    }
    let mut secrets = vec![
        PASSWORD.to_owned(),
        ann.secret.clone(),
        format!("\"{code}\""),
        device,
        token,
        ann.email.to_owned(),
    ];
    secrets.extend(ann.recovery.iter().cloned());
    secrets.extend(super::list(&rotated.json()["recovery_codes"]));
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} is in the log");
    }
    world.end().await;
}
