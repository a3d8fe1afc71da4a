//! The private PostgreSQL of `hellojohn dev`: who may come in, what is kept, what is left behind.

use std::os::unix::fs::PermissionsExt as _;

use hellojohn::boot::private_postgres::{PrivatePostgres, PrivatePostgresError, PrivatePostgresOptions};
use hellojohn::store::migrate::test_connection;
use hellojohn::store::{Dsn, Error, Reason};

use crate::harness::postgres::short_directory;

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn data_is_kept_over_a_restart_and_tcp_asks_for_the_password() {
    let directory = short_directory();
    let mut options = PrivatePostgresOptions::kept(directory.path().join("pg"));
    let server = PrivatePostgres::start(options.clone()).await.unwrap();
    assert!(server.ensure_database("app", None).await.unwrap());
    assert!(!server.ensure_database("app", None).await.unwrap());
    assert!(server.ensure_database("app; DROP", None).await.is_err());
    assert_eq!(server.tcp_dsn("app").unwrap(), None);
    server.stop();

    options.tcp_port = Some(free_port());
    let server = PrivatePostgres::start(options).await.unwrap();
    test_connection(&Dsn::parse(&server.dsn("app")).unwrap()).await.unwrap();
    let tcp = server.tcp_dsn("app").unwrap().unwrap();
    test_connection(&Dsn::parse(&tcp).unwrap()).await.unwrap();
    let (_, address) = tcp.split_once('@').unwrap();
    let wrong = Dsn::parse(&format!("postgres://postgres:wrong@{address}")).unwrap();
    match test_connection(&wrong).await {
        Err(Error::Unavailable { reason, .. }) => assert_eq!(reason, Reason::LoginRefused),
        other => panic!("{other:?}"),
    }
    let mode = std::fs::metadata(directory.path().join("pg")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "nobody else reaches the socket");
}

#[tokio::test]
async fn a_directory_serves_one_process_at_a_time() {
    let directory = short_directory();
    let options = PrivatePostgresOptions::throw_away(directory.path().join("pg"));
    let _server = PrivatePostgres::start(options.clone()).await.unwrap();
    match PrivatePostgres::start(options).await {
        Err(PrivatePostgresError::InUse(path)) => assert!(path.ends_with("pg")),
        other => panic!("{other:?}"),
    }
}

/// What a killed `hellojohn dev` leaves behind: a running server and no lock.
#[tokio::test]
async fn a_server_that_was_left_behind_is_stopped_and_replaced() {
    let directory = short_directory();
    let place = directory.path().join("pg");
    let options = PrivatePostgresOptions::throw_away(place.clone());
    let orphan = PrivatePostgres::start(options.clone()).await.unwrap();
    let orphan_pid = orphan.pid();
    // The lock is on the file, so that a new file stands for a process that has gone.
    std::fs::remove_file(place.join("lock")).unwrap();
    let server = PrivatePostgres::start(options).await.unwrap();
    assert_ne!(server.pid(), orphan_pid);
    test_connection(&Dsn::parse(&server.dsn("postgres")).unwrap()).await.unwrap();
    drop(orphan);
    test_connection(&Dsn::parse(&server.dsn("postgres")).unwrap()).await.unwrap();
}

#[tokio::test]
async fn a_start_that_fails_tells_what_the_server_said() {
    let directory = short_directory();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = PrivatePostgresOptions::throw_away(directory.path().join("pg"));
    options.tcp_port = Some(taken.local_addr().unwrap().port());
    match PrivatePostgres::start(options).await {
        Err(error @ PrivatePostgresError::Failed { .. }) => {
            assert!(error.to_string().contains("Address already in use"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}
