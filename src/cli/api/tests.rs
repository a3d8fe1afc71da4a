//! The client against a real server that says what a test wants.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::*;
use crate::cli::failure::{Exit, Failure};
use crate::config::value::url::HostPattern;
use crate::domain::rng::OsRng;

const TOKEN: &str = "planted.access.token";

/// What a server was asked.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    line: String,
    authorization: Option<String>,
    headers: HeaderMap,
    body: Value,
}

/// What a server answers.
#[derive(Debug, Clone)]
struct Said {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

type Script = Arc<Mutex<VecDeque<Said>>>;
type Seen = Arc<Mutex<Vec<Asked>>>;

/// A server that gives the answers of its script in turn, the last one for ever.
struct Server {
    url: String,
    seen: Seen,
    script: Script,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start() -> Self {
        // Fails only when a provider is there already, which is what is wanted.
        drop(rustls::crypto::ring::default_provider().install_default());
        let (seen, script) = (Seen::default(), Script::default());
        let router = Router::new().fallback(answer).with_state((Arc::clone(&seen), Arc::clone(&script)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, seen, script, task }
    }

    fn says(&self, answers: impl IntoIterator<Item = Said>) -> &Self {
        self.script.lock().unwrap().extend(answers);
        self
    }

    fn seen(&self) -> Vec<Asked> {
        self.seen.lock().unwrap().clone()
    }

    fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|asked| asked.line).collect()
    }

    fn api(&self) -> Api {
        self.api_with(&[])
    }

    fn api_with(&self, hosts: &[&str]) -> Api {
        let patience =
            Patience { retries: 3, longest_pause: Duration::from_millis(5), ..Patience::default() };
        let base = BaseUrl::parse(&self.url).unwrap();
        let listed = hosts.iter().map(|text| HostPattern::parse(text).unwrap()).collect();
        let hosts = AllowedHosts::new(base.clone(), listed);
        Api::new(base, hosts, patience, Arc::new(OsRng)).unwrap().with_bearer(&TOKEN.into()).unwrap()
    }
}

async fn answer(State((seen, script)): State<(Seen, Script)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    seen.lock().unwrap().push(Asked {
        line: format!("{} {}", parts.method, parts.uri),
        authorization: parts.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    });
    let mut script = script.lock().unwrap();
    let said = if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() };
    let status = StatusCode::from_u16(said.status).unwrap();
    let mut response = (status, said.body).into_response();
    for (name, value) in said.headers {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
    }
    response
}

fn ok(body: &Value) -> Said {
    Said { status: 200, headers: Vec::new(), body: body.to_string() }
}

fn problem(status: u16, code: &str, headers: &[(&'static str, &str)]) -> Said {
    let body = json!({"status": status, "code": code, "detail": "told by the test", "request_id": "r1"});
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Said { status, headers, body: body.to_string() }
}

fn follower(leader: &str) -> Said {
    problem(409, "follower_conflict", &[("x-leader", "node2"), ("x-leader-url", leader)])
}

/// Spec §3.3, S109: the client follows `X-Leader-URL` with its credentials to an allowed host.
#[tokio::test]
async fn a_write_follows_the_leader_with_credentials() {
    let (one, two) = (Server::start().await, Server::start().await);
    one.says([follower(&two.url)]);
    two.says([ok(&json!({"slug": "acme"}))]);
    let body = json!({"name": "Acme"});
    let answer = one.api().put("/v1/admin/tenants/acme", &body, Condition::Absent).await.unwrap();
    assert_eq!(answer.body["slug"], "acme");
    let asked = &two.seen()[0];
    assert_eq!(asked.line, "PUT /v1/admin/tenants/acme");
    assert_eq!(asked.authorization.as_deref(), Some("Bearer planted.access.token"));
    assert_eq!((&asked.body, &asked.headers["if-none-match"]), (&body, &HeaderValue::from_static("*")));
    assert_eq!(one.lines().len(), 1);
}

/// S109: nothing at all goes to a host that is not allowed, and the way out is told.
#[tokio::test]
async fn a_leader_on_a_host_that_is_not_allowed_gets_nothing() {
    let server = Server::start().await;
    server.says([follower("http://leader.invalid:8081")]);
    let failure = Failure::from(server.api().delete("/v1/admin/tenants/acme").await.unwrap_err());
    assert_eq!(failure.exit, Exit::Conflict);
    assert!(failure.what.contains("http://leader.invalid:8081"), "{failure}");
    assert!(failure.remedy.unwrap().contains("--allow-host leader.invalid"));
    assert_eq!(server.lines().len(), 1);
}

#[tokio::test]
async fn nodes_that_send_each_other_the_call_are_left_after_three_hops() {
    let (one, two) = (Server::start().await, Server::start().await);
    one.says([follower(&two.url)]);
    two.says([follower(&one.url)]);
    let api = Api { patience: Patience { retries: 0, ..Patience::default() }, ..one.api() };
    assert_eq!(api.delete("/v1/admin/tenants/acme").await, Err(ApiError::TooManyHops));
    assert_eq!((one.lines().len(), two.lines().len()), (2, 2));
}

#[tokio::test]
async fn a_leader_without_an_address_is_named() {
    let server = Server::start().await;
    server.says([problem(409, "follower_conflict", &[("x-leader", "node2")])]);
    let failure = Failure::from(server.api().delete("/v1/admin/tenants/acme").await.unwrap_err());
    assert_eq!(failure.exit, Exit::Conflict);
    assert!(failure.what.ends_with("where the leader node2 is reached"), "{failure}");
}

/// Spec §3.3: 503 `no_leader` with `Retry-After`.
#[tokio::test]
async fn a_call_is_repeated_while_there_is_no_leader_but_not_for_ever() {
    let server = Server::start().await;
    let no_leader = || problem(503, "no_leader", &[("retry-after", "1")]);
    server.says([no_leader(), no_leader(), ok(&json!({}))]);
    server.api().put("/v1/admin/tenants/acme", &json!({}), Condition::Always).await.unwrap();
    assert_eq!(server.lines().len(), 3);

    let server = Server::start().await;
    server.says([no_leader()]);
    let failure = Failure::from(server.api().delete("/v1/admin/tenants/acme").await.unwrap_err());
    assert_eq!((failure.exit, failure.code.as_deref()), (Exit::Unavailable, Some("no_leader")));
    assert_eq!(failure.request_id.as_deref(), Some("r1"));
    assert_eq!(server.lines().len(), 4);
}

/// A write whose outcome is unknown may have been done: it is told, not repeated, unless a key makes it one.
#[tokio::test]
async fn an_unknown_outcome_is_repeated_only_where_that_is_the_same_write() {
    let server = Server::start().await;
    let unknown = || problem(503, "outcome_unknown", &[("retry-after", "1")]);
    server.says([unknown()]);
    let failure =
        Failure::from(server.api().post("/v1/admin/cluster/step-down", &json!({})).await.unwrap_err());
    assert_eq!(failure.exit, Exit::Unavailable);
    assert!(failure.remedy.unwrap().contains("may have taken effect"));
    assert_eq!(server.lines().len(), 1);

    server.says([unknown(), ok(&json!({"kid": "k"}))]);
    server.api().post("/v1/admin/keys/rotate", &json!({})).await.unwrap();
    let seen = server.seen.lock().unwrap();
    let keys: Vec<_> = seen.iter().map(|asked| asked.headers.get("idempotency-key").cloned()).collect();
    assert_eq!(keys[0], None, "a hand-over takes no key");
    assert!(keys[1].is_some());
    assert_eq!(keys[1], keys[2]);
}

/// A dead leader that a follower still names: the call begins again, and finds the new one.
#[tokio::test]
async fn a_leader_that_is_gone_leads_back_to_the_first_node() {
    let (one, two) = (Server::start().await, Server::start().await);
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    one.says([follower(&format!("http://{gone}")), follower(&two.url)]);
    two.says([ok(&json!({"slug": "acme"}))]);
    one.api().put("/v1/admin/tenants/acme", &json!({}), Condition::Always).await.unwrap();
    assert_eq!((one.lines().len(), two.lines().len()), (2, 1));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (one, two) = (Server::start().await, Server::start().await);
    let location = format!("{}/v1/admin/tenants/acme", two.url);
    one.says([problem(307, "follower_conflict", &[("location", &location)])]);
    one.api().get("/v1/admin/tenants/acme").await.unwrap_err();
    assert!(two.lines().is_empty());
}

#[tokio::test]
async fn reads_wait_for_our_own_writes() {
    let server = Server::start().await;
    let written = Said { headers: vec![("x-applied-index", "42".to_owned())], ..ok(&json!({})) };
    server.says([ok(&json!({})), written, ok(&json!({}))]);
    let api = server.api();
    api.get("/v1/admin/tenants/acme").await.unwrap();
    api.put("/v1/admin/tenants/acme", &json!({}), Condition::Always).await.unwrap();
    api.get("/v1/admin/tenants/acme").await.unwrap();
    let waits: Vec<_> = server.seen().iter().map(|asked| asked.headers.get("x-min-index").cloned()).collect();
    assert_eq!(waits, [None, None, Some(HeaderValue::from_static("42"))]);
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page() {
    let server = Server::start().await;
    server.says([
        ok(&json!({"items": [{"slug": "a"}], "next_cursor": "YQ"})),
        ok(&json!({"items": [{"slug": "b"}], "next_cursor": null})),
    ]);
    let items = server.api().list("/v1/admin/tenants").await.unwrap();
    assert_eq!(items, [json!({"slug": "a"}), json!({"slug": "b"})]);
    assert_eq!(
        server.lines(),
        ["GET /v1/admin/tenants?limit=200", "GET /v1/admin/tenants?limit=200&cursor=YQ"]
    );

    let server = Server::start().await;
    server.says([ok(&json!({"items": [], "next_cursor": "x&limit=1"}))]);
    assert!(matches!(server.api().list("/v1/admin/tenants").await, Err(ApiError::Strange(_))));
}

#[tokio::test]
async fn only_a_named_absence_counts_as_not_found() {
    let server = Server::start().await;
    server.says([
        problem(404, "tenant_not_found", &[]),
        problem(404, "route_not_found", &[]),
        Said { status: 404, headers: Vec::new(), body: "<html>".to_owned() },
    ]);
    let api = server.api();
    assert_eq!(api.find("/v1/admin/tenants/acme").await, Ok(None));
    for _ in 0..2 {
        assert!(matches!(api.find("/v1/admin/tenants/acme").await, Err(ApiError::Refused(_))));
    }
}

#[tokio::test]
async fn refusals_have_exit_codes_and_the_fields_that_are_wrong() {
    for (status, code, exit) in [
        (401, "invalid_token", Exit::NotAuthorised),
        (403, "forbidden", Exit::NotAuthorised),
        (404, "tenant_not_found", Exit::Failed),
        (409, "scope_in_use", Exit::Conflict),
        (412, "precondition_failed", Exit::Conflict),
        (429, "too_many_requests", Exit::Unavailable),
        (500, "internal", Exit::Failed),
    ] {
        let server = Server::start().await;
        server.says([problem(status, code, &[])]);
        let failure = Failure::from(server.api().delete("/v1/admin/tenants/acme").await.unwrap_err());
        assert_eq!((failure.exit, failure.code.as_deref()), (exit, Some(code)));
        assert_eq!(failure.what, "told by the test");
    }
    let body = json!({"code": "validation_failed", "detail": "d",
        "errors": [{"field": "name", "code": "too_long", "message": "must be shorter"}]});
    let refusal = Refusal::parse(422, body.to_string().as_bytes());
    assert_eq!(refusal.fields, ["name: must be shorter"]);
    let oauth = Refusal::parse(400, br#"{"error":"invalid_grant","error_description":"gone"}"#);
    assert_eq!((oauth.code.as_str(), oauth.detail.as_str()), ("invalid_grant", "gone"));
    let foreign = Refusal::parse(502, b"<html>");
    assert_eq!((foreign.status, foreign.code.as_str()), (502, ""));
}

#[tokio::test]
async fn no_connection_is_unavailable_and_names_the_address() {
    let server = Server::start().await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let base = BaseUrl::parse(&format!("http://{free}")).unwrap();
    let api = Api { base, ..server.api() };
    let failure = Failure::from(api.get("/v1/me").await.unwrap_err());
    assert_eq!(failure.exit, Exit::Unavailable);
    assert!(failure.what.contains(&free.to_string()), "{failure}");
}

/// EP002, EP006: the login goes to the first address only and carries no token of another account.
#[tokio::test]
async fn a_login_gives_a_token_and_is_never_sent_on() {
    let (one, two) = (Server::start().await, Server::start().await);
    let login = Login {
        tenant: hellojohn_control::Slug::parse("local").unwrap(),
        client: hellojohn_control::ClientId::parse("local-web").unwrap(),
        email: "admin@example.com".to_owned(),
        password: "planted-password".into(),
        code: None,
    };
    one.says([ok(&json!({"access_token": "a.b.c"})), follower(&two.url), ok(&json!({"mfa_required": true}))]);
    assert_eq!(one.api().log_in(&login).await.unwrap().expose(), "a.b.c");
    assert_eq!(one.seen()[0].line, "POST /v1/auth/login");
    assert_eq!(one.seen()[0].authorization, None);
    assert_eq!(one.seen()[0].body["tenant_id"], "local");
    assert!(matches!(one.api().log_in(&login).await, Err(ApiError::Refused(_))));
    assert!(two.lines().is_empty());
    assert_eq!(one.api().log_in(&login).await, Err(ApiError::SecondFactor));
    for (code, member) in
        [("123456", "mfa_code"), ("abcde-fghij", "recovery_code"), ("1234567", "recovery_code")]
    {
        let server = Server::start().await;
        server.says([ok(&json!({"access_token": "a.b.c"}))]);
        server.api().log_in(&Login { code: Some(code.into()), ..login.clone() }).await.unwrap();
        let body = server.seen()[0].body.clone();
        assert_eq!(body[member], code);
        assert_eq!(body.as_object().unwrap().len(), 5, "{body}");
    }
}

/// S111
#[tokio::test]
async fn credentials_stand_in_no_debug_form_and_no_error() {
    let server = Server::start().await;
    server.says([problem(401, "invalid_token", &[])]);
    let api = server.api();
    let failure = Failure::from(api.get("/v1/me").await.unwrap_err());
    let shown = format!("{api:?} {:?} {failure} {}", api.authorization, failure.to_json());
    assert!(!shown.contains(TOKEN), "{shown}");
    for bad in ["", "a b", "a\nb", "Bearer x"] {
        let base = BaseUrl::parse(&server.url).unwrap();
        let api =
            Api::new(base.clone(), AllowedHosts::new(base, vec![]), Patience::default(), Arc::new(OsRng));
        assert_eq!(api.unwrap().with_bearer(&bad.into()).err(), Some(ApiError::Bearer), "{bad:?}");
    }
}
