//! Clients of a tenant (EP102-EP104).

use hellojohn::http::middleware::cors::{Access, OriginPolicy as _};
use hellojohn_control::format::OIDC_FORMAT;
use serde_json::{Value, json};

use crate::harness::node::TestNode;

const WEB: &str = "/v1/admin/tenants/acme/clients/web";

async fn node() -> TestNode {
    let node = TestNode::new().await;
    assert_eq!(node.call("PUT", "/v1/admin/tenants/acme", json!({})).await.status, 201);
    node
}

/// A node whose cluster, of itself alone, writes the newest format.
async fn upgraded() -> TestNode {
    let node = node().await;
    let mut views = node.assembled.plane.views();
    let raised = views.wait_for(|view| view.format() >= OIDC_FORMAT);
    tokio::time::timeout(std::time::Duration::from_secs(20), raised).await.unwrap().unwrap();
    node
}

/// EP102, S45: shown once, when made
#[tokio::test]
async fn a_secret_is_shown_when_it_is_made_and_never_again() {
    let node = node().await;
    let public = node.call("PUT", "/v1/admin/tenants/acme/clients/spa", json!({})).await;
    assert_eq!((public.status, &public.json()["client_secret"]), (201, &Value::Null));

    let made = node.call("PUT", WEB, json!({"clientType": "confidential"})).await;
    assert_eq!((made.status, made.marks().0), (201, "\"1\""));
    let secret = made.json()["client_secret"].as_str().unwrap().to_owned();
    assert!(secret.len() >= 43, "256 bits");
    let read = node.call("GET", WEB, Value::Null).await;
    assert_eq!(read.json()["client_secret"], Value::Null);
    let listed = node.call("GET", "/v1/admin/tenants/acme/clients", Value::Null).await;
    for answer in [&read, &listed] {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains(&secret) && !text.contains("hash") && !text.contains("sha256"), "{text}");
    }
    let back = node.call("PUT", WEB, read.json()).await;
    assert_eq!((back.status, back.json()), (200, read.json()), "a GET can be put back");

    let rotated = node.call("POST", &format!("{WEB}/secret"), json!({"overlapSeconds": 60})).await;
    assert_eq!(rotated.status, 200);
    assert_ne!(rotated.json()["client_secret"], made.json()["client_secret"]);
    assert_eq!(rotated.json()["secrets"].as_array().unwrap().len(), 2);
    let at_once = node.call("POST", &format!("{WEB}/secret"), Value::Null).await;
    assert_eq!(at_once.json()["secrets"].as_array().unwrap().len(), 1, "without an overlap the old ones go");
    let refused = node.call("POST", "/v1/admin/tenants/acme/clients/spa/secret", Value::Null).await;
    assert_eq!(refused.status, 422);
}

/// EP102, EP103
#[tokio::test]
async fn clients_are_searched_by_id_and_name_and_listed_page_by_page() {
    let node = node().await;
    for (id, name) in [("web", "Shop"), ("app", "Webshop app"), ("batch", "Nightly")] {
        let path = format!("/v1/admin/tenants/acme/clients/{id}");
        assert_eq!(node.call("PUT", &path, json!({"name": name})).await.status, 201);
    }
    let ids = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|c| c["client_id"].as_str().unwrap().to_owned()).collect()
    };
    let list = "/v1/admin/tenants/acme/clients";
    assert_eq!(ids(&node.call("GET", &format!("{list}?q=WEB"), Value::Null).await.json()), ["app", "web"]);
    let first = node.call("GET", &format!("{list}?limit=2"), Value::Null).await.json();
    assert_eq!(ids(&first), ["app", "batch"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = node.call("GET", &format!("{list}?limit=2&cursor={cursor}"), Value::Null).await.json();
    assert_eq!(ids(&rest), ["web"]);
    assert_eq!(node.call("GET", &format!("{list}?q={}", "x".repeat(201)), Value::Null).await.status, 400);
    assert_eq!(
        node.call("GET", "/v1/admin/tenants/none/clients", Value::Null).await.code(),
        "tenant_not_found"
    );
}

/// EP103, EP104: soft leaves the client, hard takes it; a name that comes back is another client.
#[tokio::test]
async fn a_soft_deletion_leaves_the_client_and_a_new_one_of_the_name_has_another_id() {
    let node = node().await;
    let first = node.call("PUT", WEB, json!({})).await.json()["id"].clone();
    let soft = node.call("DELETE", &format!("{WEB}?soft=true"), Value::Null).await;
    assert_eq!(soft.status, 204, "no database, nothing to revoke: {:?}", soft.json());
    assert_eq!(node.call("POST", &format!("{WEB}/revoke"), Value::Null).await.status, 204);
    assert_eq!(node.call("GET", WEB, Value::Null).await.status, 200);
    let stale =
        node.call_with("DELETE", &format!("{WEB}?soft=true"), &[("if-match", "\"9\"")], Value::Null).await;
    assert_eq!(stale.status, 412);
    assert_eq!(node.call("DELETE", WEB, Value::Null).await.status, 204);
    assert_eq!(node.call("GET", WEB, Value::Null).await.code(), "client_not_found");
    assert_eq!(node.call("POST", &format!("{WEB}/revoke"), Value::Null).await.code(), "client_not_found");
    assert_ne!(node.call("PUT", WEB, json!({})).await.json()["id"], first);
}

/// spec §5: an application may call from a browser while it and its tenant are in service.
#[tokio::test]
async fn the_origins_of_a_suspended_tenant_are_not_allowed() {
    let node = node().await;
    let origin = "https://app.acme.example";
    assert_eq!(node.call("PUT", WEB, json!({"allowedOrigins": [origin]})).await.status, 201);
    let origins = &node.assembled.origins;
    let access = || {
        origins.refresh(&node.assembled.plane.view());
        origins.access(origin, "/v1/auth/login")
    };
    assert_eq!(access(), Access::Allowed);
    assert_eq!(origins.access(origin, "/v1/admin/ping"), Access::Refused);
    node.call("PUT", "/v1/admin/tenants/acme", json!({"status": "suspended"})).await;
    assert_eq!(access(), Access::Refused);
    node.call("PUT", "/v1/admin/tenants/acme", json!({"status": "active"})).await;
    assert_eq!(access(), Access::Allowed);
}

/// spec §5: an origin stays allowed as long as any client in service names it.
#[tokio::test]
async fn an_origin_of_two_clients_goes_with_the_last_of_them() {
    let node = node().await;
    let (first, second) = ("https://app.acme.example", "https://other.acme.example");
    let other = "/v1/admin/tenants/acme/clients/other";
    let origins = &node.assembled.origins;
    let access = |origin: &str| {
        origins.refresh(&node.assembled.plane.view());
        origins.access(origin, "/v1/auth/login")
    };
    for (path, body) in
        [(WEB, json!({"allowedOrigins": [first]})), (other, json!({"allowedOrigins": [first, second]}))]
    {
        assert_eq!(node.call("PUT", path, body).await.status, 201);
    }
    assert_eq!((access(first), access(second)), (Access::Allowed, Access::Allowed));
    assert_eq!(
        node.call("PUT", other, json!({"allowedOrigins": [second], "enabled": false})).await.status,
        200
    );
    assert_eq!((access(first), access(second)), (Access::Allowed, Access::Refused));
    assert_eq!(node.call("PUT", other, json!({"enabled": true})).await.status, 200);
    assert_eq!(access(second), Access::Allowed);
    for path in [WEB, other] {
        assert_eq!(node.call("DELETE", path, Value::Null).await.status, 204);
    }
    assert_eq!((access(first), access(second)), (Access::Refused, Access::Refused));
}

#[tokio::test]
async fn bad_client_ids_and_bodies_are_refused_by_name() {
    let node = node().await;
    let bad = node.call("PUT", "/v1/admin/tenants/acme/clients/a%20b", json!({})).await;
    assert_eq!((bad.status, bad.code().as_str()), (400, "invalid_client_id"));
    for (body, field) in [
        (json!({"client_id": "other"}), "client_id"),
        (json!({"redirectUri": "https://a"}), "redirectUri"),
        (json!({"redirect_uris": ["javascript:alert(1)"]}), "redirect_uris[0]"),
        (json!({"scopes": ["nope"]}), "scopes[0]"),
    ] {
        let answer = node.call("PUT", WEB, body.clone()).await;
        assert_eq!((answer.status, &answer.json()["errors"][0]["field"]), (422, &field.into()), "{body}");
    }
}

/// EP102, S45: taken in both spellings, shown only where they differ from the default, and to be put back as they are.
#[tokio::test]
async fn members_for_openid_connect_are_taken_and_shown() {
    let node = upgraded().await;
    let key = json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "use": "sig",
        "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let kept = json!({"kid": "a", "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let body = json!({
        "clientType": "confidential", "tokenEndpointAuthMethod": "private_key_jwt", "jwks": {"keys": [key]},
        "accessTokenSignedResponseAlg": "RS256", "responseModes": ["form_post"], "resources": ["https://api.example"],
        "backchannelLogoutUri": "https://a.example/out", "backchannelLogoutSessionRequired": true,
        "logoUri": "https://a.example/l", "clientUri": "https://a.example/c", "policyUri": "https://a.example/p",
        "tosUri": "https://a.example/t", "defaultMaxAge": 0,
    });
    let made = node.call("PUT", WEB, body).await;
    assert_eq!(made.status, 201, "{:?}", made.json());
    let shown = node.call("GET", WEB, Value::Null).await.json();
    for (member, value) in [
        ("jwks", json!({"keys": [kept]})),
        ("access_token_signed_response_alg", json!("RS256")),
        ("response_modes", json!(["form_post"])),
        ("backchannel_logout_uri", json!("https://a.example/out")),
        ("backchannel_logout_session_required", json!(true)),
        ("resources", json!(["https://api.example"])),
        ("logo_uri", json!("https://a.example/l")),
        ("client_uri", json!("https://a.example/c")),
        ("policy_uri", json!("https://a.example/p")),
        ("tos_uri", json!("https://a.example/t")),
        ("default_max_age", json!(0)),
    ] {
        assert_eq!(shown[member], value, "{member}");
    }
    let back = node.call("PUT", WEB, shown.clone()).await;
    assert_eq!((back.status, back.json()), (200, shown), "a GET can be put back");
    let plain = node.call("PUT", "/v1/admin/tenants/acme/clients/spa", json!({})).await.json();
    for member in ["jwks", "response_modes", "resources", "backchannel_logout_session_required"] {
        assert_eq!(plain.get(member), None, "{member}");
    }
}

/// S112: the field, the key and the member are named, the value is not.
#[tokio::test]
async fn a_private_key_is_refused_before_it_is_anywhere() {
    let node = upgraded().await;
    let key = json!({"kty": "OKP", "crv": "Ed25519", "d": "bm9ib2R5IGtub3dz", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
    let body = json!({"client_type": "confidential", "token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [key]}});
    let refused = node.call("PUT", WEB, body).await;
    let text = refused.json().to_string();
    assert_eq!(refused.status, 422, "{text}");
    assert_eq!(refused.json()["errors"][0]["field"], "jwks.keys[0]", "{text}");
    assert!(text.contains("d is a private member") && !text.contains("bm9ib2R5"), "{text}");
    assert_eq!(node.call("GET", WEB, Value::Null).await.status, 404);
}
