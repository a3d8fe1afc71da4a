//! Which database a tenant's people are in, and EP107, EP108.

use std::time::Duration;

use hellojohn::domain::rng::OsRng;
use hellojohn::service::Code;
use hellojohn::service::break_glass::{BreakGlass, mint_break_glass};
use hellojohn_control::documents::KeySet;
use serde_json::json;

use super::import_cli::{ran, serve};
use super::world::{Answer, ISSUER, World, call, context, slug};
use crate::harness::postgres::TestDb;

async fn ask(world: &World, tenant: &str, what: &str) -> Answer {
    let wanted = BreakGlass {
        issuer: ISSUER,
        subject: "root",
        life: Duration::from_secs(60),
        now: hellojohn::domain::clock::Clock::now(&*world.clock),
    };
    let token =
        mint_break_glass(world.signing.clone(), &world.key(&KeySet::Global), &OsRng, &wanted).unwrap();
    let path = format!("/v1/admin/tenants/{tenant}/user-store/{what}");
    world.send(call("POST", &path, Some(token.expose()), "")).await
}

async fn use_database(world: &World, tenant: &str, dsn: &str) {
    world.put_tenant(tenant, json!({"settings": {"userStore": {"dsn": dsn}}})).await;
}

/// EP107, EP108: the codes, and nothing of the DSN in any text.
#[tokio::test]
async fn failures_have_their_codes_and_no_secrets() {
    let world = World::new().await;
    world.put_tenant("broken", json!({})).await;
    use_database(&world, "broken", "postgres://app:hunter2@127.0.0.1:1/customers?sslmode=disable").await;
    for what in ["test-connection", "migrate"] {
        assert_eq!(ask(&world, "nobody", what).await.refusal(), (404, "tenant_not_found".to_owned()));
        assert_eq!(ask(&world, "a..b", what).await.refusal(), (400, "invalid_slug".to_owned()));
        let answer = ask(&world, "acme", what).await;
        assert_eq!(answer.refusal(), (501, "tenant_db_missing".to_owned()));
        assert_eq!(answer.json()["appcode"], 2601);
        let answer = ask(&world, "broken", what).await;
        assert_eq!(answer.refusal(), (500, "tenant_db_error".to_owned()));
        assert_eq!(answer.json()["appcode"], 2602);
        for secret in ["hunter2", "127.0.0.1", "customers", "app:"] {
            assert!(!answer.text().contains(secret), "{}", answer.text());
        }
    }
    world.end().await;
}

/// spec §4: a tenant with its own database uses that alone; its migrations are the same.
#[tokio::test]
async fn a_tenant_with_its_own_database_uses_that_alone() {
    let world = World::new().await;
    let own = TestDb::empty().await;
    use_database(&world, "acme", &own.dsn()).await;
    let answer = ask(&world, "acme", "test-connection").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!((&answer.json()["ok"], &answer.json()["migrations"]), (&json!(true), &json!("pending")));
    let pending = answer.json()["pending"].clone();
    // Before the migration nobody can be let in, and nobody is put anywhere else.
    let body =
        json!({"tenant_id": "acme", "client_id": "web", "email": "a@b.example", "password": "long enough x"});
    assert_eq!(world.post("/v1/auth/register", &body).await.refusal().0, 503);
    assert_eq!(ask(&world, "acme", "migrate").await.json(), json!({"applied": pending}));
    assert_eq!(ask(&world, "acme", "migrate").await.json(), json!({"applied": 0}));
    assert_eq!(ask(&world, "acme", "test-connection").await.json()["migrations"], "current");
    let tokens = world.session("acme", "ann@example.com").await;
    assert_eq!(world.get("/v1/me", &tokens.access).await.status, 200);
    assert_eq!(world.refresh(&tokens.refresh).await.status, 200);
    assert_eq!(world.count("SELECT count(*) FROM users").await, 0, "none of them in the global database");
    let mut connection = own.connection().await;
    let people: i64 =
        sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&mut connection).await.unwrap();
    assert_eq!(people, 1);
    // A dead database of one tenant is no other tenant's trouble.
    use_database(&world, "acme", "postgres://app:x@127.0.0.1:1/app?sslmode=disable").await;
    assert_eq!(world.get("/v1/me", &tokens.access).await.refusal(), (503, "storage_unavailable".to_owned()));
    world.session("local", "ann@example.com").await;
    world.end().await;
}

/// spec §6: whoever runs a tenant's database could make anybody an administrator in it.
#[tokio::test]
async fn an_admin_tenant_may_not_have_its_own_database() {
    let world = World::new().await;
    let patch = json!({"settings": {"userStore": {"dsn": "postgres://app:x@db.example/app"}}});
    let patch = serde_json::from_value(patch).unwrap();
    let error = world
        .state
        .control
        .put_tenant(&context(), &slug("local"), patch, &world.state.stores)
        .await
        .unwrap_err();
    assert_eq!(error.code(), Code::ValidationFailed);
    assert!(format!("{error:?}").contains("ADMIN_TENANTS"), "{error:?}");
    let patch = serde_json::from_value(json!({"settings": {"userStore": null}})).unwrap();
    world.state.control.put_tenant(&context(), &slug("local"), patch, &world.state.stores).await.unwrap();
    world.end().await;
}

/// EP108 on the command line: all databases of tenants, whatever becomes of one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_migrates_all_databases_of_tenants() {
    let world = World::new().await;
    world.admin().await;
    let (url, _) = serve(world.router.clone(), &[]).await;
    let directory = tempfile::tempdir().unwrap();
    let migrate = async |args: &str| {
        let command = format!("hellojohn admin tenants migrate{args}");
        ran(&url, directory.path(), &command, None).await
    };
    let none = migrate("").await;
    assert_eq!((none.code, none.out.as_str()), (0, "no tenant has a database of its own\n"), "{}", none.err);

    let own = TestDb::empty().await;
    world.put_tenant("broken", json!({})).await;
    use_database(&world, "broken", "postgres://app:hunter2@127.0.0.1:1/customers?sslmode=disable").await;
    use_database(&world, "acme", &own.dsn()).await;
    let all = migrate(" --output json").await;
    assert_eq!(all.code, 1, "{}", all.err);
    let items = all.json()["items"].clone();
    assert_eq!((&items[0]["slug"], &items[1]["slug"]), (&json!("acme"), &json!("broken")));
    assert!(items[0]["applied"].as_u64() > Some(10) && items[0]["error"].is_null(), "{items}");
    assert!(items[1]["error"]["code"] == "tenant_db_error", "{items}");
    assert!(all.err.contains("1 of 2 databases") && !all.err.contains("hunter2"), "{}", all.err);
    world.register("acme", "ann@example.com").await;

    let named = migrate(" acme").await;
    assert_eq!(named.code, 0, "{}", named.err);
    assert!(named.out.contains("acme    0"), "{}", named.out);
    world.end().await;
}
