//! Followers that pass writes on (`CLUSTER_WRITE_MODE=forward`, spec §3.3).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::everywhere;
use crate::harness::api::Api;
use crate::harness::cluster::{Cluster, NAMES};

async fn forwarding() -> (Cluster, String) {
    let mut cluster = Cluster::prepare_without_database();
    cluster.set("CLUSTER_WRITE_MODE", "forward");
    cluster.start_all().await;
    let token = cluster.mint_token();
    (cluster, token)
}

/// Writes tenants to one node until told to stop; gives the slugs, and every answer that was none.
async fn write_until(api: Api, stop: Arc<AtomicBool>, prefix: String) -> (Vec<String>, Vec<String>) {
    let (mut written, mut failed) = (Vec::new(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let slug = format!("{prefix}-{}", written.len() + failed.len());
        let body = Some(json!({"name": slug}).to_string().into_bytes());
        let answer = api.try_send(Method::PUT, &format!("/v1/admin/tenants/{slug}"), &[], body).await;
        match answer {
            Some(answer) if answer.status == 201 => written.push(slug),
            other => failed.push(format!("{slug}: {other:?}")),
        }
    }
    (written, failed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_at_a_follower_is_answered_as_the_leader_answers() {
    let (cluster, token) = forwarding().await;
    let follower = cluster.followers().await[0];
    let api = cluster.api(follower).bearer(&token);
    let path = "/v1/admin/tenants/acme";
    let made = api.put(path, json!({"name": "Acme"})).await.expect(201);
    assert_eq!(made.header("etag"), Some("\"1\""));
    assert_eq!(made.header("x-leader"), None);
    assert!(made.header("content-type").unwrap().starts_with("application/json"));
    let index = made.header("x-applied-index").unwrap().to_owned();
    let read = api.try_send(Method::GET, path, &[("x-min-index", &index)], None).await.unwrap().expect(200);
    assert_eq!(read.json(), made.json());

    let body = || Some(json!({"name": "B"}).to_string().into_bytes());
    let send =
        |headers: &'static [(&'static str, &'static str)]| api.try_send(Method::PUT, path, headers, body());
    assert_eq!(send(&[("if-match", "\"9\"")]).await.unwrap().expect(412).code(), "precondition_failed");
    send(&[("if-match", "\"1\""), ("idempotency-key", "k")]).await.unwrap().expect(200);
    let again = send(&[("if-match", "\"1\""), ("idempotency-key", "k")]).await.unwrap().expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    let bad = api.put(path, json!({"nonsense": 1})).await.expect(422);
    assert_eq!(bad.json()["errors"][0]["field"], "nonsense");
    assert_eq!(api.delete("/v1/admin/tenants/gone").await.expect(404).code(), "tenant_not_found");
    assert_eq!(cluster.api(follower).put(path, json!({})).await.expect(401).code(), "invalid_token");
    api.delete(path).await.expect(204);

    // The leader's audit knows who asked and under which request, not the node in between.
    let log = cluster.processes[cluster.leader().await].log_text();
    let audit = log.lines().find(|line| line.contains("\"tenant.put\"") && line.contains("acme")).unwrap();
    assert!(audit.contains(made.header("x-request-id").unwrap()), "{audit}");
    assert!(audit.contains("127.0.0.1"), "{audit}");
}

/// Acceptance of F4: whoever writes during a planned hand-over, at whatever node, sees no failure at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_write_fails_while_the_leadership_is_handed_over() {
    let (cluster, token) = forwarding().await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = NAMES
        .iter()
        .map(|name| {
            let api = cluster.api(name).bearer(&token);
            tokio::spawn(write_until(api, Arc::clone(&stop), (*name).to_owned()))
        })
        .collect();
    for _ in 0..5 {
        let api = cluster.api(cluster.leader().await).bearer(&token);
        let handed = api.post("/v1/admin/cluster/step-down", json!({})).await.expect(200).json();
        eprintln!("handed over: {handed}");
        cluster.put_tenant(&token, "between").await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    for writer in writers {
        let (done, failed) = writer.await.unwrap();
        assert_eq!(failed, Vec::<String>::new());
        written.extend(done);
    }
    let index = cluster.put_tenant(&token, "last").await;
    everywhere(&cluster, index).await;
    for name in NAMES {
        let api = cluster.api(name).bearer(&token);
        for slug in &written {
            api.get(&format!("/v1/admin/tenants/{slug}")).await.expect(200);
        }
    }
}

/// A write waits for the next leader; one that was on its way when the leader died is done or in doubt, never lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_held_while_a_leader_is_elected() {
    let (mut cluster, token) = forwarding().await;
    let leader = cluster.leader().await;
    let survivors = cluster.followers().await;
    cluster.kill9(leader);
    for (number, name) in survivors.iter().enumerate() {
        let api = cluster.api(name).bearer(&token);
        let path = format!("/v1/admin/tenants/held-{number}");
        api.put(&path, json!({})).await.expect(201);
    }
    cluster.kill9(survivors[0]);
    let last = cluster.api(survivors[1]).bearer(&token);
    let asked = Instant::now();
    let refused = last.put("/v1/admin/tenants/never", json!({})).await;
    // The last one may lead still when it is asked; then it does not know what became of the write.
    assert!(matches!(refused.code().as_str(), "no_leader" | "outcome_unknown"), "{refused:?}");
    let refused = last.put("/v1/admin/tenants/never", json!({})).await.expect(503);
    assert_eq!(refused.code(), "no_leader");
    assert!(asked.elapsed() >= Duration::from_secs(2), "{:?}", asked.elapsed());
}
