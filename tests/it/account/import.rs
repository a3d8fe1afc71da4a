//! POST /v1/admin/users/import: people of another system, with the hashes that it made.

use futures::future::join_all;
use serde_json::{Value, json};

use super::world::{Answer, PASSWORD, Tokens, World, call, text_of};
use crate::harness::postgres::TestDb;

/// [`PASSWORD`] by bcrypt 5.0.0 for Python.
pub(super) const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS";
const ID: &str = "0198c0de-0000-7000-8000-000000000001";
const OTHER_ID: &str = "0198c0de-0000-7000-8000-000000000002";

impl World {
    async fn import(&self, admin: &str, tenant: &str, users: &Value) -> Answer {
        let body = json!({"tenant_id": tenant, "users": users});
        self.send(call("POST", "/v1/admin/users/import", Some(admin), &body.to_string())).await
    }

    async fn hash_of(&self, email: &str) -> String {
        let mut connection = self.db.connection().await;
        let hash = sqlx::query_scalar("SELECT password_hash FROM users WHERE email = $1").bind(email);
        hash.fetch_one(&mut connection).await.unwrap()
    }
}

/// What became of each line: `created`, or `refused field code` for each reason.
fn told(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let json = answer.json();
    let results = json["results"].as_array().unwrap();
    assert!(results.iter().enumerate().all(|(index, result)| result["index"] == index), "{json}");
    let errors = |result: &Value| -> String {
        let errors = result["errors"].as_array().cloned().unwrap_or_default();
        let reason = |e: &Value| format!(" {} {}", text_of(e, "field"), text_of(e, "code"));
        errors.iter().map(reason).collect()
    };
    let told: Vec<String> =
        results.iter().map(|result| text_of(result, "status") + &errors(result)).collect();
    for status in ["created", "unchanged", "refused"] {
        let count = told.iter().filter(|told| told.starts_with(status)).count();
        assert_eq!(json[status], count, "{json}");
    }
    told
}

fn ann(hash: &str) -> Value {
    json!({"sub": ID, "email": "ann@example.com", "password_hash": hash})
}

/// S64: every kind of hash that is read opens the account with the old password, to nobody else, and is Argon2id with
/// the current parameters from then on.
#[tokio::test]
async fn whoever_had_a_password_there_has_it_here_and_its_hash_is_renewed() {
    let world = World::new().await;
    let admin = world.admin().await;
    // Made by the programs that src/crypto/password/foreign_tests.rs names.
    let hashes = [
        BCRYPT,
        "$2y$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS",
        "$scrypt$ln=4,r=8,p=1$c29tZXNhbHQxMjM0NTY3OA$1pGjRsN7Y1Wp//xwPt3NINHYkdxX73XiJ84OdR6As3c",
        "$pbkdf2-sha256$1000$c29tZXNhbHQxMjM0NTY3OA$/SBApkvDnCRTZM8JM3.QsSTWVLuzUlH3smiOHl3Xqac",
        "$pbkdf2-sha512$i=1000$c29tZXNhbHQxMjM0NTY3OA$NAzGjPTmx4ro1q9sJVzsiLEHjwwk53xn5hkSWo39mR8SGJa8C4xDaMR9JX1Fd2qow34YnXHO9LMo+avY2WtnGA",
        "pbkdf2_sha256$1000$seasalt123456$U9IOC2eFC3VnVL9fK++3Y9oREhxtj/4vblTplN8Hqio=",
        "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$8u4GHYdi77qnKvdgq27SV+dAQ7Zg3RLLBwKBWYDkxuI",
        "$argon2i$v=19$m=64,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$Vb+7rQkefjF30WB6A5PJfXHudYUhyJ1vXTcIazFGbc0",
    ];
    let email = |n: usize| format!("user{n}@example.com");
    let users: Vec<Value> = hashes
        .iter()
        .enumerate()
        .map(|(n, hash)| json!({"email": email(n), "password_hash": hash}))
        .collect();
    assert_eq!(told(&world.import(&admin, "acme", &json!(users)).await), vec!["created"; hashes.len()]);
    for (n, hash) in hashes.iter().enumerate() {
        let wrong = world.try_login("acme", &email(n), "correct horse batterz").await;
        assert_eq!(wrong.refusal(), (401, "invalid_credentials".to_owned()), "{hash}");
        assert_eq!(world.hash_of(&email(n)).await, *hash, "kept as it came until the right password");
        world.login("acme", &email(n)).await;
        let renewed = world.hash_of(&email(n)).await;
        assert!(renewed.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}: {renewed}");
        world.login("acme", &email(n)).await;
        assert_eq!(world.hash_of(&email(n)).await, renewed, "renewed once");
    }
    world.end().await;
}

/// S64: a cost bomb and what is no hash are refused by name; one that is in the database all the same opens nothing.
#[tokio::test]
async fn a_hash_that_costs_too_much_or_is_none_is_refused_and_not_repeated() {
    let world = World::new().await;
    let admin = world.admin().await;
    let bombs = [
        "$argon2id$v=19$m=4194304,t=1,p=1$c29tZXNhbHQxMjM0NTY3OA$8u4GHYdi77qnKvdgq27SV+dAQ7Zg3RLLBwKBWYDkxuI",
        "$scrypt$ln=25,r=8,p=1$c29tZXNhbHQxMjM0NTY3OA$1pGjRsN7Y1Wp//xwPt3NINHYkdxX73XiJ84OdR6As3c",
        "$2b$31$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS",
        "$pbkdf2-sha256$i=999999999$c29tZXNhbHQxMjM0NTY3OA$/SBApkvDnCRTZM8JM3+QsSTWVLuzUlH3smiOHl3Xqac",
        "5f4dcc3b5aa765d61d8327deb882cf99",
        "",
    ];
    let users: Vec<Value> = bombs.iter().map(|hash| ann(hash)).collect();
    let answer = world.import(&admin, "acme", &json!(users)).await;
    assert_eq!(told(&answer), vec!["refused password_hash invalid_hash"; bombs.len()]);
    for part in ["8u4GHYdi77", "1pGjRsN7", "qREtd3VJD2", "/SBApkvDn", "5f4dcc3b"] {
        assert!(!answer.text().contains(part), "{}", answer.text());
    }
    assert_eq!(world.count("SELECT count(*) FROM users WHERE tenant = 'acme'").await, 0);

    world.import(&admin, "acme", &json!([ann(BCRYPT)])).await;
    world
        .sql("UPDATE users SET password_hash = replace(password_hash, '$04$', '$31$') WHERE tenant = 'acme'")
        .await;
    let answer = world.try_login("acme", "ann@example.com", PASSWORD).await;
    assert_eq!(answer.refusal(), (401, "invalid_credentials".to_owned()));
    world.end().await;
}

/// The same file again changes nothing, whatever its people have done since.
#[tokio::test]
async fn a_line_that_was_imported_is_known_again() {
    let world = World::new().await;
    let admin = world.admin().await;
    let users = json!([
        ann(BCRYPT),
        {"email": "bob@example.com", "passwordHash": BCRYPT, "givenName": " Bob ", "custom": {"b": 1, "a": [2]}},
        {"email": "cleo@example.com"},
    ]);
    let first = world.import(&admin, "acme", &users).await;
    assert_eq!(told(&first), ["created"; 3]);
    assert_eq!(first.json()["results"][0]["id"], ID);
    let tokens = world.login("acme", "bob@example.com").await;
    let edit = json!({"given_name": "Robert"}).to_string();
    assert_eq!(world.send(call("PUT", "/v1/me", Some(&tokens.access), &edit)).await.status, 200);

    let users = json!([
        {"email": "ann@example.com", "password_hash": BCRYPT, "id": ID, "status": "active", "email_verified": false},
        {"custom": {"a": [2], "b": 1}, "password_hash": BCRYPT, "given_name": "Bob", "email": "bob@example.com"},
        {"email": "cleo@example.com"},
    ]);
    let again = world.import(&admin, "acme", &users).await;
    assert_eq!(told(&again), ["unchanged"; 3]);
    for n in 0..3 {
        assert_eq!(again.json()["results"][n]["id"], first.json()["results"][n]["id"]);
    }
    world.login("acme", "bob@example.com").await;
    let me = world.get("/v1/me", &tokens.access).await.json();
    assert_eq!(me["user"]["given_name"], "Robert");
    world.end().await;
}

/// Nobody's account is overwritten: what is in the way is named, and the other lines are not held up by it.
#[tokio::test]
async fn what_belongs_to_somebody_else_is_refused_and_the_rest_is_made() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.register("acme", "ann@example.com").await;
    world.import(&admin, "acme", &json!([{"id": ID, "email": "bob@example.com"}])).await;
    let before = world.hash_of("ann@example.com").await;
    let users = json!([
        {"email": "ANN@example.com", "password_hash": BCRYPT},
        {"id": OTHER_ID, "email": "ann@example.com"},
        {"id": ID, "email": "new@example.com"},
        {"id": ID, "email": "bob@example.com", "password_hash": BCRYPT},
        {"email": "bob@example.com"},
        {"id": OTHER_ID, "email": "Bob@Example.com"},
        {"email": "dora@example.com"},
        // Several times in one batch: one of them counts.
        {"email": "DORA@example.com"},
        {"email": "dora@example.com"},
        {"id": OTHER_ID, "email": "emil@example.com"},
        {"id": OTHER_ID, "email": "fritz@example.com"},
    ]);
    let answer = world.import(&admin, "acme", &users).await;
    assert_eq!(
        told(&answer),
        [
            "refused email email_taken",
            "refused id id_taken email email_taken",
            "refused id id_taken",
            "refused  differs",
            "refused  differs",
            "refused id id_taken email email_taken",
            "created",
            "refused  differs",
            "unchanged",
            "created",
            "refused id id_taken",
        ],
    );
    assert_eq!(world.hash_of("ann@example.com").await, before);
    world.login("acme", "ann@example.com").await;
    world.end().await;
}

/// S102, S111: everything that is wrong with a line is named, a flag that makes administrators among it, and no value
/// is repeated.
#[tokio::test]
async fn a_line_that_is_not_acceptable_is_refused_with_every_reason() {
    let world = World::new().await;
    let admin = world.admin().await;
    let with = |name: &str, value: Value| {
        let mut line = json!({"email": "ann@example.com"});
        line[name] = value;
        line
    };
    let large: String = "x".repeat(16 * 1024);
    let cases = [
        (with("sys_admin", json!(true)), "refused sys_admin unknown_field"),
        (with("is_admin", json!(true)), "refused is_admin unknown_field"),
        (with("roles", json!(["sys:admin"])), "refused roles unknown_field"),
        (with("tenant_id", json!("local")), "refused tenant_id unknown_field"),
        (with("password", json!("planted")), "refused password unknown_field"),
        (with("failed_logins", json!(0)), "refused failed_logins unknown_field"),
        (json!({"given_name": "x"}), "refused email required"),
        (json!(["ann@example.com"]), "refused  wrong_type"),
        (json!("planted"), "refused  wrong_type"),
        (with("password_hash", json!(73_162_540)), "refused password_hash wrong_type"),
        (with("id", json!("planted")), "refused id invalid"),
        (with("sub", json!("00000000-0000-0000-0000-000000000000")), "refused id invalid"),
        (with("status", json!("planted")), "refused status unsupported_value"),
        (with("created_at", json!("2999-01-01T00:00:00Z")), "refused created_at in_the_future"),
        (with("created_at", json!("planted")), "refused created_at invalid"),
        (with("custom", json!([])), "refused custom wrong_type"),
        (with("custom", json!({"x": large})), "refused custom too_long"),
        (with("custom", json!({"x": [{"y": "\u{0}"}]})), "refused custom invalid"),
        (with("custom", json!({"\u{0}": 1})), "refused custom invalid"),
        (with("locale", json!("planted?")), "refused locale invalid_locale"),
        (with("picture", json!("http://example.com/a.png")), "refused picture invalid_url"),
        (
            json!({"email": "planted", "given_name": "a\u{0}b", "family_name": "x".repeat(201)}),
            "refused email invalid_email given_name invalid family_name too_long",
        ),
    ];
    let users: Vec<&Value> = cases.iter().map(|(line, _)| line).collect();
    let answer = world.import(&admin, "acme", &json!(users)).await;
    for ((line, expected), told) in cases.iter().zip(told(&answer)) {
        assert_eq!(told, *expected, "{line}");
    }
    assert!(!answer.text().contains("planted") && !answer.text().contains("7316"), "{}", answer.text());
    let good = world.import(&admin, "acme", &json!([with("sys_admin", json!(false)), ann(BCRYPT)])).await;
    assert_eq!(told(&good), ["refused sys_admin unknown_field", "created"]);
    assert_eq!(world.count("SELECT count(*) FROM users WHERE sys_admin").await, 1, "the one that was there");
    world.end().await;
}

/// The account is as the line says, and what the old system decided holds here too.
#[tokio::test]
async fn an_account_is_taken_over_with_all_that_a_line_says() {
    let world = World::new().await;
    let admin = world.admin().await;
    let users = json!([
        {"id": ID, "email": " Ann@Example.com", "email_verified": true, "password_hash": BCRYPT, "given_name": "Ann",
         "family_name": "Lee", "picture": "https://example.com/a.png", "locale": "pt-BR", "custom": {"plan": "gold"},
         "created_at": "2020-02-29T12:00:00+01:00"},
        {"email": "off@example.com", "password_hash": BCRYPT, "status": "disabled"},
        {"email": "held@example.com", "password_hash": BCRYPT, "status": "locked"},
        {"email": "none@example.com"},
    ]);
    assert_eq!(told(&world.import(&admin, "acme", &users).await), ["created"; 4]);
    let tokens = world.login("acme", "ann@example.com").await;
    assert_eq!(tokens.claims().sub, ID);
    let user = world.get("/v1/me", &tokens.access).await.json()["user"].clone();
    for (member, value) in [
        ("email", json!("Ann@Example.com")),
        ("email_verified", json!(true)),
        ("family_name", json!("Lee")),
        ("picture", json!("https://example.com/a.png")),
        ("locale", json!("pt-BR")),
        ("created_at", json!("2020-02-29T11:00:00.000Z")),
    ] {
        assert_eq!(user[member], value, "{member}");
    }
    const GOLD: &str = "SELECT count(*) FROM users WHERE custom = '{\"plan\": \"gold\"}'";
    assert_eq!(world.count(GOLD).await, 1);
    // Whoever administers accounts finds it by the same names (EP129).
    let found = world.get("/v1/admin/users?tenant_id=acme&q=LEE", &admin).await.json();
    assert_eq!(found["items"][0]["id"], ID, "{found}");
    for (email, code) in [("off", "account_disabled"), ("held", "account_locked")] {
        let answer = world.try_login("acme", &format!("{email}@example.com"), PASSWORD).await;
        assert_eq!(answer.refusal(), (403, code.to_owned()));
    }
    for password in [PASSWORD, ""] {
        let answer = world.try_login("acme", "none@example.com", password).await;
        assert_eq!(answer.refusal(), (401, "invalid_credentials".to_owned()));
    }
    world.end().await;
}

/// S103: an address and an id belong to a tenant; another one may have them for somebody else. A tenant's own database
/// is the one that is written to.
#[tokio::test]
async fn tenants_do_not_meet() {
    let world = World::new().await;
    let admin = world.admin().await;
    let own = TestDb::new().await;
    world.put_tenant("beta", json!({"settings": {"userStore": {"dsn": own.dsn()}}})).await;
    world.put_client("beta", "web", json!({"scopes": ["openid"]})).await;
    for tenant in ["acme", "local", "beta"] {
        assert_eq!(told(&world.import(&admin, tenant, &json!([ann(BCRYPT)])).await), ["created"], "{tenant}");
    }
    assert_eq!(world.count("SELECT count(*) FROM users WHERE email_key = 'ann@example.com'").await, 2);
    let mut connection = own.connection().await;
    let there: Vec<String> =
        sqlx::query_scalar("SELECT tenant FROM users").fetch_all(&mut connection).await.unwrap();
    assert_eq!(there, ["beta"]);
    let acme = world.login("acme", "ann@example.com").await;
    world.login("beta", "ann@example.com").await;
    let end = json!({"password": PASSWORD}).to_string();
    assert_eq!(world.send(call("DELETE", "/v1/me", Some(&acme.access), &end)).await.status, 204);
    world.login("local", "ann@example.com").await;
    world.end().await;
}

/// Two operators with the same people at the same moment, in another order: each account is made once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_imports_at_the_same_moment_each_account_is_made_once() {
    let world = World::new().await;
    let admin = world.admin().await;
    let users: Vec<Value> = (0..200)
        .map(|n| match n % 2 {
            0 => json!({"email": format!("user{n}@example.com"), "password_hash": BCRYPT}),
            _ => json!({"id": format!("0198c0de-0000-7000-8000-{n:012}"), "email": format!("user{n}@example.com")}),
        })
        .collect();
    let backwards: Vec<Value> = users.iter().rev().cloned().collect();
    let (users, backwards) = (json!(users), json!(backwards));
    let imports = [&users, &backwards, &users, &backwards].map(|users| world.import(&admin, "acme", users));
    let results: Vec<Vec<String>> = join_all(imports).await.iter().map(told).collect();
    let count = |status: &str| results.iter().flatten().filter(|told| *told == status).count();
    assert_eq!((count("created"), count("unchanged")), (200, 600));
    assert_eq!(world.count("SELECT count(*) FROM users WHERE tenant = 'acme'").await, 200);
    world.end().await;
}

#[tokio::test]
async fn a_batch_is_bounded_and_a_dry_run_leaves_nothing() {
    let world = World::new().await;
    let admin = world.admin().await;
    let people = |count: usize| -> Value {
        (0..count).map(|n| json!({"email": format!("user{n}@example.com")})).collect()
    };
    let answer = world.import(&admin, "acme", &people(501)).await;
    assert_eq!(answer.refusal(), (422, "validation_failed".to_owned()));
    assert_eq!(answer.errors(), ["users: too_many"]);
    assert_eq!(told(&world.import(&admin, "acme", &people(0)).await), [""; 0]);
    let answer = world.import(&admin, "nobody", &people(1)).await;
    assert_eq!(answer.refusal(), (404, "tenant_not_found".to_owned()));
    let twice = r#"{"tenant_id":"acme","users":[{"email":"a@example.com","email":"b@example.com"}]}"#;
    let answer = world.send(call("POST", "/v1/admin/users/import", Some(&admin), twice)).await;
    assert_eq!(answer.refusal(), (400, "malformed_json".to_owned()));
    let large = world.import(&admin, "acme", &json!([{"email": "x".repeat(300 * 1024)}])).await;
    assert_eq!(large.refusal(), (413, "body_too_large".to_owned()));

    world.register("acme", "user1@example.com").await;
    let check = json!({"tenantId": "acme", "users": people(3), "dryRun": true}).to_string();
    let answer = world.send(call("POST", "/v1/admin/users/import", Some(&admin), &check)).await;
    assert_eq!(told(&answer), ["created", "refused email email_taken", "created"]);
    assert_eq!(answer.json()["dry_run"], true);
    assert_eq!(world.count("SELECT count(*) FROM users WHERE tenant = 'acme'").await, 1);
    assert_eq!(told(&world.import(&admin, "acme", &people(500)).await).len(), 500);
    assert_eq!(world.count("SELECT count(*) FROM users WHERE tenant = 'acme'").await, 500);
    world.end().await;
}

/// S63: the rules are for new passwords. Who has an old one that breaks them still gets in, and cannot choose it again.
#[tokio::test]
async fn a_login_is_not_held_to_the_rules() {
    let world = World::new().await;
    let admin = world.admin().await;
    // password1, by bcrypt 5.0.0 for Python
    let hash = "$2b$04$abcdefghijklmnopqrstuuG0dn23TmsW2CgnJryKiUOtvqgeAPA.2";
    assert_eq!(told(&world.import(&admin, "acme", &json!([ann(hash)])).await), ["created"]);
    let tokens = Tokens::of(&world.try_login("acme", "ann@example.com", "password1").await);
    let change = |new: &str| json!({"current_password": "password1", "new_password": new}).to_string();
    for (new, codes) in [
        ("password1", vec!["new_password: unchanged", "new_password: common"]),
        ("iloveyou", vec!["new_password: common"]),
        ("acme-2026", vec!["new_password: contains_context"]),
        ("Example99", vec!["new_password: contains_context"]),
    ] {
        let answer = world.send(call("POST", "/v1/me/password", Some(&tokens.access), &change(new))).await;
        assert_eq!(answer.errors(), codes, "{new}");
    }
    let answer = world.send(call("POST", "/v1/me/password", Some(&tokens.access), &change(PASSWORD))).await;
    assert_eq!(answer.status, 200);
    world.end().await;
}
