//! T40: what a follower answers to writes of the control plane (spec §3.3), and that nothing else is gated.

use reqwest::Method;
use serde_json::json;

use super::with_acme;
use crate::harness::cluster::NAMES;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t40_a_follower_refuses_writes_or_redirects_on_request() {
    let (cluster, token) = with_acme().await;
    let leader = cluster.leader().await;
    let leader_url = cluster.url(leader);
    for follower in cluster.followers().await {
        let api = cluster.api(follower).bearer(&token);
        let path = "/v1/admin/tenants/acme";
        let refused = api.put(path, json!({"name": "New"})).await.expect(409);
        assert_eq!(refused.code(), "follower_conflict");
        assert_eq!(refused.header("content-type").unwrap(), "application/problem+json");
        assert_eq!(refused.header("x-leader"), Some(leader));
        assert_eq!(refused.header("x-leader-url"), Some(leader_url.as_str()));

        let body = Some(json!({"name": "New"}).to_string().into_bytes());
        let asked = format!("{path}?leader_redirect=1&x=y");
        let redirect = api.try_send(Method::PUT, &asked, &[], body.clone()).await.unwrap().expect(307);
        assert_eq!(redirect.header("location"), Some(format!("{leader_url}{path}?x=y").as_str()));
        let headers = [("X-Leader-Redirect", "1"), ("Host", "evil.example")];
        let redirect = api.try_send(Method::PUT, path, &headers, body).await.unwrap().expect(307);
        assert_eq!(redirect.header("location"), Some(format!("{leader_url}{path}").as_str()));

        for (method, path) in [
            (Method::DELETE, "/v1/admin/tenants/acme"),
            (Method::PUT, "/v1/admin/tenants/acme/clients/web"),
            (Method::DELETE, "/v1/admin/tenants/acme/clients/web"),
            (Method::DELETE, "/v1/admin/tenants/acme/clients/web?soft=true"),
            (Method::POST, "/v1/admin/tenants/acme/clients/web/secret"),
            (Method::PUT, "/v1/admin/tenants/acme/scopes"),
            (Method::POST, "/v1/admin/tenants/acme/keys/rotate"),
            (Method::POST, "/v1/admin/keys/rotate"),
        ] {
            let answer = api.send(method.clone(), path, Some(json!({}))).await;
            assert_eq!(answer.status, 409, "{method} {path}");
        }
        api.get("/v1/admin/tenants/acme").await.expect(200);
        api.post("/v1/admin/tenants/acme/clients/web/revoke", json!({})).await.expect(204);
    }
}

/// No hints about the cluster for strangers: authentication comes before the gate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_hear_nothing_of_the_leader() {
    let (cluster, _) = with_acme().await;
    for name in NAMES {
        let answer = cluster.api(name).put("/v1/admin/tenants/acme", json!({"name": "x"})).await.expect(401);
        assert_eq!(answer.code(), "invalid_token");
        assert!(answer.header("x-leader").is_none() && answer.header("x-leader-url").is_none());
    }
}
