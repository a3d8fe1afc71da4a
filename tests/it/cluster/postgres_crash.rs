//! PostgreSQL dies under the load of people and comes back (spec §1 promise 3; issue: "no lost acknowledged registration").

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hellojohn::boot::private_postgres::{PrivatePostgres, PrivatePostgresOptions};
use hellojohn::store::{Dsn, PoolSettings, Pools};

use super::{everywhere, login, make_acme, person};
use crate::harness::api::{Answer, Api};
use crate::harness::cluster::{Cluster, NAMES};
use crate::harness::postgres::short_directory;

/// People who register at the same time.
const CLIENTS: usize = 6;

/// What one client was told.
#[derive(Debug, Default)]
struct Told {
    /// Addresses whose registration was acknowledged, by the node.
    acknowledged: Vec<String>,
    /// Refusals by status and code, with one of them.
    refused: BTreeMap<(u16, String), Answer>,
}

/// Registers one after the other at the nodes in turn until it is told to stop.
async fn register(nodes: Vec<Api>, client: usize, stop: Arc<AtomicBool>) -> Told {
    let mut told = Told::default();
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let email = format!("person-{client}-{number}@example.test");
        let answer = nodes[number % nodes.len()].post("/v1/auth/register", person(&email)).await;
        match answer.status {
            201 => told.acknowledged.push(email),
            status => {
                told.refused.insert((status, answer.code()), answer);
                // Somebody who is refused looks at the page for a moment.
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
    told
}

async fn server(directory: &std::path::Path) -> PrivatePostgres {
    PrivatePostgres::start(PrivatePostgresOptions::kept(directory.join("pg"))).await.unwrap()
}

/// Killed under load and started again, PostgreSQL has every registration that was acknowledged; in the meantime people are told
/// 503 and when to try again; every node serves them afterwards without help.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_registration_is_lost_when_postgresql_is_killed_under_load() {
    let directory = short_directory();
    let first = server(directory.path()).await;
    let dsn = first.dsn("postgres");
    let pools = Pools::new(PoolSettings::default(), Some(&Dsn::parse(&dsn).unwrap()));
    pools.global().unwrap().migrate().await.unwrap();
    let mut cluster = Cluster::prepare_without_database();
    let settings = [
        ("STORAGE_DSN", dsn.as_str()),
        ("ARGON2_MEMORY_KIB", "8"),
        ("ARGON2_ITERATIONS", "1"),
        ("ARGON2_PARALLELISM", "1"),
    ];
    for (name, value) in settings {
        cluster.set(name, value);
    }
    cluster.start_all().await;
    let token = cluster.mint_token();
    everywhere(&cluster, make_acme(&cluster, &token).await).await;

    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let nodes = NAMES.map(|name| cluster.api(name)).to_vec();
            tokio::spawn(register(nodes, client, Arc::clone(&stop)))
        })
        .collect();
    let registered = async |server: &PrivatePostgres, least: i64| {
        let dsn = server.dsn("postgres");
        let mut connection = <sqlx::PgConnection as sqlx::Connection>::connect(&dsn).await.unwrap();
        let deadline = std::time::Instant::now() + crate::harness::cluster::PATIENCE;
        loop {
            let count: i64 =
                sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&mut connection).await.unwrap();
            if count >= least {
                return count;
            }
            assert!(std::time::Instant::now() < deadline, "{count} of {least} registered");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    let before = registered(&first, 30).await;
    first.crash();
    for name in NAMES {
        cluster.until(name, "no database", |answer| answer.status == 503).await;
    }
    let second = server(directory.path()).await;
    for name in NAMES {
        cluster.ready(name).await;
    }
    registered(&second, before + 30).await;
    stop.store(true, Ordering::Relaxed);

    let mut acknowledged = Vec::new();
    for client in clients {
        let told = client.await.unwrap();
        assert!(!told.acknowledged.is_empty());
        acknowledged.extend(told.acknowledged);
        for ((status, code), answer) in told.refused {
            assert_eq!((status, code.as_str()), (503, "storage_unavailable"));
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
        }
    }
    for (number, email) in acknowledged.iter().enumerate() {
        login(&cluster.api(NAMES[number % NAMES.len()]), email).await;
    }
    // No pool is stuck: each node still has connections to give.
    for name in NAMES {
        let email = format!("after-{name}@example.test");
        cluster.api(name).post("/v1/auth/register", person(&email)).await.expect(201);
    }
    pools.close(std::time::Duration::from_secs(5)).await;
}
