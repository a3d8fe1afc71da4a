//! A database that dies, hangs, comes back or never was (spec §4; promise 3 of §1).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hellojohn::boot::private_postgres::{PrivatePostgres, PrivatePostgresOptions};
use hellojohn::store::{Dsn, Error, PoolSettings, Pools, Reason};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::net::{UnixListener, UnixStream};

use super::{eventually, registered, tenant, user};
use crate::harness::postgres::{TestDb, short_directory};

fn settings() -> PoolSettings {
    PoolSettings { acquire_timeout: Duration::from_millis(500), ..PoolSettings::default() }
}

async fn server(directory: &Path) -> PrivatePostgres {
    // Not thrown away: the data must be there after a restart.
    PrivatePostgres::start(PrivatePostgresOptions::kept(directory.join("pg"))).await.unwrap()
}

fn unavailable<T: std::fmt::Debug>(result: Result<T, Error>) -> Error {
    match result {
        Err(error @ Error::Unavailable { .. }) => error,
        other => panic!("{other:?}"),
    }
}

/// One server through a whole life: dead before the pool, up, crashed in use, up again.
#[tokio::test]
async fn a_dead_database_is_unavailable_quickly_and_is_found_again_without_help() {
    let directory = short_directory();
    let first = server(directory.path()).await;
    let dsn = Dsn::parse(&first.dsn("postgres")).unwrap();
    first.stop();

    // The pools start although nothing is there.
    let pools = Pools::new(settings(), Some(&dsn));
    let database = pools.global().unwrap();
    unavailable(database.begin(&tenant("acme")).await);
    let started = Instant::now();
    let mut asked = 0;
    for _ in 0..1000 {
        match unavailable(database.begin(&tenant("acme")).await) {
            Error::Unavailable { reason: Reason::FailedRecently, .. } => {}
            _ => asked += 1,
        }
    }
    assert!(asked <= 10, "dialled {asked} times: at most once a second");
    // Each on its own would be a time-out of half a second.
    assert!(started.elapsed() < Duration::from_secs(5), "{:?} for 1000 refusals", started.elapsed());

    let second = server(directory.path()).await;
    eventually("the database is found", || async { database.ping(Duration::from_secs(1)).await.is_ok() })
        .await;
    database.migrate().await.unwrap();
    let ann = registered(database, "acme", "ann@example.com").await;

    let mut work = database.begin(&tenant("acme")).await.unwrap();
    second.crash();
    unavailable(work.users().find_by_id(ann.id).await);
    drop(work);
    unavailable(database.begin(&tenant("acme")).await);

    let _third = server(directory.path()).await;
    eventually("it is found again", || async { database.begin(&tenant("acme")).await.is_ok() }).await;
    let mut work = database.begin(&tenant("acme")).await.unwrap();
    assert_eq!(work.users().find_by_id(ann.id).await.unwrap(), Some(ann));
}

/// Nothing refuses the connection here; it just gets no answer.
#[tokio::test]
async fn a_frozen_database_costs_its_own_callers_the_time_out_and_nobody_else_anything() {
    let directory = short_directory();
    let frozen = server(directory.path()).await;
    let db = TestDb::new().await;
    let patient = Duration::from_secs(4);
    let pools = db.pools_with(PoolSettings { acquire_timeout: patient, ..PoolSettings::default() });
    let slug = tenant("frozen");
    let dsn = Dsn::parse(&frozen.dsn("postgres")).unwrap();
    pools.tenant(&slug, &dsn).unwrap().ping(Duration::from_secs(5)).await.unwrap();
    let pid = Pid::from_raw(frozen.pid());
    let backends = children(pid);
    assert!(!backends.is_empty());
    for process in backends.iter().chain([&pid]) {
        kill(*process, Signal::SIGSTOP).unwrap();
    }

    let waiting = (0..20).map(|_| {
        let database = pools.tenant(&slug, &dsn).unwrap();
        let slug = slug.clone();
        tokio::spawn(async move {
            let started = Instant::now();
            unavailable(database.begin(&slug).await);
            started.elapsed()
        })
    });
    let waiting: Vec<_> = waiting.collect();
    for n in 0..10 {
        registered(pools.global().unwrap(), "well", &format!("user{n}@example.com")).await;
    }
    assert!(
        waiting.iter().all(|task| !task.is_finished()),
        "the others were served while these still waited"
    );
    for waited in futures::future::join_all(waiting).await {
        let waited = waited.unwrap();
        assert!(waited < patient + Duration::from_secs(3), "{waited:?}");
    }

    for process in backends.iter().chain([&pid]) {
        kill(*process, Signal::SIGCONT).unwrap();
    }
    let database = pools.tenant(&slug, &dsn).unwrap();
    eventually("it is found again", || async { database.ping(Duration::from_secs(1)).await.is_ok() }).await;
}

/// A way to a server's socket in `directory` on which only the first connection gets through; others are taken and then hear
/// nothing. How many those are.
fn only_the_first(server: &Path, directory: &Path) -> Arc<AtomicUsize> {
    let name = server.file_name().unwrap();
    let (listener, server) = (UnixListener::bind(directory.join(name)).unwrap(), server.to_owned());
    let taken = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&taken);
    tokio::spawn(async move {
        let (mut first, _) = listener.accept().await.unwrap();
        let mut there = UnixStream::connect(&server).await.unwrap();
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut first, &mut there).await });
        let mut silent = Vec::new();
        while let Ok((next, _)) = listener.accept().await {
            silent.push(next);
            counted.store(silent.len(), Ordering::Relaxed);
        }
    });
    taken
}

/// A server that works, and is only slow to let new connections in, is not called dead: whoever finds a connection goes on.
#[tokio::test]
async fn connections_that_cannot_be_had_do_not_shut_out_those_that_work() {
    let (directory, way) = (short_directory(), short_directory());
    let server = server(directory.path()).await;
    let sockets = directory.path().join("pg/run");
    let mut socket = std::fs::read_dir(&sockets).unwrap().map(|entry| entry.unwrap().path());
    let socket = socket.find(|path| path.extension().is_some_and(|end| end != "lock")).unwrap();
    let taken = only_the_first(&socket, way.path());
    let encoded = |path: &Path| {
        url::form_urlencoded::byte_serialize(path.as_os_str().as_encoded_bytes()).collect::<String>()
    };
    let dsn = server.dsn("postgres").replace(&encoded(&sockets), &encoded(way.path()));
    let dsn = Dsn::parse(&dsn).unwrap();
    // The pool itself dials nobody.
    let pools = Pools::new(PoolSettings { max_idle: 0, ..settings() }, Some(&dsn));
    let database = pools.global().unwrap();
    let held = database.begin(&tenant("acme")).await.unwrap();
    let waiting = tokio::spawn({
        let database = database.clone();
        async move { unavailable(database.begin(&tenant("acme")).await) }
    });
    eventually("another connection is waited for", || async { taken.load(Ordering::Relaxed) == 1 }).await;
    held.commit().await.unwrap();
    let refused = waiting.await.unwrap();
    assert!(matches!(refused, Error::Unavailable { reason: Reason::Busy, .. }), "{refused:?}");
    database.begin(&tenant("acme")).await.unwrap().commit().await.unwrap();
}

fn children(of: Pid) -> Vec<Pid> {
    let list = std::fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap();
    list.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect()
}

/// Many tenants whose databases are gone, beside one that is well.
#[tokio::test]
async fn dead_tenant_databases_do_not_delay_a_living_one() {
    let db = TestDb::new().await;
    let patient = Duration::from_secs(4);
    let pools = db.pools_with(PoolSettings { acquire_timeout: patient, ..PoolSettings::default() });
    let dead: Vec<_> = (0..30)
        .map(|n| {
            let slug = tenant(&format!("dead-{n}"));
            let dsn = Dsn::parse(&format!("postgres://app:hunter2@127.0.0.1:1/app_{n}")).unwrap();
            let database = pools.tenant(&slug, &dsn).unwrap();
            tokio::spawn(async move { unavailable(database.begin(&slug).await) })
        })
        .collect();
    let living = pools.tenant(&tenant("living"), &Dsn::parse(&db.dsn()).unwrap()).unwrap();
    let mut work = living.begin(&tenant("living")).await.unwrap();
    work.users().insert(&user("ann@example.com")).await.unwrap();
    work.commit().await.unwrap();
    assert!(dead.iter().all(|task| !task.is_finished()), "it was served while these still waited");
    for error in futures::future::join_all(dead).await {
        let error = error.unwrap();
        // S111
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
