//! Bad input: each a clear 4xx in the documented form, and nothing changed (spec §5, §13.10; S36, S102, S105).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use super::{login, person, with_acme};
use crate::harness::api::{Answer, Api};

fn problem(answer: &Answer, status: u16, code: &str) {
    let body = answer.json();
    assert_eq!(answer.status, status, "{body}");
    assert_eq!(answer.code(), code, "{body}");
    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{body}");
    assert!(body["appcode"].as_u64().is_some_and(|n| n >= 1000), "{body}");
    assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"), "{body}");
    assert_eq!(body["status"], status, "{body}");
}

async fn state(admin: &Api) -> Value {
    let mut all = Vec::new();
    for path in ["/v1/admin/tenants", "/v1/admin/tenants/acme/clients", "/v1/admin/tenants/acme/scopes"] {
        all.push(admin.get(path).await.expect(200).json());
    }
    json!(all)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_admin_input_is_refused_and_changes_nothing() {
    let (cluster, token) = with_acme().await;
    let admin = cluster.api(cluster.leader().await).bearer(&token);
    let before = state(&admin).await;
    let acme = "/v1/admin/tenants/acme";
    let raw = |body: &str| Some(body.as_bytes().to_vec());

    let answer = admin.try_send(Method::PUT, acme, &[], raw("{\"name\": ")).await.unwrap();
    problem(&answer, 400, "malformed_json");
    let answer =
        admin.try_send(Method::PUT, acme, &[], raw("{\"name\":\"a\",\"name\":\"b\"}")).await.unwrap();
    assert!(matches!(answer.status, 400 | 422), "{:?}", answer.json());

    let unknown = admin.put(acme, json!({"nmae": "typo"})).await;
    problem(&unknown, 422, "validation_failed");
    assert!(unknown.json()["errors"].to_string().contains("nmae"), "{}", unknown.json());
    let nested = admin.put(acme, json!({"settings": {"issuerMode": "path", "isuerOverride": "x"}})).await;
    problem(&nested, 422, "validation_failed");
    let wrong = admin.put(acme, json!({"name": 7})).await;
    problem(&wrong, 422, "validation_failed");
    assert_eq!(wrong.json()["errors"][0]["field"], "name", "{}", wrong.json());
    problem(&admin.put(acme, json!({"slug": "other"})).await, 422, "validation_failed");
    problem(
        &admin.put(acme, json!({"settings": {"issuerOverride": "ftp://x"}})).await,
        422,
        "validation_failed",
    );

    let long = "a".repeat(64);
    for bad in ["..%2fx", "%2e%2e%2fx", "A", "-a", "a_b", "a%00b", long.as_str(), "jwks.json", "CON"] {
        let answer = admin.put(&format!("/v1/admin/tenants/{bad}"), json!({"name": "x"})).await;
        problem(&answer, 400, "invalid_slug");
    }
    let empty = admin.put("/v1/admin/tenants/", json!({"name": "x"})).await;
    assert!(matches!(empty.status, 400 | 404 | 405), "{}", empty.status);
    problem(&admin.put(&format!("{acme}/clients/..%2f..%2fx"), json!({})).await, 400, "invalid_client_id");

    let big = format!("{{\"name\":\"{}\"}}", "x".repeat(3_000_000));
    if let Some(answer) = admin.try_send(Method::PUT, acme, &[], raw(&big)).await {
        problem(&answer, 413, "body_too_large");
        assert_eq!(answer.header("connection"), Some("close"), "the rest of the body is still on its way");
    }
    problem(&admin.get("/v1/admin/tenants/nobody").await, 404, "tenant_not_found");
    problem(&admin.get(&format!("{acme}/clients/nobody")).await, 404, "client_not_found");
    problem(&admin.get("/v1/admin/nothing-here").await, 404, "route_not_found");
    problem(&admin.send(Method::PATCH, acme, None).await, 405, "method_not_allowed");

    let bad_client = json!({"redirect_uris": ["http://app.example.com/cb", "javascript:alert(1)"]});
    let answer = admin.put(&format!("{acme}/clients/web"), bad_client).await;
    problem(&answer, 422, "validation_failed");
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 2);
    let unknown_scope = admin.put(&format!("{acme}/clients/web"), json!({"scopes": ["nope"]})).await;
    problem(&unknown_scope, 422, "validation_failed");
    let in_use = admin.put(&format!("{acme}/scopes"), json!({"scopes": [{"name": "email"}]})).await;
    problem(&in_use, 409, "scope_in_use");

    let put = |headers: &'static [(&'static str, &'static str)]| {
        let admin = admin.clone();
        async move {
            admin.try_send(Method::PUT, acme, headers, Some(b"{\"name\":\"x\"}".to_vec())).await.unwrap()
        }
    };
    problem(&put(&[("If-Match", "\"999\"")]).await, 412, "precondition_failed");
    problem(&put(&[("If-Match", "garbage")]).await, 400, "invalid_header");
    problem(&put(&[("If-None-Match", "*")]).await, 412, "precondition_failed");
    let answer = admin.try_send(Method::GET, acme, &[("X-Min-Index", "soon")], None).await.unwrap();
    problem(&answer, 400, "invalid_header");
    let answer = admin.try_send(Method::GET, acme, &[("X-Min-Index", "999999999")], None).await.unwrap();
    problem(&answer, 503, "index_not_reached");
    assert_eq!(answer.header("retry-after"), Some("1"));

    assert_eq!(state(&admin).await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_account_input_is_refused() {
    let (cluster, _) = with_acme().await;
    let api = cluster.api("node3");
    let with = |key: &str, value: Value| {
        let mut body = person("ann@example.test");
        body[key] = value;
        body
    };
    problem(
        &api.post("/v1/auth/register", with("tenant_id", json!("nobody"))).await,
        404,
        "tenant_not_found",
    );
    problem(
        &api.post("/v1/auth/register", with("client_id", json!("nobody"))).await,
        404,
        "client_not_found",
    );
    problem(&api.post("/v1/auth/register", with("is_admin", json!(true))).await, 422, "validation_failed");
    problem(
        &api.post("/v1/auth/register", with("email", json!("not an address"))).await,
        422,
        "validation_failed",
    );
    let weak = api.post("/v1/auth/register", with("password", json!("short"))).await;
    problem(&weak, 422, "validation_failed");
    assert_eq!(weak.json()["errors"][0]["field"], "password");
    assert_eq!(weak.json()["errors"][0]["code"], "too_short");
    api.post("/v1/auth/register", person("ann@example.test")).await.expect(201);
    problem(&api.post("/v1/auth/register", person("ANN@example.test")).await, 409, "email_taken");
    let unknown = api.post("/v1/auth/login", person("bob@example.test")).await;
    problem(&unknown, 401, "invalid_credentials");
    let wrong = api.post("/v1/auth/login", with("password", json!("not the password"))).await;
    problem(&wrong, 401, "invalid_credentials");
    let strip = |answer: &Answer| {
        let mut body = answer.json();
        body.as_object_mut().unwrap().remove("request_id");
        body
    };
    assert_eq!(strip(&unknown), strip(&wrong), "S60: one answer for all");
}

/// S36: every kind of forged or misused token is a 401.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_tokens_are_refused_everywhere() {
    let (cluster, token) = with_acme().await;
    let api = cluster.api("node1");
    api.post("/v1/auth/register", person("ann@example.test")).await.expect(201);
    let tokens = login(&api, "ann@example.test").await.json();
    let good = tokens["access_token"].as_str().unwrap().to_owned();
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let parts: Vec<&str> = good.split('.').collect();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[0]).unwrap()).unwrap();
    let forged = |alg: &str, typ: &str, signature: &str| {
        let mut header = header.clone();
        header["alg"] = json!(alg);
        header["typ"] = json!(typ);
        format!("{}.{}.{signature}", URL_SAFE_NO_PAD.encode(header.to_string()), parts[1])
    };
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    claims["tid"] = json!("local");
    let tampered = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]);
    for bad in [
        forged("none", "at+jwt", ""),
        forged("none", "at+jwt", parts[2]),
        forged("HS256", "at+jwt", parts[2]),
        forged("EdDSA", "JWT", parts[2]),
        tampered,
        refresh.to_owned(),
        format!("{good}x"),
        format!("{good}="),
        "x".repeat(20_000),
        "..".to_owned(),
    ] {
        for name in ["node1", "node2"] {
            let Some(answer) =
                cluster.api(name).bearer(&bad).try_send(Method::GET, "/v1/me", &[], None).await
            else {
                continue;
            };
            if bad.len() > 10_000 {
                assert!((400..500).contains(&answer.status), "{}", answer.status);
            } else {
                problem(&answer, 401, "invalid_token");
                assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"));
            }
        }
    }
    problem(&api.bearer(&good).get("/v1/admin/ping").await, 403, "forbidden");
    api.bearer(&token).get("/v1/admin/ping").await.expect(200);
    api.bearer(&good).get("/v1/me").await.expect(200);
    problem(
        &api.post("/v1/auth/refresh", json!({"refresh_token": good})).await,
        401,
        "invalid_refresh_token",
    );
}
