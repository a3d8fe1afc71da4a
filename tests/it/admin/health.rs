//! Health of a real node (EP160, EP161; spec §3.4).

use serde_json::{Value, json};

use crate::harness::node::TestNode;
use crate::harness::redis::TestRedis;

/// A port of this machine where nobody listens.
fn dead_dsn() -> String {
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    format!("postgres://app:hunter2@127.0.0.1:{port}/app")
}

#[tokio::test]
async fn a_single_node_without_a_database_is_ready_and_leads() {
    let node = TestNode::new().await;
    assert_eq!(node.get("/livez").await.status, 200);
    for path in ["/readyz", "/readyz?role=leader"] {
        let answer = node.get(path).await;
        assert_eq!(answer.status, 200, "{:?}", answer.json());
        let body = answer.json();
        assert_eq!(body["checks"], json!({"db": "disabled", "cache": "disabled", "keystore": "ok"}));
        assert_eq!((&body["cluster"]["mode"], &body["cluster"]["role"]), (&"off".into(), &"single".into()));
        assert_eq!(body["raft"], body["cluster"]["raft"]);
        assert!(body["cluster"]["fs"]["projected_index"].is_u64());
    }
    let bad = node.get("/readyz?role=king").await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "invalid_parameter"));
}

/// Hard promise 3: without PostgreSQL the node goes on serving the control plane, and says that it is not whole.
#[tokio::test]
async fn with_a_dead_database_readyz_names_it_and_the_control_plane_works_on() {
    let node = TestNode::with(&[("STORAGE_DSN", &dead_dsn())]).await;
    let ready = node.get("/readyz").await;
    assert_eq!((ready.status, ready.code().as_str()), (503, "db_unavailable"));
    assert_eq!(ready.header("retry-after"), "1");
    let text = String::from_utf8_lossy(&ready.body).into_owned();
    assert!(!text.contains("hunter2") && !text.contains("127.0.0.1"), "{text}");
    assert_eq!(node.get("/livez").await.status, 200);
    assert_eq!(node.get("/.well-known/jwks.json").await.status, 200);

    let acme = "/v1/admin/tenants/acme";
    assert_eq!(node.call("PUT", acme, json!({})).await.status, 201);
    let web = format!("{acme}/clients/web");
    assert_eq!(node.call("PUT", &web, json!({})).await.status, 201);
    // spec §13.12
    let gone = node.call("DELETE", &web, Value::Null).await;
    assert_eq!((gone.status, gone.json()), (200, json!({"cleanup": "pending"})));
    assert!(!gone.header("x-applied-index").is_empty());
    assert_eq!(node.call("PUT", &web, json!({})).await.status, 201);
    let soft = node.call("DELETE", &format!("{web}?soft=true"), Value::Null).await;
    assert_eq!((soft.status, soft.code().as_str()), (503, "storage_unavailable"));
    assert_eq!(node.call("DELETE", acme, Value::Null).await.json(), json!({"cleanup": "pending"}));
}

#[tokio::test]
async fn metrics_are_on_the_public_listener_unless_they_have_their_own() {
    let node = TestNode::new().await;
    let figures = node.get("/metrics").await;
    assert_eq!(
        (figures.status, figures.header("content-type")),
        (200, "text/plain; version=0.0.4; charset=utf-8")
    );
    let node = TestNode::with(&[("METRICS_ADDR", "127.0.0.1:9100")]).await;
    assert_eq!(node.get("/metrics").await.code(), "route_not_found");
}

/// EP161
#[tokio::test]
async fn the_dev_shutdown_exists_only_where_it_is_offered() {
    let node = TestNode::new().await;
    assert_eq!(node.call("POST", "/__dev/shutdown", Value::Null).await.code(), "route_not_found");
    assert!(!node.stop.is_cancelled());
    let node = TestNode::with(&[("ALLOW_DEV_SHUTDOWN", "1")]).await;
    assert_eq!(node.call("POST", "/__dev/shutdown", Value::Null).await.status, 202);
    assert!(node.stop.is_cancelled());
    node.assembled.shutdown().await;
}

/// S114: a Redis that is down is shown, and keeps no node from serving; nor does it keep one from starting.
#[tokio::test]
async fn readyz_shows_redis_and_does_not_depend_on_it() {
    let mut redis = TestRedis::start();
    let addr = redis.addr();
    let node = TestNode::with(&[("CACHE_KIND", "redis"), ("REDIS_ADDR", &addr)]).await;
    let cache = async || {
        let ready = node.get("/readyz").await;
        assert_eq!(ready.status, 200, "{:?}", ready.json());
        ready.json()["checks"]["cache"].clone()
    };
    assert_eq!(cache().await, "ok");
    redis.kill();
    node.assembled.limits.tend().await;
    assert_eq!(cache().await, "Redis does not answer");
    let without = TestNode::with(&[("CACHE_KIND", "redis"), ("REDIS_ADDR", &addr)]).await;
    let ready = without.get("/readyz").await;
    assert_eq!((ready.status, &ready.json()["checks"]["cache"]), (200, &json!("Redis does not answer")));
}
