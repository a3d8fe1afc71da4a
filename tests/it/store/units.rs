//! The unit of work: all or nothing, and no connection is lost whatever the caller does.

use std::time::Duration;

use hellojohn::domain::user::UserStatus;
use hellojohn::store::{Error, PoolSettings, Reason};

use super::{eventually, now, registered, tenant, user};
use crate::harness::postgres::TestDb;

#[tokio::test]
async fn nothing_is_written_without_a_commit() {
    let db = TestDb::new().await;
    let database = db.database();
    let ann = user("ann@example.com");
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    work.users().insert(&ann).await.unwrap();
    drop(work);
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    assert_eq!(work.users().find_by_id(ann.id).await.unwrap(), None);
}

/// PostgreSQL answers COMMIT of a failed transaction with a rollback and no error.
#[tokio::test]
async fn a_commit_after_a_failed_statement_is_an_error_and_writes_nothing() {
    let db = TestDb::new().await;
    let database = db.database();
    registered(&database, "acme", "ann@example.com").await;
    let bob = user("bob@example.com");
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    work.users().insert(&bob).await.unwrap();
    assert!(matches!(work.users().insert(&user("ann@example.com")).await, Err(Error::EmailTaken)));
    assert!(matches!(work.commit().await, Err(Error::Internal(_))));
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    assert_eq!(work.users().find_by_id(bob.id).await.unwrap(), None);
}

#[tokio::test]
async fn the_connection_comes_back_after_commit_rollback_error_and_cancellation() {
    let db = TestDb::new().await;
    let settings = PoolSettings { max_open: 1, max_idle: 0, ..PoolSettings::default() };
    let pools = db.pools_with(settings);
    let database = pools.global().unwrap();
    let ann = registered(database, "acme", "ann@example.com").await;
    let backend = || async {
        // With one connection this waits until it is back, and fails if it never comes.
        database.ping(Duration::from_secs(3)).await.unwrap();
        database.open()
    };
    database.begin(&tenant("acme")).await.unwrap().rollback();
    assert_eq!(backend().await, 1);
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    assert!(work.users().insert(&user("ann@example.com")).await.is_err());
    drop(work);
    assert_eq!(backend().await, 1);

    // Cancelled in the middle of a statement that waits for a lock.
    let mut holder = db.connection().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE").execute(&mut holder).await.unwrap();
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    let cancelled = tokio::time::timeout(Duration::from_millis(100), work.users().find_by_id(ann.id)).await;
    assert!(cancelled.is_err());
    let next = work.users().find_by_id(ann.id).await;
    assert!(matches!(next, Err(Error::Internal(_))), "the connection is of no more use: {next:?}");
    drop(work);
    sqlx::raw_sql("ROLLBACK").execute(&mut holder).await.unwrap();
    backend().await;
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    assert_eq!(work.users().find_by_id(ann.id).await.unwrap(), Some(ann));
    work.commit().await.unwrap();
    eventually("every loan is over", || async { database.in_use() == 0 }).await;
}

/// A full pool is not a dead database: nobody is refused in advance because of it.
#[tokio::test]
async fn a_pool_whose_connections_are_all_in_use_is_busy_and_nothing_worse() {
    let db = TestDb::new().await;
    let acquire_timeout = Duration::from_millis(200);
    let pools = db.pools_with(PoolSettings { max_open: 1, acquire_timeout, ..PoolSettings::default() });
    let database = pools.global().unwrap();
    let work = database.begin(&tenant("acme")).await.unwrap();
    for _ in 0..2 {
        match database.begin(&tenant("acme")).await {
            Err(Error::Unavailable { reason, .. }) => assert_eq!(reason, Reason::Busy),
            other => panic!("{other:?}"),
        }
    }
    work.commit().await.unwrap();
    database.begin(&tenant("acme")).await.unwrap();
}

#[tokio::test]
async fn a_lock_that_is_not_released_ends_in_unavailable_and_not_in_waiting() {
    let db = TestDb::new().await;
    let database = db.database();
    let mut ann = registered(&database, "acme", "ann@example.com").await;
    let mut holder = db.connection().await;
    sqlx::raw_sql("BEGIN; UPDATE users SET locale = 'de'").execute(&mut holder).await.unwrap();
    ann.status = UserStatus::Disabled;
    let started = std::time::Instant::now();
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    match work.users().update(&ann, now()).await {
        Err(Error::Unavailable { reason, .. }) => assert_eq!(reason, Reason::Locked),
        other => panic!("{other:?}"),
    }
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
}
