//! A write is acknowledged only after it was synced to the disk of the leader and of a majority: seen from
//! outside, by the system calls of all three nodes under strace (ha.md).

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::strace_works;
use crate::harness::cluster::{Cluster, NAMES};

/// What one line of a trace says that matters here.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Seen {
    /// A sync of sled's file came back.
    Synced,
    /// The answer to the write began to leave.
    Answered,
}

fn read_trace(path: &Path) -> Vec<(f64, Seen)> {
    let text = std::fs::read_to_string(path).unwrap();
    let mut unfinished: BTreeMap<&str, bool> = BTreeMap::new();
    let mut seen = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(pid), Some(time)) = (words.next(), words.next()) else { continue };
        let Ok(time) = time.parse::<f64>() else { continue };
        let sync = line.contains("fdatasync(") || line.contains("fsync(");
        if sync && line.contains("/raft/log/db>") {
            if line.contains("<unfinished") {
                unfinished.insert(pid, true);
            } else {
                seen.push((time, Seen::Synced));
            }
        } else if line.contains("<... fdatasync resumed>") || line.contains("<... fsync resumed>") {
            if unfinished.remove(pid).is_some() {
                seen.push((time, Seen::Synced));
            }
        } else if line.contains("HTTP/1.1 201 Created") {
            seen.push((time, Seen::Answered));
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_synced_on_a_majority_before_it_is_acknowledged() {
    if !strace_works() {
        println!(
            "SKIPPED: strace is missing or may not trace; the order of syncs and answers was not checked"
        );
        return;
    }
    let mut cluster = Cluster::prepare_without_database();
    // Tracing slows everything down; elections in between would only blur the picture.
    cluster.set("RAFT_HEARTBEAT_MS", "300");
    cluster.set("RAFT_ELECTION_MIN_MS", "3000");
    cluster.set("RAFT_ELECTION_MAX_MS", "6000");
    let traces: BTreeMap<&str, std::path::PathBuf> =
        NAMES.map(|name| (name, cluster.dir.path().join(format!("{name}.trace")))).into();
    for name in NAMES {
        let trace = traces[name].display().to_string();
        let args =
            ["-f", "-ttt", "-y", "-s", "64", "-e", "trace=fdatasync,fsync,write,writev,sendto", "-o", &trace];
        cluster.start_node_below(name, "strace", &args);
    }
    cluster.leader().await;
    for name in NAMES {
        cluster.ready(name).await;
    }
    let token = cluster.mint_token();
    let leader = cluster.leader().await;
    let api = cluster.api(leader).bearer(&token);
    const WRITES: usize = 10;
    let mut starts = Vec::new();
    for i in 0..WRITES {
        let before = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        api.put(&format!("/v1/admin/tenants/s{i}"), json!({"name": "x"})).await.expect(201);
        starts.push(before);
    }
    for name in NAMES {
        cluster.kill9(name);
    }
    let seen: BTreeMap<&str, Vec<(f64, Seen)>> =
        traces.iter().map(|(name, path)| (*name, read_trace(path))).collect();
    let answers: Vec<f64> =
        seen[leader].iter().filter(|(_, what)| *what == Seen::Answered).map(|(time, _)| *time).collect();
    assert_eq!(answers.len(), WRITES, "every answer is in the leader's trace");
    for (start, answer) in starts.iter().zip(&answers) {
        let synced_on: Vec<&str> = seen
            .iter()
            .filter(|(_, events)| {
                events.iter().any(|(time, what)| *what == Seen::Synced && time > start && time < answer)
            })
            .map(|(name, _)| *name)
            .collect();
        assert!(synced_on.contains(&leader), "the leader acknowledged before it synced: {synced_on:?}");
        assert!(synced_on.len() >= 2, "no majority had synced: {synced_on:?}");
    }
}
