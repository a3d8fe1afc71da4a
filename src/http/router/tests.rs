use std::convert::Infallible;

use axum::body::{Body, Bytes};
use hellojohn_control::{ClientId, Slug};
use tokio::sync::oneshot;

use super::*;
use crate::http::edge::Connection;
use crate::http::extract::{Caller, ClientInfo, JsonBody, OptionalJsonBody, Page, Segment};
use crate::http::testing::{edge, edge_with, request, send};
use crate::http::{ApiResult, EdgeSettings};

fn open() -> Surface<()> {
    Surface::new()
}

fn get<H: Handler<T, ()>, T: 'static>(path: &'static str, handler: H) -> Surface<()> {
    open().route(Verb::Get, path, Plane::User, Auth::Public, handler)
}

fn post<H: Handler<T, ()>, T: 'static>(path: &'static str, handler: H) -> Surface<()> {
    open().route(Verb::Post, path, Plane::User, Auth::Public, handler)
}

fn serve(surface: Surface<()>) -> Router {
    surface.into_router(&edge(), ()).unwrap()
}

async fn echo(JsonBody(body): JsonBody<serde_json::Value>) -> String {
    body.to_string()
}

/// spec §5
#[tokio::test]
async fn unknown_paths_and_methods_are_problems_with_allow_and_request_id() {
    let router = serve(get("/a", async || "a").merge(post("/a", async || "a")));
    let answer = send(&router, request("GET", "/nowhere", &[], "")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (404, "route_not_found"));
    assert_eq!(answer.json()["request_id"].as_str(), answer.header("x-request-id"));
    let answer = send(&router, request("DELETE", "/a", &[], "")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (405, "method_not_allowed"));
    let allow = answer.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("POST"), "{allow}");
    let answer = send(&router, request("GET", "/oauth2/nowhere", &[], "")).await;
    assert_eq!((answer.status.as_u16(), answer.json()["error"].as_str()), (404, Some("invalid_request")));
}

/// spec §5
#[tokio::test]
async fn every_answer_has_the_security_headers_and_is_not_stored() {
    let router = serve(get("/a", async || "a"));
    for path in ["/a", "/nowhere"] {
        let answer = send(&router, request("GET", path, &[("x-request-id", "mine")], "")).await;
        for (name, value) in [
            ("x-frame-options", "DENY"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-store"),
            ("pragma", "no-cache"),
            ("x-request-id", "mine"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {name}");
        }
        assert!(answer.header("content-security-policy").unwrap().contains("frame-ancestors 'none'"));
        assert_eq!(answer.header("strict-transport-security"), None);
    }
}

#[tokio::test]
async fn a_panic_is_a_500_problem_without_its_text() {
    async fn boom() -> String {
        panic!("secret of the house")
    }
    let answer = send(&serve(get("/a", boom)), request("GET", "/a", &[], "")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (500, "internal"));
    assert!(!String::from_utf8_lossy(&answer.body).contains("secret"));
}

/// spec §5: whatever the content type
#[tokio::test]
async fn a_json_body_is_read_whatever_its_content_type() {
    let router = serve(post("/a", echo));
    for kind in ["application/json", "application/x-www-form-urlencoded", "text/plain"] {
        let answer = send(&router, request("POST", "/a", &[("content-type", kind)], "{\"a\":1}")).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"{\"a\":1}"[..]), "{kind}");
    }
    let answer = send(&router, request("POST", "/a", &[], "")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "malformed_json"));
}

#[tokio::test]
async fn an_optional_body_may_be_empty_but_not_malformed() {
    async fn optional(OptionalJsonBody(body): OptionalJsonBody<serde_json::Value>) -> String {
        body.to_string()
    }
    let router = serve(post("/a", optional));
    assert_eq!(&send(&router, request("POST", "/a", &[], "")).await.body[..], b"null");
    assert_eq!(send(&router, request("POST", "/a", &[], "{")).await.status, 400);
}

/// S115
#[tokio::test]
async fn a_body_over_the_limit_is_413_declared_or_streamed() {
    let settings = EdgeSettings { max_body_bytes: 16, ..EdgeSettings::default() };
    let router = post("/a", echo).into_router(&edge_with(settings, std::sync::Arc::default()), ()).unwrap();
    let fits = format!("\"{}\"", "x".repeat(14));
    let over = format!("\"{}\"", "x".repeat(15));
    assert_eq!(send(&router, request("POST", "/a", &[], fits)).await.status, 200);
    let answer = send(&router, request("POST", "/a", &[], over.clone())).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "body_too_large"));
    let chunks: Vec<Result<Bytes, Infallible>> =
        over.bytes().map(|b| Ok(Bytes::copy_from_slice(&[b]))).collect();
    let streamed = Body::from_stream(futures::stream::iter(chunks));
    let answer = send(&router, request("POST", "/a", &[], streamed)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (413, "body_too_large"));
}

/// S115: a body that trickles in is given up.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_sent_in_time_is_408() {
    let router = serve(post("/a", echo));
    let never = Body::from_stream(futures::stream::pending::<Result<Bytes, Infallible>>());
    let answer = send(&router, request("POST", "/a", &[], never)).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (408, "request_timeout"));
}

/// S105, spec §13.10
#[tokio::test]
async fn path_identifiers_are_typed_and_bad_ones_are_400() {
    async fn both(Segment(slug): Segment<Slug>, Segment(client): Segment<ClientId>) -> String {
        format!("{slug} {client}")
    }
    let router = serve(get("/t/{slug}/c/{client_id}", both));
    let answer = send(&router, request("GET", "/t/acme/c/Web.1", &[], "")).await;
    assert_eq!(&answer.body[..], b"acme Web.1");
    let long = "a".repeat(64);
    for bad in ["..%2fx", "%2e%2e", "A", "a%00", "%ff", "-a", ".well-known", "jwks.json", "a%20b", &long] {
        let answer = send(&router, request("GET", &format!("/t/{bad}/c/web"), &[], "")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid_slug"), "{bad}");
    }
    for bad in ["..%2fx", "%2e%2e", "a%00", "_a", "a%2Fb"] {
        let answer = send(&router, request("GET", &format!("/t/acme/c/{bad}"), &[], "")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid_client_id"), "{bad}");
    }
    let answer = send(&router, request("GET", "/t/acme/c/%ff", &[], "")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid_parameter"));
}

/// S17, spec §5
#[tokio::test]
async fn cors_answers_listed_origins_only() {
    let router = serve(
        get("/a", async || "a")
            .merge(get("/oauth2/authorize", async || "a"))
            .merge(get("/t/{slug}/oauth2/authorize", async || "a")),
    );
    for (path, origin, allowed, credentials) in [
        ("/a", "https://app.test", true, false),
        ("/a", "https://ui.test", true, true),
        ("/a", "https://app.test.evil", false, false),
        ("/a", "http://app.test", false, false),
        ("/a", "https://APP.test", false, false),
        ("/a", "null", false, false),
        ("/nowhere", "https://app.test", true, false),
        ("/oauth2/authorize", "https://app.test", false, false),
        ("/t/acme/oauth2/authorize", "https://app.test", false, false),
    ] {
        let plain = send(&router, request("GET", path, &[("origin", origin)], "")).await;
        let headers = [("origin", origin), ("access-control-request-method", "PUT")];
        let preflight = send(&router, request("OPTIONS", path, &headers, "")).await;
        for answer in [plain, preflight] {
            let origin_header = answer.header("access-control-allow-origin");
            assert_eq!(origin_header, allowed.then_some(origin), "{path} {origin}");
            let with_cookies = answer.header("access-control-allow-credentials");
            assert_eq!(with_cookies, credentials.then_some("true"), "{path} {origin}");
        }
    }
}

#[tokio::test]
async fn beyond_the_cap_requests_are_503_busy_but_probes_answer() {
    let (started_tx, started) = oneshot::channel::<()>();
    let (release, released) = oneshot::channel::<()>();
    let once = std::sync::Arc::new(std::sync::Mutex::new(Some((started_tx, released))));
    let slow = move || {
        let taken = once.lock().unwrap().take();
        async move {
            if let Some((started, released)) = taken {
                started.send(()).unwrap();
                released.await.unwrap();
            }
            "done"
        }
    };
    let settings = EdgeSettings { max_in_flight: 1, ..EdgeSettings::default() };
    let router = get("/slow", slow)
        .merge(get("/livez", async || "alive"))
        .into_router(&edge_with(settings, std::sync::Arc::default()), ())
        .unwrap();
    let first = tokio::spawn({
        let router = router.clone();
        async move { send(&router, request("GET", "/slow", &[], "")).await.status }
    });
    started.await.unwrap();
    let answer = send(&router, request("GET", "/slow", &[], "")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "busy"));
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert_eq!(send(&router, request("GET", "/livez", &[], "")).await.status, 200);
    release.send(()).unwrap();
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!(send(&router, request("GET", "/slow", &[], "")).await.status, 200);
}

#[tokio::test]
async fn the_caller_and_the_client_reach_the_handler() {
    async fn who(Caller(caller): Caller, client: ClientInfo) -> String {
        format!("{} {} {:?} {}", caller.actor(), client.ip, client.user_agent, caller.has_scope("openid"))
    }
    let surface = open().route(Verb::Get, "/me", Plane::User, Auth::User, who);
    let mut asked = request("GET", "/me", &[("authorization", "Bearer user"), ("user-agent", "t/1")], "");
    asked.extensions_mut().insert(Connection { peer: "[::ffff:192.0.2.1]:9".parse().unwrap(), tls: false });
    let answer = send(&serve(surface), asked).await;
    assert_eq!(&answer.body[..], b"local/user 192.0.2.1 Some(\"t/1\") true");
    let answer = send(&serve(get("/me", who)), request("GET", "/me", &[], "")).await;
    assert_eq!(answer.status, 500, "a public route has no caller");
}

#[tokio::test]
async fn a_bad_page_is_400() {
    async fn list(page: Page) -> ApiResult<String> {
        Ok(format!("{page:?}"))
    }
    let router = serve(get("/list", list));
    assert_eq!(send(&router, request("GET", "/list?limit=5&other=1", &[], "")).await.status, 200);
    for bad in ["limit=0", "limit=1&limit=2", "cursor=%00"] {
        let answer = send(&router, request("GET", &format!("/list?{bad}"), &[], "")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid_parameter"), "{bad}");
    }
}

#[tokio::test]
async fn json_answers_say_their_charset() {
    let router = serve(get("/a", async || axum::Json(1)));
    let answer = send(&router, request("GET", "/a", &[], "")).await;
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
}

#[test]
fn colliding_and_misdeclared_routes_are_not_served() {
    let twice = get("/a", async || "a").merge(get("/a", async || "b"));
    assert_eq!(twice.check(), Err(RouteError::Collision("GET /a".into())));
    let renamed = get("/a/{x}", async || "a").merge(post("/a/{y}", async || "b"));
    assert_eq!(renamed.check(), Err(RouteError::Collision("POST /a/{y}".into())));
    let fine =
        get("/a/{x}", async || "a").merge(post("/a/{x}", async || "b")).merge(get("/a/b", async || ""));
    assert_eq!(fine.check(), Ok(()));
    assert_eq!(fine.routes().count(), 3);
    let open_admin = get("/v1/admin/x", async || "a");
    assert!(matches!(open_admin.into_router(&edge(), ()), Err(RouteError::Fault { .. })));
}

/// S111: neither path values nor query strings become labels; what a client invents is one label.
#[test]
fn metrics_carry_the_pattern_and_bounded_labels() {
    use metrics_exporter_prometheus::PrometheusBuilder;
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    metrics::with_local_recorder(&recorder, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let router = serve(get("/t/{slug}", async || "a"));
            send(&router, request("GET", "/t/acme?token=secret", &[], "")).await;
            send(&router, request("BREW", "/wild/path", &[], "")).await;
        });
    });
    let text = handle.render();
    let line = "hellojohn_http_requests_total{route=\"/t/{slug}\",method=\"GET\",status=\"200\"} 1";
    assert!(text.contains(line), "{text}");
    assert!(text.contains("route=\"unmatched\",method=\"other\",status=\"404\""), "{text}");
    assert!(text.contains("hellojohn_http_request_seconds"), "{text}");
    for leak in ["acme", "secret", "wild", "BREW"] {
        assert!(!text.contains(leak), "{leak}");
    }
}
