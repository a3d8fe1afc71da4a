//! Records of control-plane writes come to the database once each, whatever interrupts their copying (spec §10, S113).

use std::sync::Arc;
use std::time::Duration;

use hellojohn::service::control::AuditCopy;
use hellojohn::service::user_store::UserStores;
use hellojohn::store::{Dsn, PoolSettings, Pools};
use hellojohn_control::audit::{AUDIT_FORMAT, Head, Record, verify};
use serde_json::json;

use super::world::World;
use crate::harness::audit_rows::{chain, rows};

/// A world whose cluster keeps records.
async fn recording() -> World {
    let world = World::new().await;
    let mut views = world.plane.views();
    let raised = views.wait_for(|view| view.format() >= AUDIT_FORMAT);
    tokio::time::timeout(Duration::from_secs(20), raised).await.unwrap().unwrap();
    world
}

fn copying(world: &World) -> AuditCopy {
    AuditCopy::new(world.plane.clone(), world.state.stores.clone())
}

fn waiting(world: &World) -> Vec<Record> {
    world.plane.view().audit().after(0).map(|record| Record::clone(record)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_copied_as_they_are_and_then_let_go() {
    let world = recording().await;
    world.put_tenant("audited", json!({})).await;
    world.put_client("audited", "web", json!({"scopes": ["openid"]})).await;
    let records = waiting(&world);
    let head = world.plane.view().audit().head();
    copying(&world).run().await.unwrap();
    assert_eq!(waiting(&world), [], "they were let go");
    assert_eq!(world.plane.view().audit().head(), head, "that they went is no record");
    let mut connection = world.db.connection().await;
    let copied = chain(&mut connection).await;
    assert!(copied.ends_with(&records), "{copied:?}");
    assert_eq!(verify(Head::default(), &copied), Ok(head));
    let last = copied.last().unwrap();
    assert_eq!((last.action.as_str(), last.target.as_deref()), ("client.put", Some("web")));
    assert_eq!(last.tenant.as_ref().unwrap().as_str(), "audited");
    world.end().await;
}

/// Interrupted after the rows were committed and before the records were let go; and two nodes that both believe to lead.
#[tokio::test(flavor = "multi_thread")]
async fn copying_again_or_twice_at_once_makes_no_second_row() {
    let world = recording().await;
    world.put_tenant("audited", json!({})).await;
    let records = world.plane.view().audit().after(0).cloned().collect::<Vec<_>>();
    let global = world.state.stores.pools().global().unwrap();
    let all = u64::try_from(records.len()).unwrap();
    assert_eq!(global.insert_control_audit(&records).await.unwrap(), all);
    assert_eq!(global.insert_control_audit(&records).await.unwrap(), 0, "they are there");
    world.put_tenant("another", json!({})).await;
    let (one, other) = (copying(&world), copying(&world));
    let (first, second) = tokio::join!(one.run(), other.run());
    first.and(second).unwrap();
    let mut connection = world.db.connection().await;
    let head = world.plane.view().audit().head();
    assert_eq!(verify(Head::default(), &chain(&mut connection).await), Ok(head));
    assert_eq!(rows(&mut connection).await, i64::try_from(head.seq).unwrap());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_wait_for_a_database_that_is_away() {
    let world = recording().await;
    let nowhere = Dsn::parse("postgres://nobody@127.0.0.1:1/none").unwrap();
    let pools = Arc::new(Pools::new(PoolSettings::default(), Some(&nowhere)));
    let stores = UserStores::new(world.plane.clone(), pools, world.sealing.clone());
    world.put_tenant("audited", json!({})).await;
    let before = waiting(&world);
    assert!(!before.is_empty());
    AuditCopy::new(world.plane.clone(), stores).run().await.unwrap_err();
    assert_eq!(waiting(&world), before, "nothing is let go that was not copied");
    copying(&world).run().await.unwrap();
    assert_eq!(waiting(&world), []);
    world.end().await;
}
