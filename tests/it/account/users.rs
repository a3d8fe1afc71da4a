//! What administrators do with the accounts of a tenant (EP129, EP130; S34, S80, S81, S102, S103, S106).

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{Answer, PASSWORD, Tokens, World, text_of};
use crate::harness::node::until;

const USERS: &str = "/v1/admin/users";

impl World {
    /// An access token of an administrator.
    pub(super) async fn admin(&self) -> String {
        self.register("local", "root@example.com").await;
        self.sql("UPDATE users SET sys_admin = true WHERE email = 'root@example.com'").await;
        self.login("local", "root@example.com").await.access
    }

    /// Makes an account; its id.
    async fn made(&self, admin: &str, body: Value) -> String {
        let answer = self.ask("POST", USERS, admin, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        text_of(&answer.json()["user"], "id")
    }

    /// The addresses that a search finds, page by page.
    async fn search(&self, admin: &str, query: &str, limit: usize) -> Vec<String> {
        let (mut found, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("{USERS}?tenant_id=acme&limit={limit}{query}&cursor={cursor}");
            let answer = self.get(&path, admin).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            let page = answer.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            found.extend(items.iter().map(|item| text_of(item, "email")));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return found,
            }
        }
    }
}

fn of(id: &str, verb: &str) -> String {
    format!("{USERS}/{id}{verb}?tenant_id=acme")
}

fn user(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["user"].clone()
}

#[tokio::test]
async fn an_account_is_made_shown_edited_and_deleted() {
    let world = World::new().await;
    let admin = world.admin().await;
    let id = world
        .made(
            &admin,
            json!({"tenant_id": "acme", "email": "Ann@Example.com", "email_verified": true, "password": PASSWORD,
                "given_name": "Ann", "family_name": "Lee", "picture": "https://pics.example/a.png", "locale": "de",
                "custom": {"team": {"id": 7, "lead": true}, "tags": ["a"]}}),
        )
        .await;
    let shown = user(&world.get(&of(&id, ""), &admin).await);
    assert_eq!((&shown["email"], &shown["email_verified"]), (&json!("Ann@Example.com"), &json!(true)));
    assert_eq!((&shown["status"], &shown["has_password"]), (&json!("active"), &json!(true)));
    assert_eq!(shown["custom"], json!({"team": {"id": 7, "lead": true}, "tags": ["a"]}));
    assert!(!shown.to_string().contains("argon2"), "{shown}");
    let tokens = world.login("acme", "ann@example.com").await;

    let patch = json!({"family_name": null, "custom": {"team": {"id": null}, "tags": ["b"], "level": 3}});
    let edited = user(&world.ask("PATCH", &of(&id, ""), &admin, patch).await);
    assert_eq!((&edited["given_name"], &edited["family_name"]), (&json!("Ann"), &json!(null)));
    assert_eq!(edited["custom"], json!({"team": {"lead": true}, "tags": ["b"], "level": 3}));
    assert_eq!(edited["email_verified"], true);
    // The same address in other letters is the same; another one nobody has shown to be theirs.
    let same = user(&world.ask("PATCH", &of(&id, ""), &admin, json!({"email": "ANN@example.com"})).await);
    assert_eq!((&same["email"], &same["email_verified"]), (&json!("ANN@example.com"), &json!(true)));
    let moved = user(&world.ask("PATCH", &of(&id, ""), &admin, json!({"email": "lee@example.com"})).await);
    assert_eq!((&moved["email"], &moved["email_verified"]), (&json!("lee@example.com"), &json!(false)));
    assert_eq!(world.get("/v1/me", &tokens.access).await.json()["user"]["email"], "lee@example.com");
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.status, 401);
    world.login("acme", "lee@example.com").await;

    let answer = world.ask("DELETE", &of(&id, ""), &admin, Value::Null).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    assert_eq!(world.refresh(&tokens.refresh).await.status, 401);
    let again = world.ask("DELETE", &of(&id, ""), &admin, Value::Null).await;
    assert_eq!(again.refusal(), (404, "user_not_found".to_owned()));
    world.end().await;
}

/// S102, S63: what is not theirs to decide is refused by name, the rules of passwords are everybody's, and nothing is written
/// when any field is wrong.
#[tokio::test]
async fn unknown_fields_and_values_out_of_bounds_are_refused_by_name() {
    let world = World::new().await;
    let admin = world.admin().await;
    let id = world.made(&admin, json!({"tenant_id": "acme", "email": "ann@example.com"})).await;
    world.made(&admin, json!({"tenant_id": "acme", "email": "bob@example.com"})).await;
    for field in
        ["sys_admin", "is_admin", "roles", "status", "id", "failed_logins", "password_hash", "tenant"]
    {
        let body = json!({"tenant_id": "acme", "email": "eve@example.com", field: true});
        let answer = world.ask("POST", USERS, &admin, body).await;
        assert_eq!(answer.errors(), [format!("{field}: unknown_field")]);
        let answer =
            world.ask("PATCH", &of(&id, ""), &admin, json!({"given_name": "Eve", field: true})).await;
        assert_eq!(answer.errors(), [format!("{field}: unknown_field")]);
    }
    let wrong = json!({"tenant_id": "acme", "email": "eve", "password": "short", "given_name": "a\u{0}b",
        "locale": "de_DE", "picture": "x", "custom": {"a": "\u{0}"}});
    let expected = [
        "email: invalid_email",
        "given_name: invalid",
        "picture: invalid_url",
        "locale: invalid_locale",
        "custom: invalid",
        "password: too_short",
    ];
    assert_eq!(world.ask("POST", USERS, &admin, wrong).await.errors(), expected);
    let long = json!({"custom": {"a": "x".repeat(16 * 1024)}});
    assert_eq!(world.ask("PATCH", &of(&id, ""), &admin, long).await.errors(), ["custom: too_long"]);
    let none = json!({"email": null, "password": null});
    let answer = world.ask("PATCH", &of(&id, ""), &admin, none).await;
    assert_eq!(answer.errors(), ["email: required", "password: required"]);
    let taken = world.ask("PATCH", &of(&id, ""), &admin, json!({"email": "BOB@example.com"})).await;
    assert_eq!(taken.refusal(), (409, "email_taken".to_owned()));
    let taken = json!({"tenant_id": "acme", "email": "ann@example.com"});
    assert_eq!(world.ask("POST", USERS, &admin, taken).await.refusal(), (409, "email_taken".to_owned()));
    let kept = user(&world.get(&of(&id, ""), &admin).await);
    assert_eq!((&kept["given_name"], &kept["email"]), (&json!(null), &json!("ann@example.com")));
    assert_eq!(world.count("SELECT count(*) FROM users WHERE tenant = 'acme'").await, 2);
    world.end().await;
}

/// The bound on custom attributes holds for what is there when they are merged: of two edits at once that exceed it together the
/// later one is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parallel_edits_do_not_exceed_the_bound_of_custom_attributes() {
    let world = World::new().await;
    let admin = world.admin().await;
    let id = world.made(&admin, json!({"tenant_id": "acme", "email": "ann@example.com"})).await;
    let edit = async |name: &str| {
        let patch = json!({"custom": {name: "x".repeat(9 * 1024)}});
        world.ask("PATCH", &of(&id, ""), &admin, patch).await
    };
    // Both have read the account when either writes it.
    let mut holding = world.db.connection().await;
    sqlx::raw_sql("BEGIN; SELECT id FROM users FOR UPDATE").execute(&mut holding).await.unwrap();
    let release = async {
        const WAITING: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
            AND datname = current_database()";
        until("both to write", || async { world.count(WAITING).await == 2 }).await;
        sqlx::raw_sql("COMMIT").execute(&mut holding).await.unwrap();
    };
    let (one, two, ()) = tokio::join!(edit("one"), edit("two"), release);
    let (kept, refused) = if one.status == 200 { (one, two) } else { (two, one) };
    assert_eq!(refused.errors(), ["custom: too_long"]);
    let shown = user(&world.get(&of(&id, ""), &admin).await);
    assert_eq!(shown["custom"], user(&kept)["custom"]);
    world.end().await;
}

/// S80: disabled, an account's sessions and tokens are dead at once; enabled, it needs a new login.
#[tokio::test]
async fn a_disabled_account_is_dead_at_once_and_stays_logged_out_when_enabled() {
    let world = World::new().await;
    let admin = world.admin().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let id = tokens.claims().sub;
    for _ in 0..2 {
        let disabled = user(&world.ask("POST", &of(&id, "/disable"), &admin, Value::Null).await);
        assert_eq!(disabled["status"], "disabled");
    }
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    assert_eq!(world.refresh(&tokens.refresh).await.refusal(), (401, "invalid_refresh_token".to_owned()));
    let told = world.try_login("acme", "ann@example.com", PASSWORD).await.refusal();
    assert_eq!(told, (403, "account_disabled".to_owned()));
    assert_eq!(world.try_login("acme", "ann@example.com", "wrong wrong").await.status, 401);
    // Unlocking is not enabling.
    let unlocked = user(&world.ask("POST", &of(&id, "/unlock"), &admin, Value::Null).await);
    assert_eq!(unlocked["status"], "disabled");

    for _ in 0..2 {
        let enabled = user(&world.ask("POST", &of(&id, "/enable"), &admin, Value::Null).await);
        assert_eq!(enabled["status"], "active");
    }
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    assert_eq!(world.refresh(&tokens.refresh).await.status, 401);
    world.login("acme", "ann@example.com").await;
    world.end().await;
}

/// S61: an administrator need not wait for the end of a hold.
#[tokio::test]
async fn a_held_account_and_a_locked_one_are_unlocked() {
    let world = World::new().await;
    let admin = world.admin().await;
    let id = world.session("acme", "ann@example.com").await.claims().sub;
    for _ in 0..10 {
        world.try_login("acme", "ann@example.com", "wrong wrong").await;
    }
    let held = world.try_login("acme", "ann@example.com", PASSWORD).await;
    assert_eq!(held.refusal(), (403, "account_locked".to_owned()));
    let shown = user(&world.get(&of(&id, ""), &admin).await);
    assert_eq!((&shown["failed_logins"], shown["locked_until"].is_null()), (&json!(10), false));
    // Enabling is not unlocking.
    user(&world.ask("POST", &of(&id, "/enable"), &admin, Value::Null).await);
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.status, 403);
    let unlocked = user(&world.ask("POST", &of(&id, "/unlock"), &admin, Value::Null).await);
    assert_eq!((&unlocked["failed_logins"], &unlocked["locked_until"]), (&json!(0), &json!(null)));
    world.login("acme", "ann@example.com").await;

    world.sql("UPDATE users SET status = 'locked' WHERE email = 'ann@example.com'").await;
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.status, 403);
    let unlocked = user(&world.ask("POST", &of(&id, "/unlock"), &admin, Value::Null).await);
    assert_eq!(unlocked["status"], "active");
    world.login("acme", "ann@example.com").await;
    world.end().await;
}

/// S34: a password that an administrator sets ends every session.
#[tokio::test]
async fn a_password_that_is_set_ends_every_session() {
    let world = World::new().await;
    let admin = world.admin().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let (id, new) = (tokens.claims().sub, "another horse, battery");
    user(&world.ask("PATCH", &of(&id, ""), &admin, json!({"given_name": "Ann"})).await);
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200, "another edit ends nothing");
    let answer = world.ask("PATCH", &of(&id, ""), &admin, json!({"password": "short"})).await;
    assert_eq!(answer.errors(), ["password: too_short"]);
    user(&world.ask("PATCH", &of(&id, ""), &admin, json!({"password": new})).await);
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
    assert_eq!(world.refresh(&tokens.refresh).await.status, 401);
    assert_eq!(world.try_login("acme", "ann@example.com", PASSWORD).await.status, 401);
    assert_eq!(world.try_login("acme", "ann@example.com", new).await.status, 200);
    world.end().await;
}

/// S81: all sessions are seen and ended at once.
#[tokio::test]
async fn sessions_are_listed_page_by_page_and_all_ended() {
    let world = World::new().await;
    let admin = world.admin().await;
    let one = world.session("acme", "ann@example.com").await;
    let two = world.login("acme", "ann@example.com").await;
    let eve = world.session("acme", "eve@example.com").await;
    let id = one.claims().sub;
    let sessions = of(&id, "/sessions");
    let first = world.get(&format!("{sessions}&limit=1"), &admin).await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = world.get(&format!("{sessions}&limit=1&cursor={cursor}"), &admin).await.json();
    assert_eq!(second["next_cursor"], json!(null));
    let mut seen = [&first, &second].map(|page| text_of(&page["items"][0], "id"));
    let mut real = [&one, &two].map(|tokens| tokens.claims().sid.unwrap());
    seen.sort();
    real.sort();
    assert_eq!(seen, real);
    assert_eq!(first["items"][0].get("current"), None);

    let ended = world.ask("DELETE", &sessions, &admin, Value::Null).await;
    assert_eq!((ended.status.as_u16(), ended.json()), (200, json!({"ended": 2})));
    for tokens in [&one, &two] {
        assert_eq!(world.get("/v1/me", &tokens.access).await.status, 401);
        assert_eq!(world.refresh(&tokens.refresh).await.status, 401);
    }
    assert_eq!(world.get("/v1/me", &eve.access).await.status, 200);
    assert_eq!(world.ask("DELETE", &sessions, &admin, Value::Null).await.json(), json!({"ended": 0}));
    world.end().await;
}

/// S103: an account is nobody's in another tenant, on every route that names one. The routes are found by walking them.
#[tokio::test]
async fn an_account_of_another_tenant_is_nobodys_on_every_route() {
    let world = World::new().await;
    let admin = world.admin().await;
    let tokens = world.session("acme", "ann@example.com").await;
    let id = tokens.claims().sub;
    let before = user(&world.get(&of(&id, ""), &admin).await);
    let surface = hellojohn::boot::surface();
    let routes: Vec<_> = surface.routes().filter(|spec| spec.path.contains("{user_id}")).collect();
    assert!(routes.len() >= 8, "{routes:?}");
    for spec in routes {
        let path = spec.path.replace("{user_id}", &id).replace("{client_id}", "web");
        for (tenant, status, code) in [
            ("local", 404, "user_not_found"),
            ("ghost", 404, "tenant_not_found"),
            ("A!", 400, "invalid_slug"),
        ] {
            let path = format!("{path}?tenant_id={tenant}");
            let answer = world.ask(spec.verb.method().as_str(), &path, &admin, json!({})).await;
            assert_eq!(answer.refusal(), (status, code.to_owned()), "{spec} {tenant}");
        }
        let answer = world.ask(spec.verb.method().as_str(), &path, &admin, json!({})).await;
        assert_eq!(answer.refusal(), (400, "invalid_parameter".to_owned()), "{spec} without a tenant");
    }
    assert_eq!(user(&world.get(&of(&id, ""), &admin).await), before);
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200);
    let malformed = world.get(&of("not-an-id", ""), &admin).await;
    assert_eq!(malformed.refusal(), (400, "invalid_parameter".to_owned()));
    world.end().await;
}

/// EP129, S106: what is looked for is the beginning of an address or a name, taken as it is; each account comes once.
#[tokio::test]
async fn a_search_finds_by_address_and_by_names_and_each_account_once() {
    let world = World::new().await;
    let admin = world.admin().await;
    for (email, given, family) in [
        ("smith@example.com", Some("Zoe"), Some("Smith")),
        ("ann@example.com", Some("Ann"), Some("Smith")),
        ("bob@example.com", Some("Bob"), Some("SMITHERS")),
        ("zed@example.com", Some("Smilla"), Some("Jones")),
        ("carol@example.com", Some("Ann"), Some("\u{d6}zil")),
        ("under_score@example.com", None, None),
        ("underXscore@example.com", None, Some("100%")),
    ] {
        let body = json!({"tenant_id": "acme", "email": email, "given_name": given, "family_name": family});
        world.made(&admin, body).await;
    }
    let elsewhere = json!({"tenant_id": "local", "email": "smith@example.com", "family_name": "Smith"});
    world.made(&admin, elsewhere).await;
    let everybody = [
        "ann@example.com",
        "bob@example.com",
        "carol@example.com",
        "smith@example.com",
        "under_score@example.com",
        "underXscore@example.com",
        "zed@example.com",
    ];
    for limit in [1, 2, 3, 200] {
        let found = |query: &'static str| world.search(&admin, query, limit);
        assert_eq!(found("").await, everybody);
        assert_eq!(found("&q=").await, everybody);
        // By address first, then by family name, then by given name.
        let smiths = ["smith@example.com", "ann@example.com", "bob@example.com", "zed@example.com"];
        assert_eq!(found("&q=smi").await, smiths);
        assert_eq!(found("&q=SMI").await, smiths);
        assert_eq!(found("&q=ann").await, ["ann@example.com", "carol@example.com"]);
        assert_eq!(found("&q=ann+smi").await, ["ann@example.com"]);
        assert_eq!(found("&q=Ann%20%C3%B6z").await, ["carol@example.com"]);
        assert_eq!(found("&q=under_").await, ["under_score@example.com"]);
        assert_eq!(found("&q=%25").await, Vec::<String>::new());
        assert_eq!(found("&q=100%25").await, ["underXscore@example.com"]);
        assert_eq!(found("&q=%27%20OR%201%3D1%20--").await, Vec::<String>::new());
        assert_eq!(found("&q=Ann@EXAMPLE.com").await, ["ann@example.com"]);
    }
    world.sql("UPDATE users SET status = 'disabled' WHERE email LIKE 'ann%' OR email LIKE 'zed%'").await;
    assert_eq!(world.search(&admin, "&status=disabled", 1).await, ["ann@example.com", "zed@example.com"]);
    assert_eq!(
        world.search(&admin, "&status=disabled&q=smi", 1).await,
        ["ann@example.com", "zed@example.com"]
    );
    assert_eq!(
        world.search(&admin, "&status=active&q=smi", 1).await,
        ["smith@example.com", "bob@example.com"]
    );
    assert_eq!(world.search(&admin, "&status=locked", 1).await, Vec::<String>::new());
    for bad in ["status=gone", "q=%00", &format!("q={}", "x".repeat(255)), "cursor=YQ", "limit=0"] {
        let answer = world.get(&format!("{USERS}?tenant_id=acme&{bad}"), &admin).await;
        assert_eq!(answer.refusal(), (400, "invalid_parameter".to_owned()), "{bad}");
    }
    world.end().await;
}

/// An edit and a change of status at once: neither undoes the other.
#[tokio::test]
async fn an_edit_does_not_undo_a_change_of_status() {
    let world = World::new().await;
    let admin = world.admin().await;
    let id = world.session("acme", "ann@example.com").await.claims().sub;
    world.clock.advance(Duration::from_secs(1));
    for round in 0..20 {
        let (verb, status) = if round % 2 == 0 { ("/disable", "disabled") } else { ("/enable", "active") };
        let name = format!("Ann {round}");
        let (path, verb) = (of(&id, ""), of(&id, verb));
        let edit = world.ask("PATCH", &path, &admin, json!({"given_name": name}));
        let switch = world.ask("POST", &verb, &admin, Value::Null);
        let (edited, switched) = futures::future::join(edit, switch).await;
        assert_eq!((edited.status.as_u16(), switched.status.as_u16()), (200, 200));
        let now = user(&world.get(&of(&id, ""), &admin).await);
        assert_eq!((&now["given_name"], &now["status"]), (&json!(name), &json!(status)));
    }
    world.end().await;
}

/// Tokens of people, of other tenants' people and of nobody do not administer: the matrix is in `gating`; here, that what an
/// administrator makes is an account like any other and no administrator.
#[tokio::test]
async fn an_account_that_is_made_is_no_administrator_and_needs_a_password_to_log_in() {
    let world = World::new().await;
    let admin = world.admin().await;
    world.made(&admin, json!({"tenant_id": "local", "email": "ann@example.com"})).await;
    let none = world.try_login("local", "ann@example.com", PASSWORD).await;
    assert_eq!(none.refusal(), (401, "invalid_credentials".to_owned()));
    world
        .made(
            &admin,
            json!({"tenant_id": "local", "email": "bob@example.com", "password": PASSWORD, "disabled": true}),
        )
        .await;
    assert_eq!(world.try_login("local", "bob@example.com", PASSWORD).await.status, 403);
    world.made(&admin, json!({"tenant_id": "local", "email": "eve@example.com", "password": PASSWORD})).await;
    let eve: Tokens = world.login("local", "eve@example.com").await;
    let answer = world.get(&format!("{USERS}?tenant_id=local"), &eve.access).await;
    assert_eq!(answer.refusal(), (403, "forbidden".to_owned()));
    world.end().await;
}
