//! POST /v1/auth/register (EP001).

use serde_json::{Value, json};

use super::world::{Choice, PASSWORD, World, call, text_of};

fn body(email: &str) -> Value {
    json!({"tenant_id": "acme", "client_id": "web", "email": email, "password": PASSWORD})
}

fn with(mut body: Value, member: &str, value: impl Into<Value>) -> Value {
    body[member] = value.into();
    body
}

/// EP001, spec §5: the account, without tokens and without anything that is not its owner's.
#[tokio::test]
async fn a_new_account_is_answered_without_its_secrets() {
    let world = World::new().await;
    let request = with(with(body(" Ann@Example.COM "), "givenName", " Ann "), "family_name", "Lee");
    let answer = world.post("/v1/auth/register", &request).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("pragma"), Some("no-cache"));
    let json = answer.json();
    let names: Vec<&str> = json["user"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "created_at",
            "email",
            "email_verified",
            "family_name",
            "given_name",
            "id",
            "last_login_at",
            "locale",
            "picture",
            "updated_at"
        ]
    );
    assert_eq!(json.as_object().unwrap().len(), 1, "no tokens unless REGISTER_AUTO_LOGIN is set");
    let user = &json["user"];
    assert_eq!(
        (&user["email"], &user["email_verified"], &user["given_name"]),
        (&json!("Ann@Example.COM"), &json!(false), &json!("Ann"))
    );
    assert_eq!(user["created_at"], "2027-01-15T08:00:00.000Z");
    world.end().await;
}

/// spec §5: camelCase is accepted, any content type too.
#[tokio::test]
async fn camel_case_names_are_accepted_and_auto_login_answers_with_tokens() {
    let world =
        World::with(Choice { env: vec![("REGISTER_AUTO_LOGIN", "1".to_owned())], ..Choice::default() }).await;
    let body =
        json!({"tenantId": "acme", "clientId": "web", "email": "ann@example.com", "password": PASSWORD});
    let answer = world.post("/v1/auth/register", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let json = answer.json();
    assert_eq!((&json["token_type"], &json["expires_in"]), (&json!("Bearer"), &json!(900)));
    let me = world.get("/v1/me", &text_of(&json, "access_token")).await;
    assert_eq!(me.json()["user"]["id"], json["user"]["id"]);
    let told = "SELECT count(*) FROM audit_events WHERE action = 'user.login' AND outcome = 'ok'";
    assert_eq!(world.count(told).await, 1);
    assert_eq!(world.refresh(&text_of(&json, "refresh_token")).await.status, 200);
    world.end().await;
}

/// S102: whatever is not a person's own to set is refused by name, and nothing is written.
#[tokio::test]
async fn fields_that_are_not_ones_own_are_refused_by_name() {
    let world = World::new().await;
    for (member, value) in [
        ("email_verified", json!(true)),
        ("emailVerified", json!(true)),
        ("is_admin", json!(true)),
        ("sys_admin", json!(true)),
        ("roles", json!(["sys:admin"])),
        ("status", json!("active")),
        ("mfa_enabled", json!(true)),
        ("id", json!("00000000-0000-0000-0000-000000000000")),
        ("tenant", json!("local")),
        ("custom", json!({"a": 1})),
    ] {
        let answer = world.post("/v1/auth/register", &with(body("ann@example.com"), member, value)).await;
        assert_eq!(answer.refusal(), (422, "validation_failed".to_owned()), "{member}");
        assert_eq!(answer.errors(), [format!("{member}: unknown_field")]);
    }
    assert_eq!(world.count("SELECT count(*) FROM users").await, 0);
    world.end().await;
}

/// T44, S63, spec §13.13: rules with machine-readable reasons, all at once.
#[tokio::test]
async fn a_password_that_breaks_rules_is_refused_with_every_reason() {
    let world = World::with(Choice { blacklist: "password123456\n", ..Choice::default() }).await;
    world.put_client("local", "web", json!({})).await;
    world.put_tenant("acme", json!({"name": "Globex Trading"})).await;
    let long = "x".repeat(129);
    let kilobyte = "é".repeat(512);
    for (password, reasons) in [
        ("7 chars", vec!["password: too_short"]),
        ("Password123456", vec!["password: blacklisted"]),
        ("ann@example.com", vec!["password: same_as_account"]),
        ("PassWord1", vec!["password: common"]),
        ("trustno1", vec!["password: common"]),
        ("Example#2026", vec!["password: contains_context"]),
        ("ACME-acme-1", vec!["password: contains_context"]),
        ("globex99", vec!["password: contains_context"]),
        (&long, vec!["password: too_long"]),
        (&kilobyte, vec!["password: too_long"]),
    ] {
        let request = with(body("ann@example.com"), "password", password);
        let answer = world.post("/v1/auth/register", &request).await;
        assert_eq!(answer.refusal(), (422, "validation_failed".to_owned()));
        assert_eq!(answer.errors(), reasons);
        assert!(!answer.text().contains(password), "a password is not repeated");
    }
    let oversized = with(body("ann@example.com"), "password", "x".repeat(1025));
    let answer = world.post("/v1/auth/register", &oversized).await;
    assert_eq!(answer.refusal(), (400, "invalid_parameter".to_owned()));
    world
        .put_tenant("acme", json!({"settings": {"passwordPolicy": {"minLength": 30, "requireDigit": true}}}))
        .await;
    let answer = world.post("/v1/auth/register", &with(body("no address"), "given_name", "a\u{7}b")).await;
    assert_eq!(
        answer.errors(),
        ["email: invalid_email", "password: too_short", "password: needs_digit", "given_name: invalid"]
    );
    assert_eq!(world.hashes.begun(), 0, "nothing was hashed for a refusal");
    assert_eq!(world.register("local", "ann@example.com").await.status, 201, "the rules are one tenant's");
    world.end().await;
}

/// S63: long ones are welcome, every byte of them counts (also the 73rd), and both Unicode forms are one password.
#[tokio::test]
async fn a_long_password_is_taken_whole_and_in_either_unicode_form() {
    let world = World::new().await;
    let long = format!("caf\u{e9} {}", "horse battery ".repeat(6));
    assert!(long.len() > 72 && long.chars().count() > 64);
    let request = with(body("ann@example.com"), "password", long.as_str());
    assert_eq!(world.post("/v1/auth/register", &request).await.status, 201);
    let login = async |password: &str| world.try_login("acme", "ann@example.com", password).await.status;
    assert_eq!(login(&long).await, 200);
    assert_eq!(login(&long.replace('\u{e9}', "e\u{301}")).await, 200);
    let cut: String = long.chars().take(71).collect();
    assert_eq!(cut.len(), 72);
    assert_eq!(login(&cut).await, 401);
    assert_eq!(login(&long.replace('\u{e9}', "e")).await, 401);
    world.end().await;
}

/// spec §4: unique per tenant, case-insensitive.
#[tokio::test]
async fn an_address_is_taken_in_its_tenant_only() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    let answer = world.post("/v1/auth/register", &body("ANN@example.com")).await;
    assert_eq!(answer.refusal(), (409, "email_taken".to_owned()));
    world.register("local", "ann@example.com").await;
    world.end().await;
}

/// Of several that register one address at the same moment one succeeds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_parallel_registrations_wins() {
    let world = World::new().await;
    let request = body("ann@example.com");
    let all = (0..8).map(|_| world.post("/v1/auth/register", &request));
    let mut statuses: Vec<u16> =
        futures::future::join_all(all).await.iter().map(|answer| answer.status.as_u16()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409, 409, 409, 409, 409, 409]);
    world.end().await;
}

/// The place must exist and admit people; register and login ask the same question.
#[tokio::test]
async fn the_place_is_told_when_it_is_wrong() {
    let world = World::new().await;
    world.put_tenant("gone-fishing", json!({"status": "suspended"})).await;
    world.put_client("gone-fishing", "web", json!({})).await;
    world.put_client("acme", "off", json!({"enabled": false})).await;
    world.put_client("acme", "social", json!({"providers": ["google"]})).await;
    let request = |tenant: &str, client: &str| {
        with(with(body("ann@example.com"), "tenant_id", tenant), "client_id", client)
    };
    for path in ["/v1/auth/register", "/v1/auth/login"] {
        for (tenant, client, expected) in [
            ("nobody", "web", (404, "tenant_not_found")),
            ("acme", "nothing", (404, "client_not_found")),
            ("gone-fishing", "web", (403, "tenant_suspended")),
            ("acme", "off", (403, "client_disabled")),
            ("acme", "social", (403, "provider_not_allowed")),
            ("../x", "web", (422, "validation_failed")),
            ("", "web", (422, "validation_failed")),
            ("ACME", "web", (422, "validation_failed")),
            ("acme", "a/b", (422, "validation_failed")),
        ] {
            let answer = world.post(path, &request(tenant, client)).await;
            assert_eq!(answer.refusal(), (expected.0, expected.1.to_owned()), "{path} {tenant} {client}");
        }
        let long = "a".repeat(64);
        assert_eq!(world.post(path, &request(&long, "web")).await.refusal().0, 422);
        for (text, expected) in [
            ("{", (400, "malformed_json")),
            (r#"{"tenant_id":"acme","tenant_id":"local"}"#, (400, "malformed_json")),
            ("{}", (422, "validation_failed")),
            (r#"{"tenant_id":"acme","client_id":"web","email":1,"password":2}"#, (422, "validation_failed")),
        ] {
            let answer = world.send(call("POST", path, None, text)).await;
            assert_eq!(answer.refusal(), (expected.0, expected.1.to_owned()), "{path} {text}");
        }
    }
    assert_eq!(world.count("SELECT count(*) FROM users").await, 0);
    world.end().await;
}
