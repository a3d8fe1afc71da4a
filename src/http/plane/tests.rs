use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::config::cluster::WriteMode;
use crate::config::value::url::BaseUrl;
use crate::http::error::leader::LeaderRedirects;
use crate::http::extract::JsonBody;
use crate::http::testing::{FakeGate, edge_with, request, send};
use crate::http::{EdgeSettings, Surface};
use crate::service::Precondition;

const PUT_TENANT: &str = "/v1/admin/tenants/{slug}";
const AS_ADMIN: (&str, &str) = ("authorization", "Bearer admin");

async fn put(write: WriteContext, JsonBody(body): JsonBody<serde_json::Value>) -> String {
    format!("{} {:?} {body}", write.principal.subject, write.precondition)
}

fn follower() -> Arc<FakeGate> {
    Arc::new(FakeGate { refusal: Some(Error::not_leader(Some("n1"))), ..FakeGate::default() })
}

fn settings() -> EdgeSettings {
    let target = BaseUrl::parse("http://one.test:8081").unwrap();
    let redirects = LeaderRedirects::new([("n1".to_owned(), target)], WriteMode::Reject);
    EdgeSettings { redirects, ..EdgeSettings::default() }
}

fn router(gate: Arc<FakeGate>) -> axum::Router {
    Surface::<()>::new()
        .route(Verb::Put, PUT_TENANT, Plane::Control, Auth::Admin, put)
        .route(Verb::Get, PUT_TENANT, Plane::Control, Auth::Admin, async || "read")
        .route(Verb::Post, "/v1/admin/users/{id}/disable", Plane::User, Auth::Admin, async || "user")
        .route(Verb::Get, "/v1/me", Plane::User, Auth::User, async || "me")
        .into_router(&edge_with(settings(), gate), ())
        .unwrap()
}

/// spec §13.9: 401, 403, gate, body validation. Each request is wrong in every later respect too.
#[tokio::test]
async fn the_order_is_401_403_gate_body() {
    let on_follower = router(follower());
    let on_leader = router(Arc::default());
    for (router, headers, status, code) in [
        (&on_follower, &[][..], 401, "invalid_token"),
        (&on_follower, &[("authorization", "Bearer nonsense")], 401, "invalid_token"),
        (&on_follower, &[("authorization", "Bearer user")], 403, "forbidden"),
        (&on_follower, &[AS_ADMIN], 409, "follower_conflict"),
        (&on_leader, &[AS_ADMIN], 400, "malformed_json"),
    ] {
        let answer = send(router, request("PUT", "/v1/admin/tenants/acme", headers, "{not json")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code));
        let hint = answer.header("x-leader");
        assert_eq!(hint, (status == 409).then_some("n1"), "no cluster hints for strangers");
    }
}

/// spec §3.3: refusals too, so that a caller who must not read an older state knows how old a 404 is; strangers
/// learn nothing.
#[tokio::test]
async fn every_answer_of_the_control_plane_to_an_administrator_says_its_index() {
    let router = router(Arc::default());
    for (method, headers, status, index) in [
        ("GET", &[AS_ADMIN][..], 200, Some("7")),
        ("PUT", &[AS_ADMIN], 400, Some("7")),
        ("PUT", &[], 401, None),
        ("PUT", &[("authorization", "Bearer user")], 403, None),
    ] {
        let answer = send(&router, request(method, "/v1/admin/tenants/acme", headers, "{not json")).await;
        assert_eq!((answer.status.as_u16(), answer.header("x-applied-index")), (status, index));
    }
}

/// A node that has just started must not call good tokens invalid: clients would throw them away.
#[tokio::test]
async fn a_node_that_knows_nothing_yet_is_503_and_not_401() {
    let starting = router(Arc::new(FakeGate { knows_nothing: true, ..FakeGate::default() }));
    for (method, path, headers) in [
        ("GET", "/v1/me", &[("authorization", "Bearer user")][..]),
        ("GET", "/v1/me", &[("authorization", "Bearer nonsense")]),
        ("PUT", "/v1/admin/tenants/acme", &[AS_ADMIN]),
    ] {
        let answer = send(&starting, request(method, path, headers, "{}")).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "cluster_not_formed"));
        assert!(answer.header("retry-after").is_some());
    }
}

/// spec §3.3, T40
#[tokio::test]
async fn a_follower_write_is_409_or_307_on_request_and_only_writes_of_the_control_plane_are_gated() {
    let router = router(follower());
    let answer = send(&router, request("PUT", "/v1/admin/tenants/acme", &[AS_ADMIN], "{}")).await;
    assert_eq!(answer.status, 409);
    assert_eq!(answer.header("x-leader-url"), Some("http://one.test:8081"));
    assert_eq!(answer.json()["leader"], "n1");

    let uri = "/v1/admin/tenants/acme?a=1&leader_redirect=1";
    // F25: whatever Host says
    let forged = [AS_ADMIN, ("host", "evil.test"), ("x-forwarded-host", "evil.test")];
    let answer = send(&router, request("PUT", uri, &forged, "{}")).await;
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("location"), Some("http://one.test:8081/v1/admin/tenants/acme?a=1"));
    let asking = [AS_ADMIN, ("x-leader-redirect", "1")];
    let answer = send(&router, request("PUT", "/v1/admin/tenants/acme", &asking, "{}")).await;
    assert_eq!(answer.header("location"), Some("http://one.test:8081/v1/admin/tenants/acme"));

    for (method, uri) in [
        ("GET", "/v1/admin/tenants/acme"),
        ("HEAD", "/v1/admin/tenants/acme"),
        ("POST", "/v1/admin/users/1/disable"),
        ("GET", "/v1/me"),
    ] {
        let answer = send(&router, request(method, uri, &[AS_ADMIN], "")).await;
        assert_eq!(answer.status, 200, "{method} {uri}");
    }
}

/// S109: a caller that came by https is never sent to http.
#[tokio::test]
async fn with_an_https_public_url_the_http_address_of_a_leader_is_not_given_away() {
    let edge = edge_with(EdgeSettings { public_https: true, ..settings() }, follower());
    let router = Surface::<()>::new()
        .route(Verb::Put, PUT_TENANT, Plane::Control, Auth::Admin, put)
        .into_router(&edge, ())
        .unwrap();
    let uri = "/v1/admin/tenants/acme?leader_redirect=1";
    let answer = send(&router, request("PUT", uri, &[AS_ADMIN], "{}")).await;
    assert_eq!((answer.status.as_u16(), answer.header("x-leader-url")), (409, None));
    assert!(answer.header("strict-transport-security").is_some());
}

#[tokio::test]
async fn the_write_context_carries_caller_and_condition() {
    let router = router(Arc::default());
    let headers = [AS_ADMIN, ("if-match", "\"3\"")];
    let answer = send(&router, request("PUT", "/v1/admin/tenants/acme", &headers, "{\"a\":1}")).await;
    assert_eq!(&answer.body[..], format!("admin {:?} {{\"a\":1}}", Precondition::Revision(3)).as_bytes());
    let headers = [AS_ADMIN, ("if-match", "3")];
    let answer = send(&router, request("PUT", "/v1/admin/tenants/acme", &headers, "{}")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (400, "invalid_header"));
}

/// T42: a handler that writes to the control plane cannot do so from a route that is not gated.
#[tokio::test]
async fn a_write_context_cannot_be_had_on_an_ungated_route() {
    let gate: Arc<FakeGate> = Arc::default();
    let router = Surface::<()>::new()
        .route(Verb::Post, "/v1/sneaky", Plane::User, Auth::Admin, put)
        .into_router(&edge_with(settings(), Arc::clone(&gate)), ())
        .unwrap();
    let answer = send(&router, request("POST", "/v1/sneaky", &[AS_ADMIN], "{}")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (500, "internal"));
    assert_eq!(gate.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_takes_too_long_is_503_and_a_write_past_the_gate_is_outcome_unknown() {
    let settings = EdgeSettings { request_timeout: Duration::from_secs(3), ..settings() };
    let router = Surface::<()>::new()
        .route(Verb::Put, PUT_TENANT, Plane::Control, Auth::Admin, std::future::pending::<String>)
        .route(Verb::Get, "/v1/slow", Plane::User, Auth::Public, std::future::pending::<String>)
        .into_router(&edge_with(settings, Arc::default()), ())
        .unwrap();
    let answer = send(&router, request("GET", "/v1/slow", &[], "")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "deadline_exceeded"));
    let answer = send(&router, request("PUT", "/v1/admin/tenants/acme", &[AS_ADMIN], "{}")).await;
    assert_eq!((answer.status.as_u16(), answer.code().as_str()), (503, "outcome_unknown"));
    assert!(answer.header("retry-after").is_some());
}

/// T42, spec §13.9: declared wrongly, a route is not served.
#[test]
fn a_mutator_on_the_wrong_plane_is_a_fault() {
    let fault = |verb, path, plane, auth| RouteSpec { verb, path, plane, auth }.fault().is_some();
    for path in [
        "/v1/admin/tenants/{slug}",
        "/v1/admin/tenants/{slug}/something-new",
        "/v1/admin/tenants/{slug}/clients/{client_id}/secret",
        "/v1/admin/tenants/{slug}/keys/rotate",
        "/v1/admin/keys/rotate",
        "/v1/admin/cluster/members",
        "/v1/admin/cluster/members/{id}",
    ] {
        for verb in [Verb::Post, Verb::Put, Verb::Patch, Verb::Delete] {
            assert!(fault(verb, path, Plane::User, Auth::Admin), "ungated {path}");
            assert!(!fault(verb, path, Plane::Control, Auth::Admin), "{path}");
            assert!(fault(verb, path, Plane::Control, Auth::User), "{path} for users");
            assert!(fault(verb, path, Plane::Control, Auth::Public), "{path} for all");
        }
        assert!(!fault(Verb::Get, path, Plane::Control, Auth::Admin), "{path}");
        assert!(fault(Verb::Get, path, Plane::Control, Auth::Public), "{path}");
    }
    for path in [
        "/v1/admin/tenants/{slug}/clients/{client_id}/revoke",
        "/v1/admin/tenants/{slug}/user-store/test-connection",
        "/v1/admin/tenants/{slug}/user-store/migrate",
        "/v1/admin/cluster/snapshot",
        "/v1/admin/consents/upsert",
        "/v1/admin/users/{id}",
    ] {
        assert!(fault(Verb::Post, path, Plane::Control, Auth::Admin), "gated {path}");
        assert!(!fault(Verb::Post, path, Plane::User, Auth::Admin), "{path}");
    }
    assert!(!fault(Verb::Post, "/v1/auth/login", Plane::User, Auth::Public));
    assert!(fault(Verb::Post, "/v1/auth/login", Plane::Control, Auth::Admin));
}
