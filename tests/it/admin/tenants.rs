//! Tenants and scopes (EP100, EP101, EP105, EP106).

use serde_json::{Value, json};

use crate::harness::node::TestNode;

const ACME: &str = "/v1/admin/tenants/acme";

/// EP100, spec §3.3, §13.10
#[tokio::test]
async fn a_tenant_is_created_read_changed_and_deleted_with_its_marks() {
    let node = TestNode::new().await;
    let made = node.call("PUT", ACME, json!({"name": "Acme"})).await;
    assert_eq!((made.status, made.marks().0), (201, "\"1\""));
    assert_eq!(made.json()["status"], "active");
    let read = node.call("GET", ACME, Value::Null).await;
    assert_eq!((read.status, read.marks().0, read.json()), (200, "\"1\"", made.json()));
    assert!(read.marks().1 >= made.marks().1);

    let changed = node.call("PUT", ACME, json!({"status": "suspended"})).await;
    assert_eq!((changed.status, changed.marks().0), (200, "\"2\""));
    assert_eq!(changed.json()["name"], "Acme", "members that are not named stay");
    let reset = node.call("PUT", ACME, json!({"name": null})).await;
    assert_eq!(reset.json()["name"], "acme", "null gives the default");

    let gone = node.call("DELETE", ACME, Value::Null).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    assert!(gone.header("x-applied-index").parse::<u64>().unwrap() > reset.marks().1);
    assert_eq!(node.call("GET", ACME, Value::Null).await.code(), "tenant_not_found");
    assert_eq!(node.call("DELETE", ACME, Value::Null).await.status, 404);
    let again = node.call("PUT", ACME, json!({})).await;
    assert_ne!(again.marks().0, "\"1\"", "a revision is never used twice for a name");
}

/// spec §13.10: what a GET shows can be sent back. S111: it shows no secret, sealed or not.
#[tokio::test]
async fn what_a_get_answers_can_be_put_back_and_holds_no_secret() {
    let node = TestNode::new().await;
    let body = json!({"settings": {
        "userStore": {"dsn": "postgres://app:hunter2@db.internal/acme"},
        "smtp": {"host": "mail.internal", "from": "a@acme.example", "password": "hunter2"},
        "socialProviders": {"google": {"kind": "google", "clientId": "g", "clientSecret": "hunter2"}},
        "tokens": {"accessTtlSeconds": 60},
    }});
    let made = node.call("PUT", ACME, body).await;
    assert_eq!(made.status, 201, "{:?}", made.json());
    let read = node.call("GET", ACME, Value::Null).await;
    let settings = &read.json()["settings"];
    assert_eq!(settings["userStore"], json!({"dsnSet": true}));
    assert_eq!(settings["smtp"]["passwordSet"], true);
    assert_eq!(settings["socialProviders"]["google"]["clientSecretSet"], true);
    for answer in [&made, &read] {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(
            !text.contains("hunter2") && !text.contains("GCMV1") && !text.contains("db.internal"),
            "{text}"
        );
    }
    let back = node.call("PUT", ACME, read.json()).await;
    assert_eq!((back.status, back.marks().0), (200, "\"1\""), "nothing changed: {:?}", back.json());
    assert_eq!(back.json(), read.json());
}

/// spec §3.3
#[tokio::test]
async fn preconditions_are_checked_when_the_write_is_applied() {
    let node = TestNode::new().await;
    let only_new = [("if-none-match", "*")];
    assert_eq!(node.call_with("PUT", ACME, &only_new, json!({})).await.status, 201);
    let refused = node.call_with("PUT", ACME, &only_new, json!({})).await;
    assert_eq!((refused.status, refused.code().as_str()), (412, "precondition_failed"));
    assert_eq!(refused.json()["current_revision"], 1);
    let matching = |tag: &'static str| [("if-match", tag)];
    assert_eq!(node.call_with("PUT", ACME, &matching("\"7\""), json!({"name": "x"})).await.status, 412);
    assert_eq!(node.call_with("DELETE", ACME, &matching("\"7\""), Value::Null).await.status, 412);
    assert_eq!(node.call_with("PUT", ACME, &matching("7"), json!({})).await.code(), "invalid_header");
    assert_eq!(node.call_with("PUT", ACME, &matching("\"1\""), json!({"name": "x"})).await.status, 200);
    assert_eq!(node.call_with("DELETE", ACME, &matching("*"), Value::Null).await.status, 204);
}

/// spec §5, §13.10, S105
#[tokio::test]
async fn bad_names_and_bodies_are_refused_before_anything_happens() {
    let node = TestNode::new().await;
    for slug in ["Acme", "..%2fetc", "a%00b", "-a", ".well-known", &"a".repeat(64)] {
        let answer = node.call("PUT", &format!("/v1/admin/tenants/{slug}"), json!({})).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "invalid_slug"), "{slug}");
    }
    for (body, field) in [
        (json!({"slug": "other"}), "slug"),
        (json!({"plan": "gold"}), "plan"),
        (json!({"settings": {"issuerMode": "host"}}), "settings.issuerMode"),
        (json!({"settings": {"userStore": {"dsn": "mysql://h/d"}}}), "settings.userStore.dsn"),
        (json!({"name": ""}), "name"),
    ] {
        let answer = node.call("PUT", ACME, body.clone()).await;
        assert_eq!((answer.status, answer.code().as_str()), (422, "validation_failed"), "{body}");
        assert_eq!(answer.json()["errors"][0]["field"], field, "{body}");
    }
    assert_eq!(node.call("PUT", ACME, json!([1])).await.status, 422);
    assert_eq!(node.call("GET", "/v1/admin/tenants", Value::Null).await.json()["items"], json!([]));
}

/// spec §6: the tenant of the administrators cannot be taken from under them, whoever asks.
#[tokio::test]
async fn the_tenant_of_administrators_is_neither_suspended_nor_deleted_nor_given_an_issuer() {
    let node = TestNode::new().await;
    let local = "/v1/admin/tenants/local";
    assert_eq!(node.call("PUT", local, json!({})).await.status, 201);
    for body in [json!({"status": "suspended"}), json!({"settings": {"issuerMode": "path"}})] {
        let answer = node.call("PUT", local, body.clone()).await;
        assert_eq!(
            (answer.status, &answer.json()["errors"][0]["code"]),
            (422, &"admin_tenant".into()),
            "{body}"
        );
    }
    let gone = node.call("DELETE", local, Value::Null).await;
    assert_eq!((gone.status, &gone.json()["errors"][0]["code"]), (422, &"admin_tenant".into()));
    assert_eq!(node.call("GET", local, Value::Null).await.json()["status"], "active");
}

/// S37: no tenant speaks for the installation or for another tenant.
#[tokio::test]
async fn an_issuer_that_is_given_out_cannot_be_taken() {
    let node = TestNode::new().await;
    for taken in ["https://id.test", "https://ID.test:443", "https://id.test/t/other"] {
        let body = json!({"settings": {"issuerMode": "path", "issuerOverride": taken}});
        let answer = node.call("PUT", ACME, body).await;
        assert_eq!(answer.json()["errors"][0]["code"], "reserved_issuer", "{taken}");
    }
    let body = json!({"settings": {"issuerMode": "path", "issuerOverride": "https://login.acme.example"}});
    assert_eq!(node.call("PUT", ACME, body).await.status, 201);
}

/// EP101
#[tokio::test]
async fn tenants_are_listed_page_by_page_in_the_order_of_their_slugs() {
    let node = TestNode::new().await;
    for slug in ["c", "a", "b"] {
        assert_eq!(node.call("PUT", &format!("/v1/admin/tenants/{slug}"), json!({})).await.status, 201);
    }
    let first = node.call("GET", "/v1/admin/tenants?limit=2", Value::Null).await.json();
    let slugs = |page: &Value| -> Vec<String> {
        page["items"].as_array().unwrap().iter().map(|t| t["slug"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(slugs(&first), ["a", "b"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let path = format!("/v1/admin/tenants?limit=2&cursor={cursor}");
    let second = node.call("GET", &path, Value::Null).await.json();
    assert_eq!((slugs(&second), &second["next_cursor"]), (vec!["c".to_owned()], &Value::Null));
    // S106: the key inside is parsed like any slug.
    let forged = node.call("GET", "/v1/admin/tenants?cursor=Li4vLi4", Value::Null).await;
    assert_eq!((forged.status, forged.code().as_str()), (400, "invalid_parameter"));
}

/// EP105, EP106
#[tokio::test]
async fn scopes_are_replaced_merged_sorted_and_kept_while_in_use() {
    let node = TestNode::new().await;
    node.call("PUT", ACME, json!({})).await;
    let scopes = format!("{ACME}/scopes");
    let standard = node.call("GET", &scopes, Value::Null).await;
    assert_eq!((standard.status, standard.marks().0), (200, "\"1\""));
    let back = node.call("PUT", &scopes, standard.json()).await;
    assert_eq!((back.status, back.marks().0, back.json()), (200, "\"1\"", standard.json()));

    let merged =
        node.call("PUT", &format!("{scopes}?mode=merge"), json!({"scopes": [{"name": "billing"}]})).await;
    let names = |answer: &crate::harness::node::Answer| -> Vec<String> {
        let json = answer.json();
        json["scopes"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(merged.marks().0, "\"2\"");
    let mut sorted = names(&merged);
    sorted.sort();
    assert!(names(&merged) == sorted && sorted.contains(&"billing".to_owned()));

    let client = json!({"scopes": ["billing"]});
    assert_eq!(node.call("PUT", &format!("{ACME}/clients/web"), client).await.status, 201);
    let refused = node.call("PUT", &scopes, json!({"scopes": [{"name": "openid"}]})).await;
    assert_eq!((refused.status, refused.code().as_str()), (409, "scope_in_use"));
    assert_eq!(node.call("PUT", &format!("{scopes}?mode=add"), json!({"scopes": []})).await.status, 400);
}
