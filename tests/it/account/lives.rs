//! A slug that is deleted and made again: who comes then finds nobody there (spec §4, §13.12; S37, S103).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hellojohn::domain::email::Email;
use hellojohn::domain::role::{Permission, Role};
use hellojohn::domain::user::{User, UserId};
use hellojohn::store::pg::import::Arrival;
use hellojohn::store::{Database, Error, Life, Reason};
use hellojohn_control::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::mail::Mailing;
use super::world::{Choice, PASSWORD, World, context, slug};
use crate::harness::node::until;
use crate::harness::postgres::TestDb;

/// Tables with a column `tenant` whose rows outlive the tenant, on purpose.
const KEPT: [&str; 2] = ["audit_events", "tenant_lives"];
/// Tables with a column `tenant` that are emptied by name; all others hang on one of them.
const ROOTS: [&str; 4] = ["client_assertions", "denied_jti", "role_permissions", "users"];

const PEOPLE: &str = "SELECT count(*) FROM users WHERE tenant = 'acme'";

impl World {
    async fn delete_acme(&self) {
        let (control, stores) = (&self.state.control, &self.state.stores);
        control.delete_tenant(&context(), &slug("acme"), stores).await.unwrap();
    }

    /// Deletes the tenant and makes it again, with its client.
    async fn remake_acme(&self) {
        self.delete_acme().await;
        self.clock.advance(Duration::from_secs(1));
        self.put_tenant("acme", json!({})).await;
        self.put_client("acme", "web", json!({"scopes": ["openid", "profile", "email"]})).await;
    }

    async fn refused_login(&self, email: &str) -> (u16, String) {
        self.try_login("acme", email, PASSWORD).await.refusal()
    }
}

async fn tables(world: &World) -> BTreeSet<String> {
    let mut connection = world.db.connection().await;
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT table_name::text FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    names.into_iter().collect()
}

/// How many rows of `acme` each table has.
async fn rows(world: &World) -> BTreeMap<String, i64> {
    let mut connection = world.db.connection().await;
    let mut rows = BTreeMap::new();
    for table in tables(world).await {
        let count = format!("SELECT count(*) FROM {table} WHERE tenant = 'acme'");
        let count = sqlx::query_scalar(sqlx::AssertSqlSafe(count)).fetch_one(&mut connection).await.unwrap();
        rows.insert(table, count);
    }
    rows
}

/// Everything that a tenant's people leave is gone at the first use by its next life: every table, found in the catalogue.
#[tokio::test]
async fn a_tenant_that_is_made_again_inherits_nobody() {
    let world = World::new().await;
    let admin = world.admin().await;
    let ann = world.session("acme", "ann@example.com").await;
    world.register("acme", "ben@example.com").await;
    world.session("local", "ann@example.com").await;
    world.refresh(&ann.refresh).await;
    let (id, local) = (ann.claims().sub, "SELECT count(*) FROM users WHERE tenant = 'local'");
    let roles = format!("/v1/admin/rbac/users/{id}/roles?tenant_id=acme");
    assert_eq!(world.ask("POST", &roles, &admin, json!({"add": ["editor"]})).await.status, 200);
    let perms = "/v1/admin/rbac/roles/editor/perms?tenant_id=acme";
    assert_eq!(world.ask("POST", perms, &admin, json!({"add": ["posts:write"]})).await.status, 200);
    world.sql("INSERT INTO denied_jti VALUES ('acme', 'j-1', 'infinity')").await;
    let before = rows(&world).await;
    for table in ["users", "token_families", "refresh_tokens", "user_roles", "role_permissions", "denied_jti"]
    {
        assert!(before[table] > 0, "{table}: {before:?}");
    }

    world.remake_acme().await;
    assert_eq!(world.refused_login("ann@example.com").await, (401, "invalid_credentials".to_owned()));
    let left: Vec<_> = rows(&world).await.into_iter().filter(|(_, count)| *count > 0).collect();
    assert!(left.iter().all(|(table, _)| KEPT.contains(&table.as_str())), "{left:?}");
    assert_eq!(world.count(local).await, 2, "nobody else's");
    assert_eq!(world.get("/v1/me", &ann.access).await.status, 401);
    assert_eq!(world.refresh(&ann.refresh).await.status, 401);

    let anew = world.session("acme", "ann@example.com").await;
    assert_ne!(anew.claims().sub, id);
    assert_eq!(world.ask("GET", perms, &admin, json!({})).await.json(), json!({"permissions": []}));
    assert_eq!(world.get("/v1/me", &anew.access).await.status, 200);
    // Looked at again, by a node that remembers nothing: it is the life of these people.
    let (_, router) = world.twin(&Choice::default());
    let me = super::world::call("GET", "/v1/me", Some(&anew.access), "");
    assert_eq!(super::world::send(&router, me).await.status, 200);
    world.end().await;
}

/// A table that is added later is emptied too, or this test says so: it hangs on an account by a chain of cascades.
#[tokio::test]
async fn every_table_of_a_tenant_is_emptied_by_name_or_hangs_on_one_that_is() {
    let world = World::new().await;
    let mut connection = world.db.connection().await;
    let cascades: Vec<(String, String)> = sqlx::query_as(
        "SELECT conrelid::regclass::text, confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND confdeltype = 'c'",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut emptied: BTreeSet<String> = ROOTS.map(str::to_owned).into();
    while let Some((table, _)) =
        cascades.iter().find(|(table, on)| emptied.contains(on) && !emptied.contains(table))
    {
        emptied.insert(table.clone());
    }
    let all = tables(&world).await;
    let left: Vec<_> =
        all.iter().filter(|table| !emptied.contains(*table) && !KEPT.contains(&table.as_str())).collect();
    assert!(left.is_empty(), "{left:?} would keep rows of a deleted tenant");
    assert!(all.len() >= 15, "{all:?}");
    world.end().await;
}

/// Many first uses at once, at two nodes: each is answered, and the old people are gone for all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_uses_at_the_same_time_remove_the_old_people_once() {
    let world = World::new().await;
    for n in 0..30 {
        world.register("acme", &format!("old{n}@example.com")).await;
    }
    let (_, twin) = world.twin(&Choice::default());
    world.remake_acme().await;
    let registrations = (0..20).map(|n| {
        let router = if n % 2 == 0 { &world.router } else { &twin };
        let body = json!({"tenant_id": "acme", "client_id": "web", "email": format!("old{n}@example.com"), "password": PASSWORD});
        let request = super::world::call("POST", "/v1/auth/register", None, &body.to_string());
        async move { super::world::send(router, request).await }
    });
    for answer in futures::future::join_all(registrations).await {
        assert_eq!(answer.status, 201, "{}", answer.text());
    }
    assert_eq!(world.count(PEOPLE).await, 20);
    world.end().await;
}

/// A database that was there before lives were noted: the first use notes the present one and removes nobody. So does one after
/// its row was taken away by hand, also on a node that had seen it.
#[tokio::test]
async fn people_of_before_lives_were_noted_stay() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    let noted = "SELECT count(*) FROM tenant_lives WHERE tenant = 'acme'";
    assert_eq!(world.sql("DELETE FROM tenant_lives").await, 1);
    let (_, router) = world.twin(&Choice::default());
    let body =
        json!({"tenant_id": "acme", "client_id": "web", "email": "ann@example.com", "password": PASSWORD});
    let login = || super::world::call("POST", "/v1/auth/login", None, &body.to_string());
    assert_eq!(super::world::send(&router, login()).await.status, 200);
    assert_eq!((world.count(noted).await, world.count(PEOPLE).await), (1, 1));

    world.sql("DELETE FROM tenant_lives").await;
    let body =
        json!({"tenant_id": "acme", "client_id": "web", "email": "ben@example.com", "password": PASSWORD});
    let refused = world.post("/v1/auth/register", &body).await;
    assert_eq!(refused.refusal(), (503, "storage_unavailable".to_owned()));
    assert!(refused.header("retry-after").is_some());
    world.register("acme", "ben@example.com").await;
    assert_eq!((world.count(noted).await, world.count(PEOPLE).await), (1, 2));
    world.end().await;
}

/// A tenant that nobody used since lives are noted: its deletion notes the life that ends.
#[tokio::test]
async fn the_deletion_itself_notes_whose_rows_they_are() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    world.sql("DELETE FROM tenant_lives").await;
    world.remake_acme().await;
    assert_eq!(world.refused_login("ann@example.com").await.0, 401);
    assert_eq!(world.count(PEOPLE).await, 0);
    world.end().await;
}

/// A control plane that was made anew over an old database knows of no deletion: it lets nobody in and removes nothing, until
/// somebody has decided. One that was restored from a snapshot has the same tenants, and goes on.
#[tokio::test]
async fn another_cluster_removes_nobody_and_one_that_was_restored_goes_on() {
    let world = World::new().await;
    world.register("acme", "ann@example.com").await;
    let login = async || {
        let (_, router) = world.twin(&Choice::default());
        let body = json!({"tenant_id": "acme", "client_id": "web", "email": "ann@example.com", "password": PASSWORD});
        let request = super::world::call("POST", "/v1/auth/login", None, &body.to_string());
        super::world::send(&router, request).await.status.as_u16()
    };
    world.sql("UPDATE tenant_lives SET cluster_id = gen_random_uuid(), revision = 0").await;
    assert_eq!(login().await, 200);
    assert_eq!(world.count("SELECT count(*) FROM tenant_lives WHERE revision > 0").await, 1, "adopted");
    world
        .sql(
            "UPDATE tenant_lives SET cluster_id = gen_random_uuid(), revision = 0, created_at = '2020-01-01'",
        )
        .await;
    assert_eq!((login().await, world.count(PEOPLE).await), (503, 1));
    // The remedy of docs/operations.md for people who are wanted.
    world.sql("DELETE FROM tenant_lives WHERE tenant = 'acme'").await;
    assert_eq!((login().await, world.count(PEOPLE).await), (200, 1));
    world.end().await;
}

/// What waits in the outbox for people of the old life is not mailed in the name of the new one.
#[tokio::test]
async fn mails_of_the_old_life_are_not_sent() {
    let mut mailing = Mailing::new().await;
    mailing.sink.die().await;
    mailing.world.register("acme", "ann@example.com").await;
    assert_eq!(mailing.waiting().await, 1);
    mailing.world.remake_acme().await;
    mailing.sink.come_back().await;
    mailing.world.state.delivery.tend().await.unwrap();
    assert_eq!(mailing.waiting().await, 0);
    mailing.world.register("acme", "ann@example.com").await;
    mailing.delivered(1).await;
    mailing.end().await;
}

fn life(created_at: i64, revision: u64) -> Life {
    Life { created_at: Timestamp::from_secs(created_at), revision, cluster: Uuid::from_u128(7) }
}

fn user(email: &str) -> User {
    User::new(UserId(Uuid::new_v4()), Email::parse(email).unwrap(), None, Timestamp::from_secs(1))
}

fn reason<T: std::fmt::Debug>(result: Result<T, Error>) -> Reason {
    match result {
        Err(Error::Unavailable { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

async fn put(database: &Database, life: &Life, email: &str) -> Result<(), Error> {
    let mut work = database.begin_in(&slug("acme"), life).await?;
    work.users().insert(&user(email)).await?;
    work.commit().await
}

/// As the deletion of the tenant tells the database.
async fn end(database: &Database, life: &Life) {
    let mut work = database.begin(&slug("acme")).await.unwrap();
    work.lives().end(life).await.unwrap();
    work.commit().await.unwrap();
}

/// A node that has not heard of the new life goes on with the old one from memory, but makes nothing that the new one would
/// inherit; and a node that looks for the first time is refused.
#[tokio::test]
async fn a_node_that_lags_makes_nothing_in_the_new_life() {
    let db = TestDb::new().await;
    let (lagging, ahead, late) = (db.database(), db.database(), db.database());
    // The later one was made by a leader whose clock was behind.
    let (old, new) = (life(2_000, 4), life(1_000, 9));
    put(&lagging, &old, "ann@example.com").await.unwrap();
    assert_eq!(
        reason(put(&ahead, &new, "ben@example.com").await),
        Reason::OtherLife,
        "nobody deleted the old one"
    );
    end(&lagging, &old).await;
    put(&ahead, &new, "ben@example.com").await.unwrap();
    assert_eq!(reason(late.begin_in(&slug("acme"), &old).await), Reason::OtherLife);

    let role = (Role::parse("editor").unwrap(), Permission::parse("posts:write").unwrap());
    let arrival = Arrival { user: user("dan@example.com"), digest: [0; 32] };
    let now = Timestamp::from_secs(1);
    let mut insert = lagging.begin_in(&slug("acme"), &old).await.unwrap();
    let mut quietly = lagging.begin_in(&slug("acme"), &old).await.unwrap();
    let mut import = lagging.begin_in(&slug("acme"), &old).await.unwrap();
    let mut allow = lagging.begin_in(&slug("acme"), &old).await.unwrap();
    assert_eq!(reason(insert.users().insert(&user("cat@example.com")).await), Reason::OtherLife);
    assert_eq!(
        reason(quietly.users().insert_unless_taken(&user("cat@example.com")).await),
        Reason::OtherLife
    );
    assert_eq!(reason(import.imports().insert(&[&arrival], now).await), Reason::OtherLife);
    assert_eq!(reason(allow.roles().change_role(&role.0, &[role.1], &[], now).await), Reason::OtherLife);
    // Now it knows that what it remembers is old.
    assert_eq!(reason(lagging.begin_in(&slug("acme"), &old).await), Reason::OtherLife);

    let mut connection = db.connection().await;
    let people: Vec<String> =
        sqlx::query_scalar("SELECT email FROM users").fetch_all(&mut connection).await.unwrap();
    assert_eq!(people, ["ben@example.com"]);
}

/// An account that is being made in the old life while the new one begins: the new one waits for it, and removes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_made_at_the_same_moment_is_not_left_behind() {
    let db = TestDb::new().await;
    let (lagging, ahead) = (db.database(), db.database());
    let (old, new) = (life(1_000, 4), life(2_000, 9));
    put(&lagging, &old, "ann@example.com").await.unwrap();
    end(&lagging, &old).await;
    let mut making = lagging.begin_in(&slug("acme"), &old).await.unwrap();
    making.users().insert(&user("ben@example.com")).await.unwrap();
    let moving = tokio::spawn(async move { ahead.admit(&slug("acme"), &new).await });
    let mut connection = db.connection().await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("the new life to wait", async || {
        let mut connection = db.connection().await;
        sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut connection).await.unwrap() == 1
    })
    .await;
    making.commit().await.unwrap();
    moving.await.unwrap().unwrap();
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&mut connection).await.unwrap();
    assert_eq!(left, 0);
}

/// Many people are removed a portion at a time; other tenants of the database are not concerned.
#[tokio::test]
async fn many_people_are_removed_in_portions() {
    let db = TestDb::new().await;
    let database = db.database();
    let (old, new) = (life(1_000, 4), life(2_000, 9));
    database.admit(&slug("acme"), &old).await.unwrap();
    let mut connection = db.connection().await;
    sqlx::query(
        "INSERT INTO users (tenant, id, email, email_key, created_at, updated_at) \
         SELECT tenant, gen_random_uuid(), 'u' || n || '@example.com', 'u' || n || '@example.com', now(), now() \
         FROM generate_series(1, 1203) n, unnest(ARRAY['acme', 'other']) tenant",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    end(&database, &old).await;
    db.database().admit(&slug("acme"), &new).await.unwrap();
    let left: Vec<(String, i64)> = sqlx::query_as("SELECT tenant, count(*) FROM users GROUP BY tenant")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(left, [("other".to_owned(), 1203)]);
}
