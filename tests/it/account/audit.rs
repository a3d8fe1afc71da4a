//! Security events as JSON log lines (spec §10), without a password, a token or an address (S111).

use std::io::Write;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt as _;

use super::world::{PASSWORD, World, call, text_of};

#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    pub(super) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The calls of the database that were begun, in order.
    pub(super) fn operations(&self) -> Vec<String> {
        let lines = self.lines();
        let begun = lines.iter().filter(|line| line["message"] == "new" && line["span"]["name"] == "db");
        begun.map(|line| text_of(&line["span"], "operation")).collect()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// With one subscriber in the process, `tracing` asks the thread that first comes by a line whether anybody listens, and
/// keeps its answer for all; with a second one it asks the subscribers.
static SECOND: LazyLock<tracing::Dispatch> =
    LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

/// As [`capture`], with the begin of every span.
pub(super) fn capture_all() -> (Captured, tracing::subscriber::DefaultGuard) {
    use tracing_subscriber::fmt::format::FmtSpan;
    LazyLock::force(&SECOND);
    let captured = Captured::default();
    let writer = captured.clone();
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_span_events(FmtSpan::NEW)
        .with_writer(move || writer.clone());
    (captured, tracing::subscriber::set_default(tracing_subscriber::registry().with(layer)))
}

/// Lines of this thread from here on; the test must not leave it.
pub(super) fn capture() -> (Captured, tracing::subscriber::DefaultGuard) {
    LazyLock::force(&SECOND);
    let captured = Captured::default();
    let writer = captured.clone();
    let layer =
        tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(move || writer.clone());
    (captured, tracing::subscriber::set_default(tracing_subscriber::registry().with(layer)))
}

/// The events in the database, each as one text, sorted.
pub(super) async fn rows(world: &World) -> Vec<String> {
    let mut connection = world.db.connection().await;
    let statement = "SELECT json_build_array(tenant, action, outcome, reason, actor, target, client_id, request_id, ip, user_agent) \
        FROM audit_events";
    let rows: Vec<Value> = sqlx::query_scalar(statement).fetch_all(&mut connection).await.unwrap();
    let mut rows: Vec<String> = rows.iter().map(Value::to_string).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn every_step_of_a_session_is_an_event_and_none_tells_a_secret() {
    let world = World::new().await;
    let (captured, guard) = capture();
    let id = text_of(&world.register("acme", "ann@example.com").await.json()["user"], "id");
    world.try_login("acme", "ann@example.com", "wrong wrong wrong").await;
    world.try_login("acme", "nobody@example.com", "wrong wrong wrong").await;
    let first = world.login("acme", "ann@example.com").await;
    let second = super::world::Tokens::of(&world.refresh(&first.refresh).await);
    let third = super::world::Tokens::of(&world.refresh(&second.refresh).await);
    world.refresh(&first.refresh).await;
    let fourth = world.login("acme", "ann@example.com").await;
    let mut logout = call("POST", "/v1/auth/logout", Some(&fourth.access), "");
    logout.headers_mut().insert("user-agent", "curl/8".parse().unwrap());
    world.send(logout).await;
    let fifth = world.login("acme", "ann@example.com").await;
    world.send(call("POST", "/v1/auth/logout-all", Some(&fifth.access), "")).await;
    drop(guard);

    let (text, lines) = (captured.text(), captured.lines());
    let events: Vec<&Value> = lines.iter().filter(|line| line["target"] == "audit").collect();
    let told: Vec<(String, String, String)> = events
        .iter()
        .map(|event| (text_of(event, "action"), text_of(event, "outcome"), text_of(event, "reason")))
        .collect();
    let expected = [
        ("user.register", "ok", ""),
        ("user.login", "refused", "wrong_password"),
        ("user.login", "refused", "unknown_user"),
        ("user.login", "ok", ""),
        ("token.refresh", "ok", ""),
        ("token.refresh", "ok", ""),
        ("token.reuse", "refused", "used_before"),
        ("user.login", "ok", ""),
        ("user.logout", "ok", ""),
        ("user.login", "ok", ""),
        ("user.logout_all", "ok", ""),
    ]
    .map(|(action, outcome, reason)| (action.to_owned(), outcome.to_owned(), reason.to_owned()));
    assert_eq!(told, expected);
    for (event, (_, _, reason)) in events.iter().zip(&expected) {
        assert_eq!((&event["tenant"], &event["request_id"]), (&"acme".into(), &"req-1".into()));
        assert_eq!(event["ip"], "0.0.0.0");
        let actor = (reason != "unknown_user").then_some(id.as_str());
        assert_eq!(event["actor"].as_str(), actor, "{event}");
    }
    assert_eq!(events[8]["user_agent"], "curl/8");
    assert_eq!(events[8]["object"], fourth.claims().sid.unwrap().as_str());

    let mut secrets = vec![PASSWORD.to_owned(), "wrong wrong".to_owned(), "example.com".to_owned()];
    for tokens in [&first, &second, &third, &fourth, &fifth] {
        secrets.push(tokens.access.rsplit_once('.').unwrap().1.to_owned());
        secrets.push(tokens.refresh.split_once('.').unwrap().1.to_owned());
    }
    for secret in secrets {
        assert!(!text.contains(&secret), "{secret} is in the log");
    }
    world.end().await;
}

/// S113: what an administrator did names who, where and to what, also where it does not go through the log.
#[tokio::test]
async fn every_administrative_write_names_its_actor_and_its_object() {
    let world = World::new().await;
    let id = text_of(&world.register("local", "root@example.com").await.json()["user"], "id");
    world.sql("UPDATE users SET sys_admin = true").await;
    let admin = world.login("local", "root@example.com").await;
    let (captured, guard) = capture();
    const ACME: &str = "/v1/admin/tenants/acme";
    for (method, path, status) in [
        ("POST", "/clients/web/revoke", 204),
        ("POST", "/clients/none/revoke", 404),
        ("DELETE", "/clients/web?soft=true", 204),
        ("POST", "/user-store/test-connection", 501),
        ("POST", "/user-store/migrate", 501),
        ("DELETE", "/clients/web", 204),
        ("DELETE", "/clients/web", 404),
        ("DELETE", "", 204),
    ] {
        let answer = world.send(call(method, &format!("{ACME}{path}"), Some(&admin.access), "")).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
    drop(guard);

    let lines = captured.lines();
    let events: Vec<&Value> =
        lines.iter().filter(|line| line["target"] == "audit" && !line["actor"].is_null()).collect();
    let told: Vec<(String, String, Option<&str>)> = events
        .iter()
        .map(|event| (text_of(event, "action"), text_of(event, "outcome"), event["object"].as_str()))
        .collect();
    let expected = [
        ("client.revoke", "ok", Some("web")),
        ("client.revoke", "refused", Some("none")),
        ("client.revoke", "ok", Some("web")),
        ("user_store.test", "refused", None),
        ("user_store.migrate", "refused", None),
        ("client.delete", "ok", Some("web")),
        ("client.delete", "refused", Some("web")),
        ("tenant.delete", "ok", None),
    ]
    .map(|(action, outcome, object)| (action.to_owned(), outcome.to_owned(), object));
    assert_eq!(told, expected);
    for event in events {
        assert_eq!(event["actor"], format!("local/{id}"), "{event}");
        assert_eq!((&event["tenant"], &event["request_id"]), (&"acme".into(), &"req-1".into()), "{event}");
        assert_eq!(event["ip"], "0.0.0.0", "{event}");
    }
    world.end().await;
}

/// What is administered in the user database.
const AREAS: [&str; 3] = ["/v1/admin/users", "/v1/admin/consents", "/v1/admin/rbac"];

/// S113: what an administrator does to accounts is recorded on every route that changes one, found by walking them, with the
/// account and without what was written.
#[tokio::test]
async fn every_change_of_somebodys_account_is_recorded_without_its_content() {
    let world = World::new().await;
    let admin = world.admin().await;
    let id = text_of(&world.register("acme", "ann@example.com").await.json()["user"], "id");
    let surface = hellojohn::boot::surface();
    let mut routes: Vec<_> = surface
        .routes()
        .filter(|spec| spec.verb.mutates())
        .filter(|spec| AREAS.iter().any(|area| spec.path.starts_with(area)))
        .map(|spec| (spec.verb.method(), spec.path))
        .collect();
    // The one that deletes the account comes last.
    routes.sort_by_key(|(method, path)| method == "DELETE" && path.ends_with("/users/{user_id}"));
    let (captured, guard) = capture();
    for (method, path) in &routes {
        let body = match method.as_str() {
            "POST" if path.ends_with("/upsert") => {
                json!({"tenant_id": "acme", "user_id": id, "client_id": "web", "scopes": ["email"]})
            }
            "POST" if path.starts_with("/v1/admin/consents") => {
                json!({"tenant_id": "acme", "user_id": id, "client_id": "web"})
            }
            "POST" if path.starts_with("/v1/admin/rbac") => json!({"add": ["editor"]}),
            "POST" if path.ends_with("/users") => {
                json!({"tenant_id": "acme", "email": "eve@example.com", "password": "a secret phrase"})
            }
            "POST" if path.ends_with("/import") => {
                json!({"tenant_id": "acme", "users": [{"email": "fay@example.com", "given_name": "Secretname"}]})
            }
            "PATCH" => json!({"given_name": "Secretname", "password": "a secret phrase"}),
            _ => Value::Null,
        };
        let path = path.replace("{client_id}", "web").replace("{role}", "editor");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let query = if body.contains("tenant_id") { "" } else { "?tenant_id=acme" };
        let path = format!("{}{query}", path.replace("{user_id}", &id));
        let answer = world.send(call(method.as_str(), &path, Some(&admin), &body)).await;
        assert!(answer.status.is_success(), "{method} {path}: {}", answer.text());
    }
    drop(guard);
    let (text, lines) = (captured.text(), captured.lines());
    let events: Vec<&Value> = lines.iter().filter(|line| line["target"] == "audit").collect();
    assert_eq!(events.len(), routes.len(), "{text}");
    for event in events {
        assert_eq!((&event["outcome"], &event["tenant"]), (&"ok".into(), &"acme".into()), "{event}");
        let object = event["object"].as_str().unwrap();
        let made = ["user.create", "user.import"].iter().any(|action| event["action"] == *action);
        assert!(object.starts_with(&id) || made || object == "editor", "{event}");
    }
    let actions: std::collections::BTreeSet<&str> =
        lines.iter().filter_map(|line| line["action"].as_str()).collect();
    assert_eq!(actions.len(), routes.len(), "each has its own name: {actions:?}");
    for secret in ["secret phrase", "Secretname", "example.com"] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
    world.end().await;
}

/// An import is one event a batch, with counts and without its people.
#[tokio::test]
async fn an_import_is_one_event_without_its_people() {
    let world = World::new().await;
    let admin = world.admin().await;
    let (captured, guard) = capture();
    let hash = super::import::BCRYPT;
    let people = json!([
        {"email": "ann@example.com", "password_hash": hash},
        {"email": "root@example.com", "password_hash": hash},
        {"email": "bob@example.com", "password_hash": "$2b$99$planted"},
    ]);
    for (tenant, dry_run) in [("local", false), ("local", true), ("nobody", false)] {
        let body = json!({"tenant_id": tenant, "users": people, "dry_run": dry_run});
        world.send(call("POST", "/v1/admin/users/import", Some(&admin), &body.to_string())).await;
    }
    drop(guard);

    let (text, lines) = (captured.text(), captured.lines());
    let events: Vec<&Value> = lines.iter().filter(|line| line["target"] == "audit").collect();
    let told: Vec<(String, String, Option<&str>)> = events
        .iter()
        .map(|event| (text_of(event, "action"), text_of(event, "reason"), event["object"].as_str()))
        .collect();
    let expected = [
        ("user.import", "", Some("1 created, 0 unchanged, 2 refused")),
        ("user.import_check", "", Some("0 created, 1 unchanged, 2 refused")),
        ("user.import", "tenant_not_found", None),
    ]
    .map(|(action, reason, object)| (action.to_owned(), reason.to_owned(), object));
    assert_eq!(told, expected);
    assert!(events.iter().all(|event| text_of(event, "actor").starts_with("local/")));
    for secret in ["example.com", "planted", &hash[10..]] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
    world.end().await;
}
