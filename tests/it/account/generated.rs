//! Requests made from the document, sent to the real routes with a real database behind them: what it says is taken is
//! taken, and what it excludes is refused by name.

use axum::http::Request;
use serde_json::{Value, json};

use super::world::{Answer, World};
use crate::openapi::description::{DESCRIBED, Operation};
use crate::openapi::instances::{Members, instance, places, with, without};
use crate::openapi::requests::{TENANT, examples, target};

/// What the examples of an operation are refused with, for want of something that no example can bring.
const REFUSED: [(&str, &str); 9] = [
    ("refresh", "invalid_refresh_token"),
    ("endMySession", "session_not_found"),
    ("testUserStore", "tenant_db_missing"),
    ("migrateUserStore", "tenant_db_missing"),
    ("rotateTenantKeys", "issuer_mode_global"),
    ("stepDown", "no_successor"),
    ("addMember", "member_not_ready"),
    ("promoteMember", "member_not_found"),
    ("removeMember", "member_not_found"),
];

/// Codes that say: this body is not of the described shape.
const SHAPE: [&str; 3] = [": unknown_field", ": wrong_type", ": unsupported_value"];

struct Client {
    world: World,
    people: std::cell::Cell<u32>,
}

impl Client {
    async fn new() -> Self {
        let world = World::new().await;
        world.admin().await;
        let scopes = json!(["openid", "profile", "email", "profile:read"]);
        world.put_client("acme", "web", json!({"scopes": scopes})).await;
        Self { world, people: std::cell::Cell::default() }
    }

    /// Everything that the examples name, as it was at first.
    async fn prepare(&self) {
        self.world.put_tenant(TENANT, json!({"settings": null})).await;
        let secret = json!({"client_type": "confidential"});
        self.world.put_client(TENANT, "web", secret).await;
        self.world.sql("DELETE FROM users WHERE tenant = 'acme'").await;
        self.world.register("acme", "ann@example.com").await;
        self.world
            .sql("UPDATE users SET id = '6f1c2a54-0000-4000-8000-000000000001' WHERE email = 'ann@example.com'")
            .await;
    }

    /// A token that the operation takes.
    async fn token(&self, operation: &Operation<'_>) -> Option<String> {
        if operation.is_public() {
            return None;
        }
        if operation.takes("administrator") {
            // A new one each time, because a rotation may have ended all that were signed before.
            return Some(self.world.login("local", "root@example.com").await.access);
        }
        self.people.set(self.people.get() + 1);
        let email = format!("person-{}@example.com", self.people.get());
        Some(self.world.session("acme", &email).await.access)
    }

    async fn send(&self, operation: &Operation<'_>, members: Members, body: Option<&Value>) -> Answer {
        let method = operation.method.to_uppercase();
        let mut request = Request::builder().method(method.as_str()).uri(target(operation, members));
        for (name, value) in examples(operation, "header", members) {
            // A key belongs to one request.
            let value = if name == "Idempotency-Key" { format!("{value}-{}", operation.id()) } else { value };
            request = request.header(name, value);
        }
        if let Some(token) = self.token(operation).await {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        // Compared with the document on the way.
        let answer = self.world.send(request.body(body.clone().into()).unwrap()).await;
        let (status, code) = answer.refusal_or_none();
        let is_route = code != "route_not_found" && ![405, 415].contains(&status);
        assert!(status < 500 || code == "tenant_db_missing", "{operation} {body:?}: {}", answer.text());
        assert!(is_route, "{operation}: {}", answer.text());
        answer
    }
}

impl Answer {
    fn refusal_or_none(&self) -> (u16, String) {
        if self.status.is_success() { (self.status.as_u16(), String::new()) } else { self.refusal() }
    }

    /// Whether it is refused for the field or something in it.
    fn names(&self, field: &str) -> bool {
        self.status == 400
            || (self.status == 422 && self.errors().iter().any(|error| error.starts_with(field)))
    }
}

/// The operations that the world serves.
fn served() -> impl Iterator<Item = Operation<'static>> {
    DESCRIBED.operations().filter(|operation| operation.path.starts_with("/v1/"))
}

/// EP180: what the document gives as an example is done, or refused for the reason that is known here.
#[tokio::test]
async fn examples_work() {
    let client = Client::new().await;
    let mut faults = Vec::new();
    for operation in served() {
        client.prepare().await;
        let content = operation.fields.pointer("/requestBody/content/application~1json");
        let body = content.map(|media| {
            media.get("example").cloned().unwrap_or_else(|| instance(&media["schema"], Members::Required))
        });
        let answer = client.send(&operation, Members::All, body.as_ref()).await;
        let expected = REFUSED.iter().find(|(id, _)| *id == operation.id()).map_or("", |(_, code)| code);
        if answer.refusal_or_none().1 != expected {
            faults.push(format!("{operation} {body:?}: {}", answer.text()));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    client.world.end().await;
}

/// EP180, spec §5: the members of each body are those of the document: known, required, of its types, within its bounds.
#[tokio::test]
async fn bodies_are_taken_and_refused_as_described() {
    let client = Client::new().await;
    let (mut sent, mut faults) = (0, Vec::new());
    for operation in served() {
        let Some(schema) = DESCRIBED.body_of(&operation) else { continue };
        client.prepare().await;
        let full = instance(schema, Members::All);
        let mut requests = Vec::new();
        for place in places(schema, &full) {
            let field = &place.field;
            let another = with(&full, &place.pointer, place.of_another_type());
            // A name is refused as `invalid` or as `wrong_type`, by where in the document it stands.
            let code = if place.is_choice() { "" } else { "wrong_type" };
            requests.push((another, Some(format!("{field}: {code}"))));
            for value in place.out_of_bounds() {
                requests.push((with(&full, &place.pointer, value), Some(field.clone())));
            }
            if place.is_closed() {
                let mut more = full.clone();
                let object = more.pointer_mut(&place.pointer).and_then(Value::as_object_mut).unwrap();
                object.insert("surprise".to_owned(), json!(1));
                let dot = if field.is_empty() { "" } else { "." };
                requests.push((more, Some(format!("{field}{dot}surprise: unknown_field"))));
            }
            if place.is_required && !field.is_empty() {
                let less = without(&full, &place.pointer);
                requests.push((less, Some(format!("{field}: required"))));
            }
            let null = with(&full, &place.pointer, Value::Null);
            requests.push((null, (!place.is_nullable()).then(|| field.clone())));
        }
        requests.push((instance(schema, Members::Required), None));
        requests.push((full, None));
        for (body, refusal) in requests {
            sent += 1;
            let answer = client.send(&operation, Members::Required, Some(&body)).await;
            let holds = match &refusal {
                Some(refusal) => answer.names(refusal),
                None => {
                    answer.status.is_success()
                        || !answer.errors().iter().any(|error| SHAPE.iter().any(|code| error.ends_with(code)))
                }
            };
            if !holds {
                let expected = refusal.unwrap_or_else(|| "no fault of its shape".to_owned());
                faults
                    .push(format!("{operation} {body}\n    must be: {expected}\n    is: {}", answer.text()));
            }
        }
    }
    assert!(faults.is_empty(), "{} of {sent}\n{}", faults.len(), faults.join("\n"));
    assert!(sent > 300, "only {sent} requests");
    client.world.end().await;
}
