//! What is over is removed: by every node, by one at a time, and whatever happens to it (spec §13.11, §10; docs/operations.md).

use std::time::{Duration, Instant};

use hellojohn::domain::clock::Clock as _;
use hellojohn::store::Database;
use hellojohn::store::pg::jobs::Turn;
use hellojohn::store::pg::maintenance::Sweep;
use serde_json::json;
use sqlx::Connection as _;

use super::world::{Choice, World};
use crate::harness::node::until;
use crate::harness::postgres::TestDb;
use crate::harness::sweeps::make_due;

const DENIALS: &str = "SELECT count(*) FROM denied_jti";

/// Denied tokens, some of them over.
async fn plant(db: &TestDb, over: i32, live: i32) {
    let mut connection = db.connection().await;
    sqlx::query(
        "INSERT INTO denied_jti SELECT 'acme', 'over-' || n, '-infinity'::timestamptz FROM generate_series(1, $1) n \
         UNION ALL SELECT 'acme', 'live-' || n, 'infinity' FROM generate_series(1, $2) n",
    )
    .bind(over)
    .bind(live)
    .execute(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
}

async fn denials(db: &TestDb) -> i64 {
    let mut connection = db.connection().await;
    sqlx::query_scalar(DENIALS).fetch_one(&mut connection).await.unwrap()
}

async fn of_denials(database: &Database) -> Option<Sweep> {
    database.due_sweeps(None).await.unwrap().into_iter().find(|sweep| sweep.kind == "denials")
}

/// Two nodes look at the same moment, again and again: one of them does the portion, and the other one has nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_at_once_do_a_portion_once() {
    let world = World::new().await;
    let (twin, _) = world.twin(&Choice::default());
    let (one, other) = (world.state.stores.pools().global().unwrap(), twin.stores.pools().global().unwrap());
    let sweep = of_denials(one).await.unwrap();
    for _ in 0..20 {
        plant(&world.db, 10, 0).await;
        make_due(&world.db).await;
        let now = world.clock.now();
        let (first, second) = futures::join!(one.sweep(&sweep, now), other.sweep(&sweep, now));
        let (first, second) = (first.unwrap(), second.unwrap());
        let done = Turn::Done { rows: 10, more: false };
        assert!(
            (first, second) == (done, Turn::NotOurs) || (first, second) == (Turn::NotOurs, done),
            "{first:?} {second:?}"
        );
    }
    // Neither is at it again before it is due.
    plant(&world.db, 10, 0).await;
    for state in [&world.state, &twin] {
        state.control.sweep_global(&state.stores).await.unwrap();
        assert!(of_denials(one).await.is_none());
    }
    assert_eq!(world.count(DENIALS).await, 10);
    world.end().await;
}

/// A full portion leaves more to do: one run goes on with it, and leaves alone what is not over.
#[tokio::test]
async fn a_run_goes_on_until_nothing_is_left() {
    let world = World::new().await;
    plant(&world.db, 2500, 3).await;
    let global = world.state.stores.pools().global().unwrap();
    let sweep = of_denials(global).await.unwrap();
    let turn = global.sweep(&sweep, world.clock.now()).await.unwrap();
    assert_eq!(turn, Turn::Done { rows: 1000, more: true });
    assert!(of_denials(global).await.is_some(), "due again at once");
    world.state.control.sweep_global(&world.state.stores).await.unwrap();
    assert_eq!(world.count(DENIALS).await, 3);
    world.end().await;
}

/// A node whose connection dies in the middle of a portion has done nothing, and the next one goes on at once: the lock is the
/// connection's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_a_run_dies_the_next_node_takes_over_at_once() {
    let world = World::new().await;
    let (twin, _) = world.twin(&Choice::default());
    plant(&world.db, 10, 0).await;
    let one = world.state.stores.pools().global().unwrap().clone();
    let other = twin.stores.pools().global().unwrap();
    let sweep = of_denials(&one).await.unwrap();

    // Held up where it has its turn and not yet its rows.
    let mut blocker = world.db.connection().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE denied_jti IN SHARE MODE").execute(&mut blocker).await.unwrap();
    let now = world.clock.now();
    let run = tokio::spawn(async move { one.sweep(&sweep, now).await });
    let held_up = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
        AND wait_event_type = 'Lock' AND query LIKE 'DELETE FROM denied_jti%'";
    until("the run to be held up", || async { world.count(held_up).await == 1 }).await;
    assert_eq!(other.sweep(&sweep, now).await.unwrap(), Turn::NotOurs, "it is somebody's");

    world
        .sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
             AND wait_event_type = 'Lock' AND query LIKE 'DELETE FROM denied_jti%'",
        )
        .await;
    assert!(run.await.unwrap().is_err());
    sqlx::raw_sql("ROLLBACK").execute(&mut blocker).await.unwrap();
    assert_eq!(world.count(DENIALS).await, 10);
    assert_eq!(other.sweep(&sweep, now).await.unwrap(), Turn::Done { rows: 10, more: false });
    world.end().await;
}

/// Rows that somebody works on are left for the next time, and nobody is waited for.
#[tokio::test]
async fn rows_that_somebody_holds_are_skipped() {
    let world = World::new().await;
    plant(&world.db, 10, 0).await;
    let mut holder = world.db.connection().await;
    sqlx::raw_sql("BEGIN; SELECT 1 FROM denied_jti WHERE jti = 'over-4' FOR UPDATE")
        .execute(&mut holder)
        .await
        .unwrap();
    let global = world.state.stores.pools().global().unwrap();
    let sweep = of_denials(global).await.unwrap();
    let began = Instant::now();
    let turn = global.sweep(&sweep, world.clock.now()).await.unwrap();
    assert_eq!(turn, Turn::Done { rows: 9, more: false });
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    make_due(&world.db).await;
    world.state.control.sweep_global(&world.state.stores).await.unwrap();
    assert_eq!(world.count(DENIALS).await, 0);
    world.end().await;
}

/// spec §1 (promise 3): without a leader the user plane goes on, and so does what keeps it small. A node that does not lead
/// sweeps the databases of tenants to which it is connected, and opens no other one for it.
#[tokio::test]
async fn sweeps_go_on_without_a_leader() {
    let world = World::new().await;
    let (used, unused) = (TestDb::new().await, TestDb::new().await);
    for (tenant, db) in [("used", &used), ("unused", &unused)] {
        world.put_tenant(tenant, json!({"settings": {"userStore": {"dsn": db.dsn()}}})).await;
        world.put_client(tenant, "web", json!({})).await;
    }
    world.session("used", "ann@example.com").await;
    for db in [&world.db, &used, &unused] {
        plant(db, 10, 3).await;
    }
    world.lose_the_leader().await;
    let (control, stores) = (&world.state.control, &world.state.stores);
    control.sweep_global(stores).await.unwrap();
    control.sweep_tenants(stores).await.unwrap();
    let left = [denials(&world.db).await, denials(&used).await, denials(&unused).await];
    assert_eq!((left, stores.pools().tenant_count()), ([3, 3, 13], 1));
    world.end().await;
}

/// Spec §13.11: the sealed successor of a refresh token goes soon in the database of a tenant, too, on any node that used it.
#[tokio::test]
async fn overlaps_in_databases_of_tenants_are_cleared_soon() {
    let world = World::new().await;
    let own = TestDb::new().await;
    world.put_tenant("own", json!({"settings": {"userStore": {"dsn": own.dsn()}}})).await;
    world.put_client("own", "web", json!({})).await;
    world.lose_the_leader().await;
    let ann = world.session("own", "ann@example.com").await;
    assert_eq!(world.refresh(&ann.refresh).await.status, 200);
    let kept = async || -> i64 {
        let look = "SELECT count(*) FROM refresh_tokens WHERE successor_sealed IS NOT NULL";
        sqlx::query_scalar(look).fetch_one(&mut own.connection().await).await.unwrap()
    };
    assert_eq!(kept().await, 1);
    world.clock.advance(Duration::from_secs(10));
    let (control, stores) = (&world.state.control, &world.state.stores);
    control.sweep_global(stores).await.unwrap();
    assert_eq!(kept().await, 1);
    control.sweep_used(stores).await.unwrap();
    assert_eq!(kept().await, 0);
    world.end().await;
}

/// The node that leads opens what nobody uses, and a database that is dead holds up no other one.
#[tokio::test]
async fn the_leader_sweeps_all_databases_of_tenants_that_live() {
    let world = World::new().await;
    let own = TestDb::new().await;
    let dead = "postgres://app:x@127.0.0.1:1/app?sslmode=disable";
    for (tenant, dsn) in [("a-dead", dead.to_owned()), ("own", own.dsn()), ("z-dead", dead.to_owned())] {
        world.put_tenant(tenant, json!({"settings": {"userStore": {"dsn": dsn}}})).await;
    }
    plant(&own, 10, 3).await;
    let (control, stores) = (&world.state.control, &world.state.stores);
    assert!(control.sweep_tenants(stores).await.is_err());
    assert_eq!(denials(&own).await, 3);
    assert!(control.revoke_orphans(stores).await.is_err());
    world.end().await;
}

/// One statement that the database refuses costs the others nothing, and is tried again.
#[tokio::test]
async fn a_sweep_that_fails_keeps_no_other_from_running() {
    let world = World::new().await;
    plant(&world.db, 10, 0).await;
    world.sql("ALTER TABLE refresh_tokens RENAME COLUMN overlap_until TO hidden").await;
    world.sql("ALTER TABLE known_devices RENAME COLUMN expires_at TO hidden").await;
    let (control, stores) = (&world.state.control, &world.state.stores);
    control.sweep_global(stores).await.unwrap_err();
    assert_eq!(world.count(DENIALS).await, 0);
    let due = async || {
        let due = stores.pools().global().unwrap().due_sweeps(None).await.unwrap();
        due.iter().map(|sweep| sweep.kind).collect::<Vec<_>>()
    };
    assert_eq!(due().await, ["overlaps", "known_devices"]);
    world.sql("ALTER TABLE refresh_tokens RENAME COLUMN hidden TO overlap_until").await;
    world.sql("ALTER TABLE known_devices RENAME COLUMN hidden TO expires_at").await;
    control.sweep_global(stores).await.unwrap();
    assert!(due().await.is_empty());
    world.end().await;
}

/// The database's clock says when a job is due. One that was set back does not put it off until it has caught up.
#[tokio::test]
async fn a_clock_that_was_set_back_puts_nothing_off() {
    let world = World::new().await;
    let global = world.state.stores.pools().global().unwrap();
    world.state.control.sweep_global(&world.state.stores).await.unwrap();
    assert!(global.due_sweeps(None).await.unwrap().is_empty());
    world.sql("UPDATE jobs SET next_at = clock_timestamp() + interval '50 minutes'").await;
    assert!(global.due_sweeps(None).await.unwrap().is_empty());
    world.sql("UPDATE jobs SET next_at = clock_timestamp() + interval '2 hours'").await;
    let sweep = of_denials(global).await.unwrap();
    assert!(matches!(global.sweep(&sweep, world.clock.now()).await.unwrap(), Turn::Done { .. }));
    assert!(of_denials(global).await.is_none());
    world.end().await;
}
