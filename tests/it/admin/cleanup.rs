//! What deletions leave in the user database (spec §13.12).

use futures::future::{BoxFuture, FutureExt as _};
use hellojohn::service::control::{Cleanup, TokenRevoker};
use hellojohn::service::{Error, Result};
use hellojohn::store::pg::orphans::Live;
use hellojohn_control::documents::{ClientPatch, Tenant};
use hellojohn_control::{ClientId, Slug, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::node::{TestNode, write_context};
use crate::harness::postgres::TestDb;

const ACME: &str = "/v1/admin/tenants/acme";

/// A database that is away.
#[derive(Debug)]
struct Away;

impl TokenRevoker for Away {
    fn revoke_client<'a>(&'a self, _: &'a Tenant, _: Uuid, _: Timestamp) -> BoxFuture<'a, Result<()>> {
        std::future::ready(Err(Error::storage_unavailable("planted"))).boxed()
    }
    fn revoke_tenant<'a>(&'a self, _: &'a Tenant, _: bool, _: Timestamp) -> BoxFuture<'a, Result<()>> {
        std::future::ready(Err(Error::storage_unavailable("planted"))).boxed()
    }
}

async fn node(db: &TestDb) -> TestNode {
    let node = TestNode::with(&[("STORAGE_DSN", &db.dsn()), ("REGISTER_AUTO_LOGIN", "1")]).await;
    node.call("PUT", ACME, json!({})).await;
    node
}

/// Makes the client and a session of somebody there.
async fn session(node: &TestNode, client: &str) {
    let made = node.call("PUT", &format!("{ACME}/clients/{client}"), json!({"scopes": ["openid"]})).await;
    assert_eq!(made.status, 201, "{:?}", made.json());
    let person = json!({"tenant_id": "acme", "client_id": client, "email": format!("{client}@acme.example"),
        "password": "correct horse battery"});
    let registered = node.call("POST", "/v1/auth/register", person).await;
    assert_eq!(registered.status, 201, "{:?}", registered.json());
    assert!(registered.json()["refresh_token"].is_string(), "{:?}", registered.json());
}

async fn live(db: &TestDb) -> usize {
    db.database().live_clients(Live::Families, None, 1000).await.unwrap().len()
}

#[tokio::test]
async fn a_deletion_answers_after_the_rows_are_revoked() {
    let db = TestDb::new().await;
    let node = node(&db).await;
    for client in ["web", "app", "cli"] {
        session(&node, client).await;
    }
    assert_eq!(live(&db).await, 3);
    assert_eq!(node.call("POST", &format!("{ACME}/clients/cli/revoke"), Value::Null).await.status, 204);
    assert_eq!(live(&db).await, 2);
    assert_eq!(node.call("DELETE", &format!("{ACME}/clients/web"), Value::Null).await.status, 204);
    assert_eq!(live(&db).await, 1);
    assert_eq!(node.call("DELETE", ACME, Value::Null).await.status, 204);
    assert_eq!(live(&db).await, 0);
}

/// The job repeats what a deletion could not do, touches nothing that lives, and may run again.
#[tokio::test]
async fn the_job_revokes_what_a_deletion_had_to_leave_and_nothing_else() {
    let db = TestDb::new().await;
    let node = node(&db).await;
    for client in ["web", "app"] {
        session(&node, client).await;
    }
    let (control, stores) = (&node.assembled.state.control, &node.assembled.state.stores);
    let (acme, web) = (Slug::parse("acme").unwrap(), ClientId::parse("web").unwrap());
    let deleted = control.delete_client(&write_context(), &acme, &web, &Away).await.unwrap();
    assert_eq!(deleted.cleanup, Cleanup::Pending);
    assert_eq!(live(&db).await, 2);
    for _ in 0..2 {
        control.revoke_orphans(stores).await.unwrap();
        assert_eq!(live(&db).await, 1, "the other client is left alone");
    }
    let off: ClientPatch = serde_json::from_value(json!({"enabled": false})).unwrap();
    let app = ClientId::parse("app").unwrap();
    control.put_client(&write_context(), &acme, &app, off, &Away).await.unwrap();
    assert_eq!(live(&db).await, 1);
    control.revoke_orphans(stores).await.unwrap();
    assert_eq!(live(&db).await, 0, "a client that is switched off has no sessions");
    session(&node, "api").await;
    let off = serde_json::from_value(json!({"status": "suspended"})).unwrap();
    control.put_tenant(&write_context(), &acme, off, &Away).await.unwrap();
    assert_eq!(live(&db).await, 1);
    control.revoke_orphans(stores).await.unwrap();
    assert_eq!(live(&db).await, 0, "a tenant that is suspended has no sessions");
    let on = serde_json::from_value(json!({"status": "active"})).unwrap();
    control.put_tenant(&write_context(), &acme, on, &Away).await.unwrap();
    session(&node, "new").await;
    let deleted = control.delete_tenant(&write_context(), &acme, &Away).await.unwrap();
    assert_eq!(deleted.cleanup, Cleanup::Pending);
    control.revoke_orphans(stores).await.unwrap();
    assert_eq!(live(&db).await, 0);
}
