//! Which routes are gated and who may call them, found by walking the routes and not by a list (T42, S100).

use std::sync::Arc;

use hellojohn::boot::surface;
use hellojohn::http::{Auth, Plane, RouteSpec};

use crate::harness::node::{Follower, TestNode, send};

/// The pattern with its parameters filled in.
fn concrete(spec: &RouteSpec) -> String {
    let named = [
        ("{slug}", "acme"),
        ("{client_id}", "web"),
        ("{file}", "acme.json"),
        ("{id}", "n3"),
        ("{user_id}", "6f1c2a54-0000-4000-8000-000000000001"),
        ("{role}", "editor"),
        ("{session_id}", "6f1c2a54-0000-4000-8000-000000000000"),
    ];
    named.iter().fold(spec.path.to_owned(), |path, (parameter, value)| path.replace(parameter, value))
}

/// The mutators below the control plane's paths that spec §13.9 counts to the user plane.
fn is_user_plane_by_13_9(path: &str) -> bool {
    path.ends_with("/revoke") || path.contains("/user-store/") || path == "/v1/admin/cluster/snapshot"
}

/// T42, spec §3.3, §13.9
#[tokio::test]
async fn every_mutator_of_the_control_plane_is_gated_and_nothing_else_is() {
    let node = TestNode::new().await;
    let follower = node.router_behind(Arc::new(Follower));
    let mut gated = 0;
    for spec in surface().routes() {
        let path = concrete(spec);
        assert!(!path.contains('{'), "{spec}: a parameter that this test cannot fill in");
        let documents = ["tenants", "keys", "cluster"];
        let is_document = documents.iter().any(|area| {
            let prefix = format!("/v1/admin/{area}");
            spec.path == prefix || spec.path.starts_with(&format!("{prefix}/"))
        });
        let must = spec.verb.mutates() && is_document && !is_user_plane_by_13_9(spec.path);
        assert_eq!(spec.plane == Plane::Control && spec.verb.mutates(), must, "{spec}");
        let answer =
            send(&follower, spec.verb.method().as_str(), &path, Some("admin"), &[], "{".into()).await;
        // Before the body is looked at, which is no JSON.
        assert_eq!(answer.status == 409 && answer.code() == "follower_conflict", must, "{spec}: {answer:?}");
        if must {
            assert_eq!(answer.header("x-leader"), "n2", "{spec}");
            gated += 1;
        }
    }
    assert!(gated >= 8, "only {gated} gated routes were found");
}

/// S100: no token 401, a user's token 403, before any hint of the cluster.
#[tokio::test]
async fn every_admin_route_refuses_strangers_and_users() {
    let node = TestNode::new().await;
    let follower = node.router_behind(Arc::new(Follower));
    let mut seen = 0;
    for spec in surface().routes().filter(|spec| spec.path.starts_with("/v1/admin")) {
        assert_eq!(spec.auth, Auth::Admin, "{spec}");
        let (method, path) = (spec.verb.method(), concrete(spec));
        for (token, expected) in [(None, 401), (Some("stolen"), 401), (Some("user"), 403)] {
            let answer = send(&follower, method.as_str(), &path, token, &[], String::new()).await;
            assert_eq!(answer.status, expected, "{spec} {token:?}");
            assert_eq!(answer.header("x-leader"), "", "{spec} {token:?}");
        }
        seen += 1;
    }
    assert!(seen >= 15, "only {seen} admin routes were found");
}
