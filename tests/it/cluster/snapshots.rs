//! The control plane in a file, and back out of it into a new cluster (F19, spec §3.5, §13.1).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;

use reqwest::Method;
use serde_json::{Value, json};

use super::{everywhere, make_acme};
use crate::harness::api::Answer;
use crate::harness::cluster::{Cluster, NAMES, tree};
use crate::harness::process::{BINARY, Process, run};

/// What a relying party fetches.
pub(super) const JWKS: [&str; 2] = ["/.well-known/jwks.json", "/.well-known/jwks/acme.json"];

/// A cluster with a tenant that has keys of its own, a client and rotated keys, the same everywhere; gives the admin's
/// token too.
pub(super) async fn furnished(mut cluster: Cluster) -> (Cluster, String) {
    cluster.start_all().await;
    let token = cluster.mint_token();
    make_acme(&cluster, &token).await;
    let leader = cluster.api(cluster.leader().await).bearer(&token);
    let path_mode = json!({"settings": {"issuerMode": "path"}});
    leader.put("/v1/admin/tenants/acme", path_mode).await.expect(200);
    leader.post("/v1/admin/tenants/acme/keys/rotate", json!({"graceSeconds": 3600})).await.expect(200);
    leader.post("/v1/admin/keys/rotate", json!({"graceSeconds": 3600})).await.expect(200);
    let index = cluster.put_tenant(&token, "beta").await;
    everywhere(&cluster, index).await;
    for name in NAMES {
        cluster.projected(name, index).await;
    }
    (cluster, token)
}

/// The bytes of the key sets that a node publishes.
pub(super) async fn jwks(cluster: &Cluster, name: &str) -> Vec<Vec<u8>> {
    let mut sets = Vec::new();
    for path in JWKS {
        sets.push(cluster.api(name).get(path).await.expect(200).body);
    }
    sets
}

/// Runs `cluster …` without any setting of a node.
pub(super) fn cluster_command(args: &[&str]) -> Output {
    run(&[&["cluster"], args].concat(), &BTreeMap::new())
}

/// The JSON that a command which succeeds writes.
#[track_caller]
pub(super) fn told(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(super) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn inspect(path: &Path) -> Output {
    cluster_command(&["snapshot", "inspect", &path.display().to_string(), "--output", "json"])
}

/// Saves what the node has applied while it runs.
pub(super) fn save(cluster: &Cluster, name: &str, token: &str, file: &Path) -> Value {
    let mut env = cluster.env(name);
    env.insert("HELLOJOHN_BEARER".to_owned(), token.to_owned());
    let file = file.display().to_string();
    told(&run(&["--env", "cluster", "snapshot", "save", &file, "--output", "json"], &env))
}

pub(super) fn restore(file: &Path, data: &Path, node: &str) -> Output {
    let (file, data) = (file.display().to_string(), data.display().to_string());
    let args =
        ["snapshot", "restore", file.as_str(), "--data", data.as_str(), "--node", node, "--output", "json"];
    cluster_command(&args)
}

/// Starts a node of the cluster on another data directory, with some settings changed.
fn start_on(cluster: &mut Cluster, name: &'static str, data: &Path, changed: &[(&str, &str)]) {
    let mut env = cluster.env(name);
    env.insert("CONTROL_PLANE_FS_ROOT".to_owned(), data.display().to_string());
    for (name, value) in changed {
        env.insert((*name).to_owned(), (*value).to_owned());
    }
    let process = Process::start(BINARY, &["serve", "--env"], &env, &cluster.log(name));
    cluster.processes.insert(name, process);
}

fn kill_all(cluster: &mut Cluster) {
    for name in NAMES {
        if cluster.processes.contains_key(name) {
            cluster.kill9(name);
        }
    }
}

fn marker(data: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(data.join("raft/identity.json")).unwrap()).unwrap()
}

/// F19, T47: JWKS and catalogue are byte-equal, the cluster is another one, and it leads alone and takes writes, also after
/// it was started again, as a member of a cluster to be and as a single node.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f19_an_archive_restored_into_a_new_cluster_has_the_same_keys_and_documents() {
    let (mut cluster, token) = furnished(Cluster::prepare_without_database()).await;
    let follower = cluster.followers().await[0];
    let file = cluster.dir.path().join("online.snap");
    let saved = save(&cluster, follower, &token, &file);
    let ready = cluster.readyz(follower).await.unwrap().json();
    let old = ready["cluster"]["cluster_id"].clone();
    assert_eq!(saved["state"]["cluster_id"], old);
    assert_eq!(saved["state"]["index"], ready["raft"]["applied_index"]);
    let members: Vec<_> = saved["state"]["members"].as_array().unwrap().iter().map(|m| &m["name"]).collect();
    assert_eq!(members, NAMES);
    assert_eq!((&saved["state"]["tenants"], &saved["state"]["clients"]), (&json!(2), &json!(1)));
    let inspected = told(&inspect(&file));
    assert_eq!(inspected["state"], saved["state"]);
    let (keys, files) = (jwks(&cluster, follower).await, tree(&cluster.root(follower)));
    kill_all(&mut cluster);

    // The disk of the same node, when it is stopped, says the same.
    let offline = cluster.dir.path().join("offline.snap");
    let root = cluster.root(follower).display().to_string();
    let from_disk = ["snapshot", "save", &offline.display().to_string(), "--data", &root, "--output", "json"];
    let from_disk = told(&cluster_command(&from_disk));
    assert_eq!(from_disk["state"]["state_hash"], saved["state"]["state_hash"]);

    let modes = [("node1", &file, "embedded"), ("node2", &offline, "off")];
    for (name, archive, mode) in modes {
        let data = cluster.dir.path().join(format!("restored-{name}"));
        let restored = told(&restore(archive, &data, name));
        assert_ne!(restored["cluster_id"], old);
        assert_eq!(marker(&data)["raft_id"], restored["raft_id"]);
        assert!(restored["raft_id"].as_u64() > Some(3), "{restored}");
        for start in 0..2 {
            start_on(&mut cluster, name, &data, &[("CLUSTER_MODE", mode)]);
            // Ready before it leads: people can be served without.
            cluster.ready(name).await;
            let leads = |answer: &Answer| answer.json()["cluster"]["leader_id"] == name;
            let ready = cluster.until(name, "leading", leads).await;
            assert_eq!(ready["cluster"]["cluster_id"], restored["cluster_id"], "{name} {ready}");
            assert_eq!(ready["cluster"]["voter"], true, "{name} {ready}");
            assert_eq!(jwks(&cluster, name).await, keys, "{name}");
            let index = ready["raft"]["applied_index"].as_u64().unwrap();
            cluster.projected(name, index).await;
            if start == 0 {
                assert_eq!(tree(&data), files, "{name}");
            }
            // Tokens of the old cluster are tokens of the new one: the keys and the issuer are the same.
            let api = cluster.api(name).bearer(&token);
            let tenant = format!("/v1/admin/tenants/after-{start}");
            api.put(&tenant, json!({"name": "After"})).await.expect(201);
            cluster.kill9(name);
        }
    }
}

/// F19: flips, cuts, trailing bytes and another version are refused by name, and nothing is touched.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f19_a_damaged_archive_is_refused_before_anything_is_touched() {
    let (mut cluster, token) = furnished(Cluster::prepare_without_database()).await;
    let file = cluster.dir.path().join("whole.snap");
    let name = cluster.leader().await;
    save(&cluster, name, &token, &file);
    let whole = std::fs::read(&file).unwrap();
    let mut damaged: Vec<(String, Vec<u8>)> = Vec::new();
    for at in [0, 7, 9, 40, whole.len() / 2, whole.len() - 1] {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x20;
        damaged.push((format!("flip-{at}"), flipped));
    }
    for length in [0, 5, 30, whole.len() / 2, whole.len() - 1] {
        damaged.push((format!("cut-{length}"), whole[..length].to_vec()));
    }
    damaged.push(("trailing".to_owned(), [whole.as_slice(), b"\n"].concat()));
    let used = cluster.dir.path().join("used");
    told(&restore(&file, &used, "node1"));
    let before = all_files(&used);
    for (what, bytes) in damaged {
        let path = cluster.dir.path().join(format!("{what}.snap"));
        std::fs::write(&path, bytes).unwrap();
        let new = cluster.dir.path().join(format!("new-{what}"));
        for output in [inspect(&path), restore(&path, &new, "node1")] {
            assert_eq!(output.status.code(), Some(1), "{what}: {}", said(&output));
            assert!(said(&output).contains(&format!("{what}.snap")), "{what}: {}", said(&output));
            assert!(output.stdout.is_empty(), "{what}");
        }
        assert!(!new.exists(), "{what}");
        assert_eq!(restore(&path, &used, "node1").status.code(), Some(1));
    }
    // A whole one goes nowhere where somebody lives, running or not.
    assert_eq!(restore(&file, &used, "node1").status.code(), Some(4));
    assert_eq!(all_files(&used), before);
    let busy = restore(&file, &cluster.root(name), name);
    assert!(said(&busy).contains("in use"), "{}", said(&busy));
    assert_eq!(busy.status.code(), Some(4));
    let root = cluster.root(name).display().to_string();
    let args =
        ["snapshot", "save", &cluster.dir.path().join("x.snap").display().to_string(), "--data", &root];
    let busy = cluster_command(&args);
    assert_eq!(busy.status.code(), Some(4), "{}", said(&busy));
    // And no file is replaced.
    let mut env = cluster.env(name);
    env.insert("HELLOJOHN_BEARER".to_owned(), token);
    let again = run(&["--env", "cluster", "snapshot", "save", &file.display().to_string()], &env);
    assert_eq!(again.status.code(), Some(4), "{}", said(&again));
    assert_eq!(std::fs::read(&file).unwrap(), whole);
    kill_all(&mut cluster);
}

fn all_files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    crate::harness::cluster::walk(dir, dir, &mut files);
    files
}

/// Spec §13.1: CLUSTER_MODE=off on a disk with several voters says how, and it works from a copy of raft/. The copy is not
/// changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_node_is_made_from_a_copy_of_a_members_raft_directory() {
    let (mut cluster, token) = furnished(Cluster::prepare_without_database()).await;
    let (keys, files) = (jwks(&cluster, "node3").await, tree(&cluster.root("node3")));
    kill_all(&mut cluster);
    let root = cluster.root("node3");
    start_on(&mut cluster, "node3", &root, &[("CLUSTER_MODE", "off")]);
    let mut refused = cluster.processes.remove("node3").unwrap();
    assert!(refused.wait(crate::harness::cluster::PATIENCE).is_some());
    assert!(refused.log_text().contains("cluster snapshot restore --from-dir DIR --data NEW"));

    let copy: PathBuf = cluster.dir.path().join("copy");
    let copied =
        std::process::Command::new("cp").arg("-r").arg(root.join("raft")).arg(&copy).status().unwrap();
    assert!(copied.success());
    let before = all_files(&copy);
    let new = cluster.dir.path().join("alone");
    let (from, to) = (copy.display().to_string(), new.display().to_string());
    told(&cluster_command(&[
        "snapshot",
        "restore",
        "--from-dir",
        &from,
        "--data",
        &to,
        "--node",
        "node3",
        "--output",
        "json",
    ]));
    assert_eq!(all_files(&copy), before, "reading changes nothing");
    start_on(&mut cluster, "node3", &new, &[("CLUSTER_MODE", "off")]);
    let ready = cluster.ready("node3").await;
    assert_eq!(ready["cluster"]["role"], "single", "{ready}");
    assert_eq!(jwks(&cluster, "node3").await, keys);
    cluster.projected("node3", ready["raft"]["applied_index"].as_u64().unwrap()).await;
    assert_eq!(tree(&new), files);
    let api = cluster.api("node3").bearer(&token);
    api.send(Method::DELETE, "/v1/admin/tenants/beta", None).await.expect(204);
}

/// Spec §13.1: a node whose raft/ is lost beside its files names the restore, which goes into that very directory. What the
/// archive does not know goes to the quarantine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_lost_its_raft_is_restored_in_place() {
    let mut cluster = Cluster::prepare_without_database();
    let root = cluster.root("node1");
    let alone = [("CLUSTER_MODE", "off")];
    start_on(&mut cluster, "node1", &root, &alone);
    let ready = cluster.ready("node1").await;
    cluster.projected("node1", ready["raft"]["applied_index"].as_u64().unwrap()).await;
    let token = cluster.mint_token();
    let api = cluster.api("node1").bearer(&token);
    api.put("/v1/admin/tenants/saved", json!({})).await.expect(201);
    let file = cluster.dir.path().join("a.snap");
    save(&cluster, "node1", &token, &file);
    let late = api.put("/v1/admin/tenants/late", json!({})).await.expect(201);
    cluster.projected("node1", late.header("x-applied-index").unwrap().parse().unwrap()).await;
    cluster.kill9("node1");
    std::fs::remove_dir_all(root.join("raft")).unwrap();

    start_on(&mut cluster, "node1", &root, &alone);
    let mut orphaned = cluster.processes.remove("node1").unwrap();
    assert!(orphaned.wait(crate::harness::cluster::PATIENCE).is_some());
    assert!(orphaned.log_text().contains("cluster snapshot restore"));
    told(&restore(&file, &root, "node1"));
    start_on(&mut cluster, "node1", &root, &alone);
    let ready = cluster.ready("node1").await;
    cluster.projected("node1", ready["raft"]["applied_index"].as_u64().unwrap()).await;
    let files = tree(&root);
    assert!(files.contains_key("tenants/saved/tenant.yaml"), "{:?}", files.keys());
    assert!(!files.keys().any(|name| name.contains("late")), "{:?}", files.keys());
    assert!(
        all_files(&root.join("quarantine")).keys().any(|name| name.ends_with("tenants/late/tenant.yaml"))
    );
}
