//! Restore and recovery that are killed at each step on the disk: what is there is the old or the new, never a half.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::snapshots::{cluster_command, told};
use super::strace_works;
use crate::harness::cluster::Cluster;
use crate::harness::process::{BINARY, Process};

/// What changes the disk for good. Counted for each thread.
const STEPS: &str = "fsync,fdatasync,rename,mkdir";
/// More steps than any of the commands takes.
const MOST: u32 = 200;

/// The `raft/` of a single node with a tenant, and an archive of it.
async fn a_disk(dir: &Path) -> (PathBuf, PathBuf) {
    let mut cluster = Cluster::prepare_without_database();
    let root = dir.join("node1");
    let mut env = cluster.env("node1");
    env.insert("CLUSTER_MODE".to_owned(), "off".to_owned());
    env.insert("CONTROL_PLANE_FS_ROOT".to_owned(), root.display().to_string());
    let process = Process::start(BINARY, &["serve", "--env"], &env, &cluster.log("node1"));
    cluster.processes.insert("node1", process);
    cluster.ready("node1").await;
    cluster.kill9("node1");
    let file = dir.join("a.snap");
    let (from, to) = (root.display().to_string(), file.display().to_string());
    told(&cluster_command(&["snapshot", "save", &to, "--data", &from, "--output", "json"]));
    (root, file)
}

/// Runs `cluster …` and kills it at the step of that number; whether it came to its end.
fn killed_at(step: u32, args: &[&str], scratch: &Path) -> bool {
    let inject = format!("inject={STEPS}:signal=SIGKILL:when={step}");
    let mut all = vec!["-f", "-o", "/dev/null", "-e", &inject, BINARY, "cluster"];
    all.extend(args);
    let env = BTreeMap::from([("TMPDIR", scratch)]);
    Command::new("strace")
        .args(all)
        .env_clear()
        .envs(env)
        .env("PATH", "/usr/bin:/bin")
        .output()
        .unwrap()
        .status
        .success()
}

fn inspected(path: &Path) -> Value {
    told(&cluster_command(&["snapshot", "inspect", &path.display().to_string(), "--output", "json"]))
}

/// The directory that begins with that name, if it is there.
fn named(dir: &Path, prefix: &str) -> Option<PathBuf> {
    let mut entries = std::fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_killed_leaves_nothing_or_all_and_can_be_run_again() {
    if !strace_works() {
        println!("SKIPPED: strace is missing or may not trace; a restore that is killed was not tested");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (_, file) = a_disk(dir.path()).await;
    let archive = inspected(&file)["state"].clone();
    let (mut cut, mut step) = (0, 1);
    loop {
        let new = dir.path().join(format!("new-{step}"));
        let (from, to) = (file.display().to_string(), new.display().to_string());
        let args = ["snapshot", "restore", &from, "--data", &to, "--node", "node1", "--output", "json"];
        let done = killed_at(step, &args, dir.path());
        if new.join("raft").exists() {
            assert_eq!(inspected(&new)["state"]["tenants"], archive["tenants"], "step {step}");
        } else {
            assert!(!done, "step {step}");
            told(&cluster_command(&args));
            cut += 1;
        }
        assert_eq!(named(&new, "raft.unfinished-"), None, "step {step}");
        if done {
            break;
        }
        step += 1;
        assert!(step < MOST);
    }
    assert!(cut > 5, "only {cut} restores were cut short");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovery_that_is_killed_leaves_the_old_or_the_new_and_can_be_run_again() {
    if !strace_works() {
        println!("SKIPPED: strace is missing or may not trace; a recovery that is killed was not tested");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (root, _) = a_disk(dir.path()).await;
    let before = inspected(&root);
    let old = before["cluster_id"].as_str().unwrap();
    let (mut cut, mut step) = (0, 1);
    loop {
        let data = dir.path().join(format!("copy-{step}"));
        assert!(Command::new("cp").arg("-r").arg(&root).arg(&data).status().unwrap().success());
        let at = data.display().to_string();
        let args =
            ["recover", "--data", &at, "--cluster-id", old, "--i-accept-data-loss", "--output", "json"];
        let done = killed_at(step, &args, dir.path());
        if !data.join("raft").exists() {
            // Between the two renames: as docs/operations.md says.
            let aside = named(&data, "raft.before-recover-").unwrap();
            std::fs::rename(aside, data.join("raft")).unwrap();
        }
        let seen = inspected(&data);
        if seen["cluster_id"] == json!(old) {
            assert!(!done, "step {step}");
            assert_eq!(seen["log"], before["log"], "step {step}");
            told(&cluster_command(&args));
            cut += 1;
        }
        let seen = inspected(&data);
        assert_ne!(seen["cluster_id"], json!(old), "step {step}");
        assert_eq!(seen["state"]["keys"], before["state"]["keys"], "step {step}");
        assert!(named(&data, "raft.before-recover-").is_some(), "step {step}");
        if done {
            break;
        }
        step += 1;
        assert!(step < MOST);
    }
    assert!(cut > 5, "only {cut} recoveries were cut short");
}
