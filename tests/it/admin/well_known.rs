//! Discovery and key sets (EP035-EP039, spec §13.7).

use serde_json::{Value, json};

use crate::harness::node::TestNode;

#[tokio::test]
async fn the_global_documents_name_the_configured_issuer_whatever_the_host() {
    let node = TestNode::new().await;
    for path in ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"] {
        let answer = node.call_with("GET", path, &[("host", "evil.example")], Value::Null).await;
        assert_eq!((answer.status, &answer.json()["issuer"]), (200, &"https://id.test".into()), "{path}");
        assert_eq!(answer.json()["jwks_uri"], "https://id.test/.well-known/jwks.json");
        assert_eq!(answer.header("content-type"), "application/json; charset=utf-8");
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
        assert!(!answer.header("x-applied-index").is_empty());
    }
}

/// T48 (discovery part), spec §13.7
#[tokio::test]
async fn a_tenant_has_its_own_documents_once_its_issuer_is_its_path() {
    let node = TestNode::new().await;
    node.call("PUT", "/v1/admin/tenants/acme", json!({})).await;
    let discovery =
        ["/t/acme/.well-known/openid-configuration", "/.well-known/oauth-authorization-server/t/acme"];
    for path in discovery {
        let answer = node.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "issuer_mode_global"), "{path}");
    }
    let global = node.get("/.well-known/jwks.json").await;
    assert_eq!(node.get("/.well-known/jwks/acme.json").await.body, global.body, "the global set meanwhile");

    node.call("PUT", "/v1/admin/tenants/acme", json!({"settings": {"issuerMode": "path"}})).await;
    for path in discovery {
        let answer = node.get(path).await;
        assert_eq!(
            (answer.status, &answer.json()["issuer"]),
            (200, &"https://id.test/t/acme".into()),
            "{path}"
        );
        assert_eq!(answer.json()["jwks_uri"], "https://id.test/.well-known/jwks/acme.json");
    }
    let own = node.get("/.well-known/jwks/acme.json").await;
    assert_eq!((own.status, own.json()["keys"].as_array().unwrap().len()), (200, 1));
    assert_ne!(own.body, global.body);
}

/// S105
#[tokio::test]
async fn unknown_tenants_are_404_and_names_that_are_none_are_400() {
    let node = TestNode::new().await;
    for path in [
        "/t/none/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server/t/none",
        "/.well-known/jwks/none.json",
    ] {
        let answer = node.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "tenant_not_found"), "{path}");
    }
    for path in [
        "/.well-known/jwks/none",
        "/.well-known/jwks/..%2fx.json",
        "/t/.well-known/.well-known/openid-configuration",
    ] {
        let answer = node.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_slug"), "{path}");
    }
}
