//! Migrations: run once by whoever comes first, and refused where they do not fit (spec §4, EP107-108).

use hellojohn::store::migrate::test_connection;
use hellojohn::store::{Dsn, Error, MigrationError, MigrationState, Reason};

use super::{registered, tenant};
use crate::harness::postgres::TestDb;

#[tokio::test]
async fn nodes_that_migrate_at_the_same_moment_all_succeed_and_each_migration_runs_once() {
    let db = TestDb::empty().await;
    let missing = match db.database().migration_state().await.unwrap() {
        MigrationState::Pending(missing) => missing,
        other => panic!("{other:?}"),
    };
    assert!(missing > 0);
    let runs = (0..3).map(|_| {
        let database = db.database();
        tokio::spawn(async move { database.migrate().await.unwrap() })
    });
    let done: usize = futures::future::join_all(runs).await.into_iter().map(Result::unwrap).sum();
    assert_eq!(done, missing);
    assert_eq!(db.database().migration_state().await.unwrap(), MigrationState::Current);
    assert_eq!(db.database().migrate().await.unwrap(), 0);
    registered(&db.database(), "acme", "ann@example.com").await;
}

#[tokio::test]
async fn an_unknown_migration_is_refused_by_number() {
    let db = TestDb::new().await;
    sqlx::raw_sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (29990101000000, 'from the future', true, '\\x00', 0)",
    )
    .execute(&mut db.connection().await)
    .await
    .unwrap();
    let database = db.database();
    assert_eq!(database.migration_state().await.unwrap(), MigrationState::Unknown(29_990_101_000_000));
    let error = database.migrate().await.unwrap_err();
    assert!(matches!(error, MigrationError::Unknown(29_990_101_000_000)), "{error:?}");
    assert!(error.to_string().contains("29990101000000"), "{error}");
    lock_is_free(&db).await;
}

#[tokio::test]
async fn an_altered_migration_is_refused_by_number() {
    let db = TestDb::new().await;
    let version: i64 = sqlx::query_scalar(
        "UPDATE _sqlx_migrations SET checksum = '\\x00' WHERE version = (SELECT min(version) FROM _sqlx_migrations) \
         RETURNING version",
    )
    .fetch_one(&mut db.connection().await)
    .await
    .unwrap();
    let database = db.database();
    assert_eq!(database.migration_state().await.unwrap(), MigrationState::Altered(version));
    let error = database.migrate().await.unwrap_err();
    assert!(matches!(error, MigrationError::Altered(refused) if refused == version), "{error:?}");
    lock_is_free(&db).await;
}

/// A refused run must not keep the advisory lock, or no node could ever migrate again.
async fn lock_is_free(db: &TestDb) {
    let mut look = db.connection().await;
    super::eventually_sql(
        &mut look,
        "SELECT NOT EXISTS (SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
         WHERE l.locktype = 'advisory' AND d.datname = current_database())",
    )
    .await;
}

#[tokio::test]
async fn a_database_without_the_schema_says_that_it_must_be_migrated() {
    let db = TestDb::empty().await;
    let ann = super::user("ann@example.com");
    let mut work = db.database().begin(&tenant("acme")).await.unwrap();
    match work.users().find_by_id(ann.id).await {
        Err(Error::Unavailable { reason, .. }) => assert_eq!(reason, Reason::NotMigrated),
        other => panic!("{other:?}"),
    }
}

/// EP107: the answer tells what is wrong and no secret.
#[tokio::test]
async fn a_connection_test_tells_version_schema_and_cause() {
    let db = TestDb::new().await;
    let good = Dsn::parse(&db.dsn()).unwrap();
    let tested = test_connection(&good).await.unwrap();
    assert_eq!(tested.migrations, MigrationState::Current);
    assert!(tested.server_version.starts_with(|c: char| c.is_ascii_digit()), "{}", tested.server_version);

    let socket = db.dsn().split_once("host=").unwrap().1.to_owned();
    let cases = [
        (format!("postgres://postgres:hunter2@localhost/absent?host={socket}"), Reason::NoSuchDatabase),
        (format!("postgres://absent:hunter2@localhost/postgres?host={socket}"), Reason::LoginRefused),
        ("postgres://app:hunter2@127.0.0.1:1/app".to_owned(), Reason::Unreachable),
    ];
    for (text, wanted) in cases {
        match test_connection(&Dsn::parse(&text).unwrap()).await {
            Err(error @ Error::Unavailable { .. }) => {
                let Error::Unavailable { reason, .. } = &error else { unreachable!() };
                assert_eq!(*reason, wanted, "{error:?}");
                assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}
