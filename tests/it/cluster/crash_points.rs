//! A node that is killed at each of its steps on the disk (ha.md F11): as it votes, appends, syncs, applies, takes and
//! prunes snapshots, purges its log and writes its files.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{everywhere, strace_works};
use crate::harness::api::Api;
use crate::harness::cluster::{Cluster, NAMES, tree};
use crate::harness::process::pause;

const VICTIM: &str = "node2";
/// How long a node has to come to the step. One that does not is killed wherever it is.
const COMES: Duration = Duration::from_secs(10);

/// Steps at which a node is killed.
struct Steps {
    /// System calls that change a disk for good.
    calls: &'static str,
    /// Only those on this file or directory of the node.
    on: Option<&'static str>,
    /// Which call of a thread.
    at: &'static [u32],
}

const STEPS: [Steps; 6] = [
    Steps { calls: "fdatasync", on: None, at: &[1, 2, 4, 9, 20] },
    Steps { calls: "fsync", on: None, at: &[1, 3, 8] },
    // Once when the directory is opened, once when a snapshot has its name.
    Steps { calls: "fsync", on: Some("raft/snapshots"), at: &[1, 2] },
    // With the name of a new tenant in it.
    Steps { calls: "fsync", on: Some("tenants"), at: &[1] },
    Steps { calls: "rename,renameat,renameat2", on: None, at: &[1, 2, 5, 12] },
    Steps { calls: "unlink,unlinkat", on: None, at: &[1, 3] },
];

/// Writes through whoever takes it until told to stop; gives what was acknowledged.
async fn keep_writing(nodes: Vec<Api>, round: String, stop: Arc<AtomicBool>) -> Vec<String> {
    let mut written = Vec::new();
    let mut number = 0_u32;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let slug = format!("{round}-{}", number % 30);
        let name = format!("{round} {number}");
        for api in &nodes {
            let body = Some(json!({"name": name}).to_string().into_bytes());
            let answer =
                api.try_send(reqwest::Method::PUT, &format!("/v1/admin/tenants/{slug}"), &[], body).await;
            if answer.is_some_and(|answer| matches!(answer.status, 200 | 201)) {
                written.push(slug);
                break;
            }
        }
    }
    written
}

/// What the node was about to change when it was killed, as far as the trace tells.
fn touched(trace: &Path, places: &mut BTreeSet<&'static str>) {
    let text = std::fs::read_to_string(trace).unwrap_or_default();
    // A call that came back tells a number.
    for line in text.lines().filter(|line| line.contains("unfinished") || line.contains("= ?")) {
        for (part, place) in [
            ("/raft/log/", "log"),
            ("/raft/snapshots>", "snapshots"),
            ("/tenants", "files"),
            ("/keys", "files"),
        ] {
            if line.contains(part) {
                places.insert(place);
            }
        }
    }
}

/// One life of the victim, ended at a step.
async fn killed_at(cluster: &mut Cluster, token: &str, steps: &Steps, step: u32, trace: &Path) -> bool {
    let inject = format!("inject={}:signal=SIGKILL:when={step}", steps.calls);
    let filter = format!("trace={}", steps.calls);
    let out = trace.display().to_string();
    let path = steps.on.map(|on| cluster.root(VICTIM).join(on).display().to_string());
    let mut args = vec!["-f", "-y", "-o", &out, "-e", &filter, "-e", &inject];
    args.extend(path.iter().flat_map(|path| ["-P", path.as_str()]));
    cluster.start_node_below(VICTIM, "strace", &args);
    let deadline = Instant::now() + COMES;
    let mut process = cluster.processes.remove(VICTIM).unwrap();
    let mut asked = false;
    while process.wait(Duration::ZERO).is_none() {
        if Instant::now() > deadline {
            process.kill9();
            return false;
        }
        let ready = cluster.readyz(VICTIM).await.is_some_and(|answer| answer.status == 200);
        if ready && !asked {
            // So that it votes for itself, and leads.
            asked = true;
            for name in NAMES.into_iter().filter(|name| *name != VICTIM) {
                let path = "/v1/admin/cluster/step-down";
                let body = Some(json!({"to": VICTIM}).to_string().into_bytes());
                drop(cluster.api(name).bearer(token).try_send(reqwest::Method::POST, path, &[], body).await);
            }
        }
        pause();
    }
    true
}

/// F11: a clean restart each time; what was acknowledged is there, and state and files are those of the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f11_a_node_may_be_killed_at_any_step_on_its_disk() {
    if !strace_works() {
        println!(
            "SKIPPED: strace is missing or may not trace; a node that is killed at its steps was not tested"
        );
        return;
    }
    let mut cluster = Cluster::prepare_without_database();
    cluster.set("RAFT_SNAPSHOT_EVERY", "20");
    cluster.start_all().await;
    let token = cluster.mint_token();
    let (mut places, mut killed) = (BTreeSet::new(), 0);
    cluster.stop(VICTIM);
    for (group, steps) in STEPS.iter().enumerate() {
        for step in steps.at {
            let round = format!("{group}-{step}");
            eprintln!("{} {}, number {step}", steps.calls, steps.on.unwrap_or_default());
            let trace = cluster.dir.path().join(format!("{round}.trace"));
            let stop = Arc::new(AtomicBool::new(false));
            let nodes = NAMES.map(|name| cluster.api(name).bearer(&token)).to_vec();
            let load = tokio::spawn(keep_writing(nodes, round.clone(), Arc::clone(&stop)));
            killed += usize::from(killed_at(&mut cluster, &token, steps, *step, &trace).await);
            touched(&trace, &mut places);
            cluster.start_node(VICTIM);
            cluster.ready(VICTIM).await;
            stop.store(true, Ordering::Relaxed);
            let written = load.await.unwrap();
            let index = cluster.put_tenant(&token, &format!("{round}-end")).await;
            everywhere(&cluster, index).await;
            let mut hashes = BTreeSet::new();
            for name in NAMES {
                let api = cluster.api(name).bearer(&token);
                let answer = api.get("/v1/admin/cluster").await.expect(200).json();
                assert_eq!(answer["applied_index"], index, "{round}: {name}");
                hashes.insert(answer["state_hash"].to_string());
                for slug in written.iter().collect::<BTreeSet<_>>() {
                    api.get(&format!("/v1/admin/tenants/{slug}")).await.expect(200);
                }
                cluster.projected(name, index).await;
            }
            assert_eq!(hashes.len(), 1, "{round}: {hashes:?}");
            assert_eq!(tree(&cluster.root(VICTIM)), tree(&cluster.root("node1")), "{round}");
            cluster.stop(VICTIM);
        }
    }
    assert!(killed >= 8, "only {killed} steps were reached");
    assert_eq!(places, BTreeSet::from(["files", "log", "snapshots"]));
}
