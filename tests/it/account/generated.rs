//! Requests made from the document, sent to the real routes with a real database behind them: what it says is taken is
//! taken, and what it excludes is refused by name.

use axum::http::Request;
use serde_json::{Value, json};

use super::world::{Answer, World, text_of};
use crate::openapi::description::{DESCRIBED, Operation};
use crate::openapi::instances::{Members, Place, instance, places, with, without};
use crate::openapi::requests::{Parameters, TENANT};

/// What the examples of an operation are refused with, for want of something that no example can bring.
const REFUSED: [(&str, &str); 14] = [
    ("reset", "invalid_mail_token"),
    ("verifyTotp", "mfa_enrolment_not_found"),
    ("answerChallenge", "invalid_mfa_token"),
    ("disableTotp", "mfa_not_enabled"),
    ("rotateRecoveryCodes", "mfa_not_enabled"),
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
        self.world.sql("DELETE FROM mail_tokens").await;
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

    async fn send(
        &self,
        operation: &Operation<'_>,
        parameters: impl Into<Parameters>,
        body: Option<&Value>,
    ) -> Answer {
        let parameters = parameters.into();
        let method = operation.method.to_uppercase();
        let mut request = Request::builder().method(method.as_str()).uri(parameters.target(operation));
        for (name, value) in parameters.of(operation, "header") {
            // A key belongs to one request.
            let value = if name == "Idempotency-Key" { format!("{value}-{}", operation.id()) } else { value };
            request = request.header(name, value);
        }
        if let Some(token) = self.token(operation).await {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        // As programs that are made from the document send it; routes with cookies insist.
        request = request.header("content-type", "application/json");
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

    /// Whether an error begins like this: `field: code`.
    fn names(&self, beginning: &str) -> bool {
        self.status == 422 && self.errors().iter().any(|error| error.starts_with(beginning))
    }

    /// Whether an error has one of these codes.
    fn has(&self, codes: &[&str]) -> bool {
        self.status == 422 && self.errors().iter().any(|error| codes.iter().any(|code| error.ends_with(code)))
    }
}

/// What must become of a request.
#[derive(Debug)]
enum Must {
    /// Refused for the field, with the code.
    Refuse(String),
    /// Refused for the value of the field; one that nothing is done with is 400.
    Bound(String),
    /// Not refused for its shape; a value that is cleared may be missed.
    BeRead,
    /// Not refused for its shape, nor for what it lacks.
    BeWhole,
}

impl Must {
    fn holds(&self, answer: &Answer) -> bool {
        match self {
            Self::Refuse(error) => answer.names(error),
            Self::Bound(field) => answer.status == 400 || answer.names(field),
            Self::BeRead => !answer.has(&SHAPE),
            Self::BeWhole => !answer.has(&SHAPE) && !answer.has(&[": required"]),
        }
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
            requests.push((another, Must::Refuse(format!("{field}: {code}"))));
            for value in place.out_of_bounds() {
                requests.push((with(&full, &place.pointer, value), Must::Bound(field.clone())));
            }
            if place.is_closed() {
                let mut more = full.clone();
                let object = more.pointer_mut(&place.pointer).and_then(Value::as_object_mut).unwrap();
                object.insert("surprise".to_owned(), json!(1));
                let dot = if field.is_empty() { "" } else { "." };
                requests.push((more, Must::Refuse(format!("{field}{dot}surprise: unknown_field"))));
            }
            if place.is_required && !field.is_empty() {
                let less = without(&full, &place.pointer);
                requests.push((less, Must::Refuse(format!("{field}: required"))));
            }
            let null = with(&full, &place.pointer, Value::Null);
            let must = if place.is_nullable() { Must::BeRead } else { Must::Refuse(field.clone()) };
            requests.push((null, must));
        }
        requests.push((instance(schema, Members::Required), Must::BeWhole));
        requests.push((full, Must::BeWhole));
        for (body, must) in requests {
            sent += 1;
            let answer = client.send(&operation, Members::Required, Some(&body)).await;
            if !must.holds(&answer) {
                faults.push(format!("{operation} {body}\n    must: {must:?}\n    is: {}", answer.text()));
            }
        }
    }
    assert!(faults.is_empty(), "{} of {sent}\n{}", faults.len(), faults.join("\n"));
    assert!(sent > 300, "only {sent} requests");
    client.world.end().await;
}

/// EP180, spec §5: a parameter outside its bounds is 400 before anything is done.
#[tokio::test]
async fn parameters_outside_their_bounds_are_refused() {
    let client = Client::new().await;
    client.prepare().await;
    let (mut sent, mut faults) = (0, Vec::new());
    for operation in served() {
        for parameter in DESCRIBED.parameters(&operation) {
            let (name, schema) = (text_of(parameter, "name"), &parameter["schema"]);
            let place = Place { pointer: name.clone(), field: name.clone(), schema, is_required: false };
            for value in place.out_of_bounds() {
                sent += 1;
                let value = value.as_str().map_or(value.to_string(), str::to_owned);
                let bent = Some((name.clone(), value.clone()));
                let parameters = Parameters { members: Members::Required, bent };
                let (status, code) = client.send(&operation, parameters, None).await.refusal_or_none();
                if status != 400 || !code.starts_with("invalid_") {
                    faults.push(format!("{operation}: {name}={value} is {status} {code}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} of {sent}\n{}", faults.len(), faults.join("\n"));
    assert!(sent > 80, "only {sent} requests");
    client.world.end().await;
}
