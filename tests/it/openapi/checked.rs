//! Requests and answers of other tests, compared with the document: whoever sends through a harness is checked.

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri, header};
use hellojohn::service::Code;
use serde_json::{Value, json};
use url::form_urlencoded;

use super::description::{DESCRIBED, Found, Operation, snake};
use super::is_page;

/// A request and its answer.
pub(crate) struct Exchange<'a> {
    pub(crate) method: &'a Method,
    pub(crate) uri: &'a Uri,
    pub(crate) sent_headers: &'a HeaderMap,
    pub(crate) sent: &'a Bytes,
    pub(crate) status: u16,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Bytes,
}

impl Exchange<'_> {
    /// Fails the test with everything in which the document is not true of the exchange.
    pub(crate) fn check(&self) {
        let faults = self.faults();
        let (method, uri, status) = (self.method, self.uri, self.status);
        let (sent, body) = (String::from_utf8_lossy(self.sent), String::from_utf8_lossy(self.body));
        assert!(
            faults.is_empty(),
            "openapi.json is not true of {method} {uri}, answered {status}:\n  {}\nsent: {sent}\nanswer: {body}",
            faults.join("\n  ")
        );
    }

    fn faults(&self) -> Vec<String> {
        // Answered by the layer of browsers' requests, at every path.
        if self.method == Method::OPTIONS || is_page(self.uri.path()) {
            return Vec::new();
        }
        let operation = match DESCRIBED.find(self.method.as_str(), self.uri.path()) {
            Found::Operation(operation) => operation,
            // Who asks too often is not told what there is.
            Found::NoPath if [404, 429].contains(&self.status) => return Vec::new(),
            Found::NoMethod if self.status == 405 => return Vec::new(),
            Found::NoPath => return vec!["no path is described that this is one of".to_owned()],
            Found::NoMethod => return vec!["the method is not described".to_owned()],
        };
        let mut faults = self.faults_of_answer(&operation);
        if (200..300).contains(&self.status) {
            self.check_body(&operation, &mut faults);
            self.check_parameters(&operation, &mut faults);
        }
        faults
    }

    fn faults_of_answer(&self, operation: &Operation<'_>) -> Vec<String> {
        let responses = &operation.fields["responses"];
        let named = responses.get(self.status.to_string());
        let response = named.or_else(|| responses.get("default").filter(|_| self.status >= 400));
        let Some(response) = response else { return vec!["the status is not described".to_owned()] };
        let response = DESCRIBED.resolved(response);
        let mut faults = Vec::new();
        for (name, header) in response["headers"].as_object().into_iter().flatten() {
            let header = DESCRIBED.resolved(header);
            match self.headers.get(name) {
                Some(value) => {
                    let place = format!("{operation} {} {name}", self.status);
                    check_text(&place, &header["schema"], value.to_str().unwrap(), &mut faults);
                }
                None if header["required"] == json!(true) => faults.push(format!("{name} is missing")),
                None => {}
            }
        }
        if self.method != Method::HEAD {
            self.check_content(operation, response, &mut faults);
        }
        faults
    }

    fn check_content(&self, operation: &Operation<'_>, response: &Value, faults: &mut Vec<String>) {
        let kind = self.headers.get(header::CONTENT_TYPE).map_or("", |kind| kind.to_str().unwrap());
        let kind = kind.split(';').next().unwrap_or_default();
        let Some(content) = response["content"].as_object() else {
            if !self.body.is_empty() {
                faults.push("a body is not described".to_owned());
            }
            return;
        };
        let Some(media) = content.get(kind) else {
            return faults.push(format!("the content type {kind:?} is not described"));
        };
        if !kind.ends_with("json") {
            return;
        }
        let Ok(body) = serde_json::from_slice::<Value>(self.body) else {
            return faults.push("the body is no JSON".to_owned());
        };
        let place = format!("{operation} {} {kind}", self.status);
        faults.extend(DESCRIBED.faults(&place, &media["schema"], &body));
        if kind == "application/problem+json" {
            faults.extend(undescribed_code(operation, body["code"].as_str().unwrap_or_default()));
        }
    }

    fn check_body(&self, operation: &Operation<'_>, faults: &mut Vec<String>) {
        let Some(schema) = DESCRIBED.body_of(operation) else { return };
        if self.sent.is_empty() {
            if operation.fields["requestBody"]["required"] == json!(true) {
                faults.push("it was taken without a body".to_owned());
            }
            return;
        }
        let sent = serde_json::from_slice(self.sent).unwrap();
        let sent = DESCRIBED.respelled(schema, &sent);
        let told = DESCRIBED.faults(&format!("{operation} body"), schema, &sent);
        faults.extend(told.into_iter().map(|fault| format!("it was taken, but {fault}")));
    }

    fn check_parameters(&self, operation: &Operation<'_>, faults: &mut Vec<String>) {
        let query: Vec<(String, String)> =
            form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
        let parameters = DESCRIBED.parameters(operation);
        for (name, _) in &query {
            let spelt =
                |p: &&&Value| p["in"] == "query" && (p["name"] == **name || p["name"] == *snake(name));
            if !parameters.iter().any(|parameter| spelt(&parameter)) {
                faults.push(format!("the parameter {name} is not described"));
            }
        }
        for parameter in parameters {
            let name = parameter["name"].as_str().unwrap();
            let value = match parameter["in"].as_str() {
                Some("query") => query.iter().find(|(n, _)| n == name || snake(n) == name).map(|(_, v)| &**v),
                Some("header") => self.sent_headers.get(name).map(|value| value.to_str().unwrap()),
                _ => continue,
            };
            match value {
                // An empty cursor is none.
                Some("") if name == "cursor" => {}
                Some(text) => {
                    let place = format!("{operation} parameter {name}");
                    check_text(&place, &parameter["schema"], text, faults);
                }
                None if parameter["required"] == json!(true) => {
                    faults.push(format!("it was taken without the parameter {name}"));
                }
                None => {}
            }
        }
    }
}

/// A value outside JSON, as what its schema says that it is.
fn check_text(place: &str, schema: &Value, text: &str, faults: &mut Vec<String>) {
    let value = match DESCRIBED.resolved(schema)["type"].as_str() {
        Some("integer" | "boolean") => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    };
    faults.extend(DESCRIBED.faults(place, schema, &value));
}

/// A code that neither the operation lists nor every one of its kind can have.
fn undescribed_code(operation: &Operation<'_>, code: &str) -> Option<String> {
    let Some(known) = Code::ALL.iter().find(|known| known.as_str() == code) else {
        return Some(format!("{code} is no code"));
    };
    let general = match known {
        Code::InvalidToken => operation.takes("person") || operation.takes("administrator"),
        Code::Forbidden => operation.takes("administrator"),
        Code::FollowerConflict | Code::OutcomeUnknown => operation.is_gated(),
        Code::NoLeader | Code::IndexNotReached | Code::ClusterNotFormed => true,
        other => matches!(other.appcode() / 1000, 1 | 5),
    };
    let listed = operation.codes().any(|listed| listed == code);
    (!general && !listed).then(|| format!("{code} is not among the x-codes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An exchange in which the document is true, for a test to bend.
    struct Bent {
        method: Method,
        uri: &'static str,
        sent: Value,
        status: u16,
        headers: Vec<(&'static str, &'static str)>,
        body: Value,
    }

    impl Bent {
        fn login() -> Self {
            let sent =
                json!({"tenant_id": "acme", "clientId": "web", "email": "a@b.example", "password": "x"});
            let body = json!({"access_token": "t", "token_type": "Bearer", "expires_in": 900,
                "expires_at": "2026-01-31T12:00:00.000Z", "scope": ""});
            let headers = vec![("content-type", "application/json; charset=utf-8")];
            Self { method: Method::POST, uri: "/v1/auth/login", sent, status: 200, headers, body }
        }

        fn tenant() -> Self {
            let body = json!({"slug": "acme", "name": "Acme", "status": "active", "revision": 1,
                "settings": {"issuerMode": "global", "discoveryEndpoints": "global", "signingAlgs": ["EdDSA"]},
                "created_at": "2026-01-31T12:00:00.000Z", "updated_at": "2026-01-31T12:00:00.000Z"});
            let headers =
                vec![("content-type", "application/json"), ("etag", "\"1\""), ("x-applied-index", "7")];
            let uri = "/v1/admin/tenants/acme";
            Self { method: Method::PUT, uri, sent: json!({"name": "Acme"}), status: 201, headers, body }
        }

        fn refused(mut self, status: u16, code: &str) -> Self {
            self.headers = vec![("content-type", "application/problem+json")];
            self.status = status;
            self.body = json!({"type": format!("urn:hellojohn:problem:{code}"), "title": "t", "status": status, "detail": "d",
                "code": code, "appcode": 1000, "request_id": "r"});
            self
        }

        fn faults(&self) -> String {
            let (sent_headers, uri) = (HeaderMap::new(), self.uri.parse().unwrap());
            let bytes =
                |json: &Value| if json.is_null() { Bytes::new() } else { Bytes::from(json.to_string()) };
            let headers =
                self.headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            let (headers, sent, body) = (headers.collect(), bytes(&self.sent), bytes(&self.body));
            let (method, status) = (&self.method, self.status);
            let (sent_headers, uri, sent, headers, body) = (&sent_headers, &uri, &sent, &headers, &body);
            Exchange { method, uri, sent_headers, sent, status, headers, body }.faults().join("; ")
        }
    }

    #[test]
    fn what_is_true_has_no_faults() {
        for bent in [
            Bent::login(),
            Bent::tenant(),
            Bent::login().refused(401, "invalid_credentials"),
            Bent::login().refused(422, "validation_failed"),
            Bent::tenant().refused(409, "follower_conflict"),
            Bent { uri: "/v1/nothing", ..Bent::login().refused(404, "route_not_found") },
            Bent { method: Method::PATCH, ..Bent::login().refused(405, "method_not_allowed") },
        ] {
            assert_eq!(bent.faults(), "", "{} {}", bent.uri, bent.status);
        }
    }

    #[test]
    fn what_is_not_described_is_found() {
        let without = |mut bent: Bent, name: &str| {
            bent.headers.retain(|(header, _)| *header != name);
            bent
        };
        let with_member = |mut bent: Bent, name: &str, value: Value| {
            bent.body[name] = value;
            bent
        };
        for (bent, expected) in [
            (Bent { uri: "/v1/auth/knock", ..Bent::login() }, "no path is described"),
            (Bent { method: Method::PUT, ..Bent::login() }, "the method is not described"),
            (Bent { status: 202, ..Bent::login() }, "the status is not described"),
            (Bent { headers: vec![], ..Bent::login() }, "the content type \"\" is not described"),
            (with_member(Bent::login(), "password", json!("t")), "is not valid under any of the schemas"),
            (with_member(Bent::login(), "expires_in", json!("900")), "is not valid under any of the schemas"),
            (with_member(Bent::login(), "expires_at", json!("soon")), "is not valid under any"),
            (with_member(Bent::tenant(), "status", json!("gone")), "/status: \"gone\" is not one of"),
            (without(Bent::tenant(), "etag"), "ETag is missing"),
            (without(Bent::tenant(), "x-applied-index"), "X-Applied-Index is missing"),
            (
                Bent { sent: json!({"tenant_id": "acme"}), ..Bent::login() },
                "it was taken, but : \"client_id\" is a required",
            ),
            (Bent { sent: json!({"nickname": "A"}), ..Bent::tenant() }, "'nickname' was unexpected"),
            (Bent { sent: Value::Null, ..Bent::tenant() }, "it was taken without a body"),
            (
                Bent { uri: "/v1/admin/tenants/acme?force=1", ..Bent::tenant() },
                "the parameter force is not described",
            ),
            (Bent::login().refused(409, "email_taken"), "email_taken is not among the x-codes"),
            (Bent::login().refused(403, "forbidden"), "forbidden is not among the x-codes"),
            (Bent::login().refused(409, "follower_conflict"), "follower_conflict is not among the x-codes"),
            (Bent::login().refused(418, "teapot"), "teapot is no code"),
        ] {
            let told = bent.faults();
            assert!(told.contains(expected), "{expected}: {told}");
        }
    }
}
