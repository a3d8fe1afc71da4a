//! Nodes of two releases in one cluster (spec §2.1, ha.md F21): a build that knows one format more beside the current one.

use serde_json::json;

use super::everywhere;
use super::old_disks::copy;
use crate::harness::api::{Answer, Api};
use crate::harness::cluster::{Cluster, NAMES, PATIENCE};
use crate::harness::process::BINARY;

/// Path of the newer build, which scripts/test makes.
const NEWER: &str = "HELLOJOHN_NEXT_BUILD";
/// The newest format that the current build knows.
const CURRENT: u64 = 3;

async fn hand_over(cluster: &Cluster, token: &str, to: &str) {
    let leader = cluster.leader().await;
    if leader != to {
        let path = "/v1/admin/cluster/step-down";
        cluster.api(leader).bearer(token).post(path, json!({"to": to})).await.expect(200);
    }
}

/// What only the newer build can do.
async fn rename(api: &Api, name: &str) -> Answer {
    api.post("/v1/admin/tenants/acme/rename", json!({"name": name})).await
}

/// The format that the cluster writes and the one that the node knows.
async fn formats(api: &Api) -> (u64, u64) {
    let cluster = api.get("/v1/admin/cluster").await.expect(200).json();
    (cluster["format"].as_u64().unwrap(), cluster["format_known"].as_u64().unwrap())
}

/// Waits until every node says that the cluster writes the first of these formats, and that it knows the second.
async fn raised(cluster: &Cluster, token: &str, wanted: (u64, u64)) {
    let deadline = std::time::Instant::now() + PATIENCE;
    for name in NAMES {
        while formats(&cluster.api(name).bearer(token)).await != wanted {
            assert!(std::time::Instant::now() < deadline, "{name}: the format is not raised");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

/// While some node runs the current build and `newer` the newer one: either can lead, and nothing new is written.
async fn mixed(cluster: &Cluster, token: &str, newer: &'static str, round: &str) {
    let api = cluster.api(newer).bearer(token);
    hand_over(cluster, token, newer).await;
    assert_eq!(formats(&api).await, (CURRENT, CURRENT + 1));
    let refused = rename(&api, round).await.expect(409);
    assert_eq!(refused.code(), "upgrade_pending");
    assert!(refused.json()["detail"].as_str().unwrap().contains("every node is upgraded"), "{refused:?}");
    let index = cluster.put_tenant(token, &format!("{round}-by-newer")).await;
    everywhere(cluster, index).await;
    let older = NAMES.into_iter().find(|name| *name != newer).unwrap();
    hand_over(cluster, token, older).await;
    let index = cluster.put_tenant(token, &format!("{round}-by-other")).await;
    everywhere(cluster, index).await;
}

/// The current build ends by itself and says why.
fn refuses(cluster: &mut Cluster, name: &'static str, why: &str) {
    cluster.start_build(name, BINARY);
    let mut process = cluster.processes.remove(name).unwrap();
    assert!(process.wait(PATIENCE).is_some_and(|status| !status.success()), "{name} goes on");
    let log = process.log_text();
    assert!(log.contains(why) && log.contains("upgrade this node"), "{log}");
}

/// F21: upgraded one by one, one of them back and upgraded again; then there is no way back, and the current build says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f21_a_newer_release_comes_node_by_node_and_nothing_unknown_reaches_an_older_one() {
    #[expect(clippy::disallowed_methods, reason = "a setting of the tests, not of the product")]
    let Ok(newer) = std::env::var(NEWER) else {
        println!("SKIPPED: {NEWER} does not name a newer build (scripts/test makes one); F21 was not tested");
        return;
    };
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    cluster.put_tenant(&token, "acme").await;
    raised(&cluster, &token, (CURRENT, CURRENT)).await;

    cluster.restart_with("node1", &newer).await;
    mixed(&cluster, &token, "node1", "one").await;
    cluster.restart_with("node2", &newer).await;
    mixed(&cluster, &token, "node2", "two").await;
    cluster.restart_with("node2", BINARY).await;
    mixed(&cluster, &token, "node1", "back").await;
    cluster.restart_with("node2", &newer).await;
    // As it is before anything new was written.
    cluster.stop("node1");
    let before = cluster.dir.path().join("node1-before");
    copy(&cluster.root("node1"), &before);
    cluster.start_build("node1", &newer);
    cluster.ready("node1").await;
    cluster.restart_with("node3", &newer).await;

    raised(&cluster, &token, (CURRENT + 1, CURRENT + 1)).await;
    hand_over(&cluster, &token, "node3").await;
    rename(&cluster.api("node3").bearer(&token), "renamed").await.expect(204);
    let index = cluster.put_tenant(&token, "after").await;
    everywhere(&cluster, index).await;
    for name in NAMES {
        let acme = cluster.api(name).bearer(&token).get("/v1/admin/tenants/acme").await.expect(200).json();
        assert_eq!(acme["name"], "renamed", "{name}");
    }

    // Its log has what the current build does not know.
    cluster.stop("node1");
    refuses(&mut cluster, "node1", &format!("format version {}", CURRENT + 1));
    // It was away while the new things were written; whoever leads has not seen it.
    hand_over(&cluster, &token, "node2").await;
    let disk = cluster.root("node1");
    std::fs::remove_dir_all(&disk).unwrap();
    std::fs::rename(&before, &disk).unwrap();
    refuses(&mut cluster, "node1", &format!("format version {}", CURRENT + 1));
    // Its disk is lost.
    std::fs::remove_dir_all(&disk).unwrap();
    cluster.start_node("node1");
    cluster
        .until("node1", "turned down for its release", |answer| {
            let waiting = answer.json()["cluster"]["waiting"].to_string();
            waiting.contains(&format!("its release knows formats up to {CURRENT}"))
                && waiting.contains("upgrade the node")
        })
        .await;
    cluster.restart_with("node1", &newer).await;
    let index = cluster.put_tenant(&token, "healed").await;
    everywhere(&cluster, index).await;
}
