//! The dead database of one tenant is that tenant's trouble alone (spec §4: "one tenant's dead database never delays another
//! tenant"), through three processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hellojohn::store::PoolSettings;
use serde_json::{Value, json};

use super::{PASSWORD, everywhere, login, make_acme, person};
use crate::harness::api::{Answer, Api};
use crate::harness::cluster::{Cluster, NAMES};
use crate::harness::process::free_port;
use crate::harness::silence::Silence;

/// Clients of each dead tenant at each node.
const CLIENTS: usize = 10;
/// How often somebody lives through a day at each node meanwhile.
const ROUNDS: usize = 8;

/// Makes a tenant whose people are in the database at this port.
async fn make_dead(cluster: &Cluster, token: &str, tenant: &str, port: u16) -> u64 {
    let path = format!("/v1/admin/tenants/{tenant}");
    let dsn = format!("postgres://app:planted-password@127.0.0.1:{port}/people?sslmode=disable");
    cluster.put(token, &path, &json!({"settings": {"userStore": {"dsn": dsn}}})).await;
    cluster.put(token, &format!("{path}/clients/web"), &json!({"scopes": ["openid"]})).await
}

/// Tries to log in to a dead tenant until told to stop; what it was told, each kind with one of the answers and their number.
async fn hammer(
    api: Api,
    tenant: &'static str,
    stop: Arc<AtomicBool>,
) -> BTreeMap<(u16, String), (Answer, u64)> {
    let mut told = BTreeMap::new();
    let body =
        json!({"tenant_id": tenant, "client_id": "web", "email": "a@example.test", "password": PASSWORD});
    while !stop.load(Ordering::Relaxed) {
        let answer = api.post("/v1/auth/login", body.clone()).await;
        told.entry((answer.status, answer.code())).or_insert((answer, 0)).1 += 1;
        // Somebody who is refused looks at the page for a moment.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    told
}

/// Registers, logs in, refreshes and looks, all at one node.
async fn lives_a_day(api: &Api, email: &str) {
    api.post("/v1/auth/register", person(email)).await.expect(201);
    let session = login(api, email).await.json();
    let text = |body: &Value, member: &str| body[member].as_str().unwrap().to_owned();
    let exchanged = json!({"refresh_token": text(&session, "refresh_token")});
    let refreshed = api.post("/v1/auth/refresh", exchanged).await.expect(200).json();
    api.bearer(&text(&refreshed, "access_token")).get("/v1/me").await.expect(200);
}

/// One database takes connections and never answers, one refuses them; clients of both hammer every node. Whoever had to wait
/// for either would be refused after the time-out of a pool: people of the tenant whose database is well are not, nor is a node
/// called unready. The dead ones take no more connections than their pools may have, and their people are told when to try again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_databases_of_two_tenants_are_no_trouble_of_a_third() {
    let silence = Silence::start().await;
    let mut cluster = Cluster::prepare().await;
    for (name, value) in [("ARGON2_MEMORY_KIB", "8"), ("ARGON2_ITERATIONS", "1"), ("ARGON2_PARALLELISM", "1")]
    {
        cluster.set(name, value);
    }
    cluster.start_all().await;
    let token = cluster.mint_token();
    make_acme(&cluster, &token).await;
    make_dead(&cluster, &token, "silent", silence.port).await;
    everywhere(&cluster, make_dead(&cluster, &token, "refused", free_port()).await).await;

    let stop = Arc::new(AtomicBool::new(false));
    let mut hammers = Vec::new();
    for name in NAMES {
        for tenant in ["silent", "refused"] {
            for _ in 0..CLIENTS {
                hammers.push(tokio::spawn(hammer(cluster.api(name), tenant, Arc::clone(&stop))));
            }
        }
    }
    for name in NAMES {
        // Not before the pool of the silent one is in use here.
        let api = cluster.api(name);
        let body = json!({"tenant_id": "silent", "client_id": "web", "email": "b@c.test", "password": "x"});
        api.post("/v1/auth/login", body).await.expect(503);
    }
    for round in 0..ROUNDS {
        for name in NAMES {
            let api = cluster.api(name);
            lives_a_day(&api, &format!("{name}-{round}@example.test")).await;
            let ready = api.get("/readyz").await.expect(200).json();
            assert_eq!(ready["checks"]["db"], "ok", "{ready}");
        }
    }
    stop.store(true, Ordering::Relaxed);

    for hammer in hammers {
        let told = hammer.await.unwrap();
        assert!(!told.is_empty());
        for ((status, code), (answer, times)) in told {
            assert_eq!((status, code.as_str()), (503, "storage_unavailable"), "{times} times: {answer:?}");
            assert!(answer.header("retry-after").is_some(), "{answer:?}");
            // S111
            let body = String::from_utf8(answer.body).unwrap();
            assert!(!body.contains("planted-password") && !body.contains("127.0.0.1"), "{body}");
        }
    }
    // A pool, and the one that finds out whether the database is back.
    let each = usize::try_from(PoolSettings::default().tenant_max_open).unwrap() + 1;
    let most = silence.most();
    assert!((1..=NAMES.len() * each).contains(&most), "{most} connections at the same time");
}
