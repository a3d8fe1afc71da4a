//! Certificates and the CA are replaced while the cluster runs (ha.md F17).

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use hellojohn::cli::certs;
use hellojohn::domain::clock::SystemClock;
use reqwest::Method;
use serde_json::json;

use crate::harness::api::Api;
use crate::harness::cluster::{Cluster, NAMES, PATIENCE};

const RENEWED: &str = "new certificates for the peer connections are in use";

/// Writes tenants to one node until told to stop; gives how many, and every answer that was none.
async fn write_until(api: Api, stop: Arc<AtomicBool>) -> (usize, Vec<String>) {
    let (mut written, mut failed) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let body = Some(json!({"name": format!("{written}")}).to_string().into_bytes());
        match api.try_send(Method::PUT, "/v1/admin/tenants/acme", &[], body).await {
            Some(answer) if matches!(answer.status, 200 | 201) => written += 1,
            other => failed.push(format!("{other:?}")),
        }
    }
    (written, failed)
}

/// Puts files in the place of a node's, as an operator would: whole, under the name.
fn replace(from: &Path, to: &Path) {
    let beside = to.with_extension("new");
    std::fs::copy(from, &beside).unwrap();
    std::fs::rename(&beside, to).unwrap();
}

/// Waits until every node has taken new files so many times.
fn taken(cluster: &Cluster, times: usize) {
    let deadline = Instant::now() + PATIENCE;
    for (name, process) in &cluster.processes {
        while process.log_text().matches(RENEWED).count() < times {
            assert!(Instant::now() < deadline, "{name} did not take its files for the {times}th time");
            crate::harness::process::pause();
        }
    }
}

/// F17: first both CAs, then certificates of the new one, then the new CA alone. No write fails, nobody stands for election.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f17_certificates_and_ca_are_replaced_under_load() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    let leader = cluster.leader().await;
    let before = cluster.readyz(leader).await.unwrap().json();
    let stop = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(write_until(cluster.api(leader).bearer(&token), Arc::clone(&stop)));

    let (old, new) = (cluster.dir.path().join("certs"), cluster.dir.path().join("new"));
    let names = NAMES.map(str::to_owned);
    let options = certs::Options { overwrite: false, extra_sans: Vec::new() };
    certs::generate(&new, &names, &options, &SystemClock).unwrap();
    let both = cluster.dir.path().join("both.pem");
    let text = |dir: &Path| std::fs::read_to_string(dir.join("ca.pem")).unwrap();
    std::fs::write(&both, text(&old) + &text(&new)).unwrap();
    replace(&both, &old.join("ca.pem"));
    taken(&cluster, 1);
    for name in NAMES {
        // One file after the other: in between they do not fit together, and the old ones stay in use.
        replace(&new.join(format!("{name}-key.pem")), &old.join(format!("{name}-key.pem")));
        replace(&new.join(format!("{name}.pem")), &old.join(format!("{name}.pem")));
    }
    taken(&cluster, 2);
    replace(&new.join("ca.pem"), &old.join("ca.pem"));
    taken(&cluster, 3);

    let reached = cluster.put_tenant(&token, "after").await;
    super::everywhere(&cluster, reached).await;
    stop.store(true, Ordering::Relaxed);
    let (written, failed) = load.await.unwrap();
    assert!(written > 10, "{written}");
    assert_eq!(failed, Vec::<String>::new());
    let after = cluster.readyz(leader).await.unwrap().json();
    assert_eq!(before["cluster"]["term"], after["cluster"]["term"]);
    assert!(after["cluster"]["certificate_ends"].as_str() >= before["cluster"]["certificate_ends"].as_str());

    // A node that missed it is turned down by the others, by name, and comes back with its new files.
    let late = cluster.followers().await[0];
    let foreign = cluster.dir.path().join("foreign");
    certs::generate(&foreign, &names, &options, &SystemClock).unwrap();
    cluster.kill9(late);
    for file in [format!("{late}.pem"), format!("{late}-key.pem"), "ca.pem".to_owned()] {
        replace(&old.join(&file), &cluster.dir.path().join(format!("kept-{file}")));
    }
    let kept_in = cluster.dir.path().to_owned();
    let kept = |file: &str| kept_in.join(format!("kept-{file}"));
    for file in [format!("{late}.pem"), format!("{late}-key.pem")] {
        replace(&foreign.join(&file), &old.join(&file));
    }
    replace(&foreign.join("ca.pem"), &old.join("ca.pem"));
    let others: Vec<_> = NAMES.into_iter().filter(|name| *name != late).collect();
    cluster.start_node(late);
    let index = cluster.put_tenant(&token, "without-it").await;
    cluster.until(late, "without a leader", |answer| answer.json()["cluster"]["leader_id"].is_null()).await;
    for file in [format!("{late}.pem"), format!("{late}-key.pem"), "ca.pem".to_owned()] {
        replace(&kept(&file), &cluster.dir.path().join("certs").join(&file));
    }
    cluster
        .until(late, "back", |answer| answer.json()["raft"]["applied_index"].as_u64() >= Some(index))
        .await;
    for name in others {
        cluster.ready(name).await;
    }
}
