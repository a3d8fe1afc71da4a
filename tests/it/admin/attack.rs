//! What a stranger or a clumsy client may send, and the form of what comes back (spec §5, S38, S105, S115).

use serde_json::{Value, json};

use crate::harness::node::TestNode;

const ACME: &str = "/v1/admin/tenants/acme";

/// spec §5: every refusal is a problem with a code and the id of the request.
#[tokio::test]
async fn every_refusal_has_one_form() {
    let node = TestNode::new().await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let big = format!("{{\"name\":\"{}\"}}", "x".repeat(300_000));
    for (method, path, body, status, code) in [
        ("GET", "/nothing", "", 404, "route_not_found"),
        ("GET", "/v1/admin/tenants/acme/", "", 404, "route_not_found"),
        ("GET", "//v1/admin/ping", "", 404, "route_not_found"),
        ("GET", "/v1/admin%2fping", "", 404, "route_not_found"),
        ("GET", "/v1/admin/../admin/ping", "", 404, "route_not_found"),
        ("POST", "/v1/admin/ping", "", 405, "method_not_allowed"),
        ("TRACE", "/v1/admin/ping", "", 405, "method_not_allowed"),
        ("GET", "/v1/auth/login", "", 405, "method_not_allowed"),
        ("GET", "/v1/admin/tenants/%2e%2e", "", 400, "invalid_slug"),
        ("GET", "/v1/admin/tenants/%ff", "", 400, "invalid_slug"),
        ("GET", "/.well-known/jwks/acme", "", 400, "invalid_slug"),
        ("GET", "/.well-known/jwks/..%2fkeys.json", "", 400, "invalid_slug"),
        ("GET", "/v1/admin/tenants?limit=1&limit=2", "", 400, "invalid_parameter"),
        ("GET", "/v1/admin/tenants?limit=99999999999999999999", "", 400, "invalid_parameter"),
        ("GET", "/v1/admin/tenants?cursor=%00", "", 400, "invalid_parameter"),
        ("PUT", ACME, &deep, 400, "malformed_json"),
        ("PUT", ACME, &big, 413, "body_too_large"),
        ("PUT", ACME, "{\"name\":\"a\",\"name\":\"b\"}", 400, "malformed_json"),
        ("PUT", ACME, "{\"name\":1e999}", 400, "malformed_json"),
        ("PUT", ACME, "{\"name\":\"\\ud800\"}", 400, "malformed_json"),
        ("PUT", ACME, "{} {}", 400, "malformed_json"),
        (
            "PUT",
            ACME,
            "{\"settings\":{\"issuerMode\":\"path\",\"issuer_mode\":\"path\"}}",
            422,
            "validation_failed",
        ),
        (
            "PUT",
            ACME,
            "{\"settings\":{\"tokens\":{\"accessTtlSeconds\":4294967296}}}",
            422,
            "validation_failed",
        ),
        ("PUT", ACME, "{\"settings\":{\"tokens\":{\"accessTtlSeconds\":-1}}}", 422, "validation_failed"),
        (
            "PUT",
            ACME,
            "{\"settings\":{\"tokens\":{\"accessTtlSeconds\":4294967295}}}",
            422,
            "validation_failed",
        ),
        ("POST", "/v1/admin/keys/rotate", "{\"graceSeconds\":4294967295}", 422, "validation_failed"),
        ("POST", "/v1/admin/keys/rotate", "{\"prepublishSeconds\":4294967295}", 422, "validation_failed"),
    ] {
        let request = [("x-request-id", "req-7")];
        let router = node.router_behind(std::sync::Arc::new(node.assembled.state.control.clone()));
        let answer =
            crate::harness::node::send(&router, method, path, Some("admin"), &request, body.to_owned()).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{method} {path}");
        assert_eq!(answer.header("content-type"), "application/problem+json", "{method} {path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{method} {path}");
        assert_eq!(answer.json()["request_id"], "req-7", "{method} {path}");
        assert_eq!(answer.header("x-request-id"), "req-7");
        assert_eq!(status == 405, !answer.header("allow").is_empty(), "{method} {path} (RFC 9110 §15.5.6)");
    }
}

/// RFC 9110 §13.1: tags are quoted, weak ones never match, and a condition on nothing is no condition on everything.
#[tokio::test]
async fn odd_conditions_never_let_a_write_through() {
    let node = TestNode::new().await;
    assert_eq!(node.call("PUT", ACME, json!({})).await.status, 201);
    for (name, value, status) in [
        ("if-match", "W/\"1\"", 412),
        ("if-match", "\"01\"", 412),
        ("if-match", "\"+1\"", 412),
        ("if-match", "\"18446744073709551616\"", 412),
        ("if-match", "\"0\"", 412),
        ("if-match", "\"\"", 412),
        ("if-match", "1", 400),
        ("if-match", "", 400),
        ("if-match", "\"1\" x", 400),
        ("if-none-match", "\"1\"", 400),
    ] {
        let answer = node.call_with("PUT", ACME, &[(name, value)], json!({"name": "taken"})).await;
        assert_eq!(answer.status, status, "{name}: {value}");
    }
    assert_eq!(node.call("GET", ACME, Value::Null).await.json()["name"], "acme");
}
