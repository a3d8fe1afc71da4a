//! Two of three nodes are lost for good (F20, docs/decisions/0013).

use serde_json::{Value, json};

use super::snapshots::{cluster_command, furnished, jwks, said, told};
use crate::harness::cluster::{Cluster, NAMES, tree};

fn last_entry(cluster: &Cluster, name: &str) -> (u64, u64) {
    let root = cluster.root(name).display().to_string();
    let seen = told(&cluster_command(&["snapshot", "inspect", &root, "--output", "json"]));
    let number = |member: &str| seen["log"][member].as_u64().unwrap();
    (number("last_term"), number("last_index"))
}

fn recover(cluster: &Cluster, name: &str, cluster_id: &str, accept: bool) -> std::process::Output {
    let root = cluster.root(name).display().to_string();
    let mut args = vec!["recover", "--data", &root, "--cluster-id", cluster_id, "--output", "json"];
    if accept {
        args.push("--i-accept-data-loss");
    }
    cluster_command(&args)
}

/// F20: with the flag and the typed cluster id the survivor goes on alone with everything that it had. When the lost nodes
/// come back all the same, nobody of the two clusters takes the other for its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f20_a_survivor_goes_on_as_a_new_cluster_and_the_lost_ones_do_not_mix_with_it() {
    let (mut cluster, token) = furnished(Cluster::prepare_without_database()).await;
    let survivor = cluster.followers().await[0];
    let lost: Vec<&'static str> =
        cluster.processes.keys().copied().filter(|name| *name != survivor).collect();
    let keys = jwks(&cluster, survivor).await;
    let old = cluster.readyz(survivor).await.unwrap().json()["cluster"]["cluster_id"].clone();
    let old = old.as_str().unwrap().to_owned();
    let running = recover(&cluster, survivor, &old, true);
    assert_eq!(running.status.code(), Some(4), "{}", said(&running));
    for name in &lost {
        cluster.kill9(name);
    }
    cluster.kill9(survivor);
    // The documented way to choose: the highest last entry. Here all have all of it.
    assert!(lost.iter().all(|name| last_entry(&cluster, name) <= last_entry(&cluster, survivor)));

    let files = tree(&cluster.root(survivor));
    let dry = recover(&cluster, survivor, &old, false);
    assert_eq!(dry.status.code(), Some(2), "{}", said(&dry));
    let dry: Value = serde_json::from_slice(&dry.stdout).unwrap();
    assert_eq!((&dry["changed"], &dry["before"]["cluster_id"]), (&json!(false), &json!(old)));
    let wrong = recover(&cluster, survivor, "6f1c2a54-0000-4000-8000-000000000000", true);
    assert_eq!(wrong.status.code(), Some(4), "{}", said(&wrong));
    assert!(said(&wrong).contains(&old), "{}", said(&wrong));

    let done = told(&recover(&cluster, survivor, &old, true));
    assert_eq!(done["state"]["index"], dry["before"]["log"]["last_index"]);
    let aside = std::path::PathBuf::from(done["aside"].as_str().unwrap());
    assert!(
        aside.join("log").is_dir()
            && aside.file_name().unwrap().to_str().unwrap().starts_with("raft.before-recover-")
    );
    cluster.start_node(survivor);
    // It serves people before it has elected itself: ready does not need a leader.
    let ready = cluster
        .until(survivor, "ready and leads", |answer| {
            answer.status == 200 && answer.json()["cluster"]["leader_id"] == survivor
        })
        .await;
    let term = ready["cluster"]["term"].clone();
    assert_eq!(ready["cluster"]["cluster_id"], done["cluster_id"]);
    assert_ne!(ready["cluster"]["cluster_id"], old);
    assert_eq!(jwks(&cluster, survivor).await, keys);
    cluster.projected(survivor, ready["raft"]["applied_index"].as_u64().unwrap()).await;
    assert_eq!(tree(&cluster.root(survivor)), files);
    cluster.put_tenant(&token, "after-the-loss").await;

    // They were not lost after all, and nobody had emptied them.
    for name in &lost {
        cluster.start_node(name);
    }
    for name in &lost {
        let ready = cluster.ready(name).await;
        assert_eq!(ready["cluster"]["cluster_id"], json!(old), "{name}");
        cluster.api(name).bearer(&token).get("/v1/admin/tenants/after-the-loss").await.expect(404);
    }
    let ready = cluster.ready(survivor).await;
    assert_eq!(
        (&ready["cluster"]["leader_id"], &ready["cluster"]["cluster_id"]),
        (&json!(survivor), &done["cluster_id"])
    );
    assert_eq!(ready["cluster"]["term"], term, "its leadership is not disturbed");
    assert!(ready["raft"]["num_peers"] == 0, "{ready}");
}

/// F20: of two lost nodes one came back as the steps say, and the other was forgotten: its disk knows keys and tenants that are
/// gone, so it is not ready. While it may be the one that is right it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f20_a_disk_of_the_old_cluster_is_not_ready_once_most_nodes_are_of_the_new_one() {
    let (mut cluster, token) = furnished(Cluster::prepare_without_database()).await;
    let [survivor, emptied, forgotten] = NAMES;
    let old = cluster.readyz(survivor).await.unwrap().json()["cluster"]["cluster_id"].clone();
    let old = old.as_str().unwrap().to_owned();
    for name in NAMES {
        cluster.kill9(name);
    }
    let done = told(&recover(&cluster, survivor, &old, true));
    cluster.start_node(survivor);
    cluster.ready(survivor).await;
    cluster.start_node(forgotten);
    cluster.ready(forgotten).await;

    let added = json!({"name": emptied});
    cluster.api(survivor).bearer(&token).post("/v1/admin/cluster/members", added).await.expect(201);
    std::fs::remove_dir_all(cluster.root(emptied)).unwrap();
    cluster.start_node(emptied);
    cluster.ready(emptied).await;
    let unready = cluster
        .until(forgotten, "finds itself in another cluster than most", |answer| {
            answer.status == 503 && answer.json()["code"] == "other_cluster"
        })
        .await;
    let detail = unready["failing"][0]["detail"].as_str().unwrap();
    assert!(detail.contains(&old) && detail.contains(done["cluster_id"].as_str().unwrap()), "{detail}");
    for name in [survivor, emptied] {
        cluster.ready(name).await;
    }
    // Nor when it is started again.
    cluster.kill9(forgotten);
    cluster.start_node(forgotten);
    cluster.until(forgotten, "is not ready", |answer| answer.json()["code"] == "other_cluster").await;
}

/// Spec §13.2: a node that promised itself to a cluster which never forms is free again by command.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promise_is_taken_back_by_command_and_a_member_is_not_touched() {
    let mut cluster = Cluster::prepare_without_database();
    let raft = cluster.root("node2").join("raft");
    std::fs::create_dir_all(&raft).unwrap();
    let promised = json!({
        "format_version": 1, "node_name": "node2", "incarnation": 0, "state": "promised", "raft_id": null,
        "cluster_id": null, "promise": {"cluster_id": "6f1c2a54-0000-4000-8000-000000000000", "formed_by": "node1",
            "raft_ids": {"node1": 1, "node2": 2, "node3": 3}},
    });
    std::fs::write(raft.join("identity.json"), promised.to_string()).unwrap();
    let root = cluster.root("node2").display().to_string();
    cluster.start_node("node2");
    cluster
        .until("node2", "waits for its promise", |answer| {
            answer.json()["cluster"]["waiting"].as_str().is_some_and(|why| why.contains("promised to found"))
        })
        .await;
    let running = cluster_command(&["reset-promise", "--data", &root]);
    assert_eq!(running.status.code(), Some(4), "{}", said(&running));
    cluster.kill9("node2");
    let reset = told(&cluster_command(&["reset-promise", "--data", &root, "--output", "json"]));
    assert_eq!(reset["reset"], true);
    assert_eq!(
        told(&cluster_command(&["reset-promise", "--data", &root, "--output", "json"]))["reset"],
        false
    );
    // It founds a cluster like any other empty disk.
    cluster.start_all().await;
    cluster.kill9("node2");
    let member = cluster_command(&["reset-promise", "--data", &root]);
    assert_eq!(member.status.code(), Some(4), "{}", said(&member));
    cluster.start_node("node2");
    cluster.ready("node2").await;
}
