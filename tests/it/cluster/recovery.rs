//! kill -9 of every node under a load of writes: what was acknowledged is there (hard promise 1, F3).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::cluster::{Cluster, NAMES};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_all_nodes_are_killed() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    let mut acknowledged: Vec<String> = Vec::new();
    for round in 0..3 {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        for writer in 0..4 {
            let apis: Vec<_> = NAMES.map(|name| cluster.api(name).bearer(&token)).to_vec();
            let stop = Arc::clone(&stop);
            writers.spawn(async move {
                let mut done = Vec::new();
                for i in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let slug = format!("r{round}-w{writer}-{i}");
                    for api in &apis {
                        let path = format!("/v1/admin/tenants/{slug}");
                        let body = Some(json!({"name": slug}).to_string().into_bytes());
                        let answer = api.try_send(Method::PUT, &path, &[], body).await;
                        if answer.is_some_and(|answer| matches!(answer.status, 200 | 201)) {
                            done.push(slug.clone());
                            break;
                        }
                    }
                }
                done
            });
        }
        tokio::time::sleep(Duration::from_millis(700)).await;
        for name in NAMES {
            cluster.kill9(name);
        }
        stop.store(true, Ordering::Relaxed);
        let mut in_round = 0;
        while let Some(done) = writers.join_next().await {
            let done = done.unwrap();
            in_round += done.len();
            acknowledged.extend(done);
        }
        assert!(in_round > 10, "only {in_round} writes in round {round}: no load, no test");
        cluster.start_all().await;
    }
    let leader = cluster.leader().await;
    let api = cluster.api(leader).bearer(&token);
    let mut lost = Vec::new();
    for slug in &acknowledged {
        if api.get(&format!("/v1/admin/tenants/{slug}")).await.status != 200 {
            lost.push(slug);
        }
    }
    assert!(lost.is_empty(), "lost {} of {}: {lost:?}", lost.len(), acknowledged.len());
}
