//! Disks that come back at the wrong moment, and joins that are cut short (spec §13.4, ha.md F16).

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::everywhere;
use super::rejoin::{identity, lose_the_disk_of, votes_again};
use crate::harness::cluster::{Cluster, NAMES, PATIENCE};
use crate::harness::process::pause;

async fn started() -> (Cluster, String) {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    let token = cluster.mint_token();
    (cluster, token)
}

pub(super) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Starts the joiner on an empty disk and kills it as soon as it has written down its new Raft id.
fn killed_while_joining(cluster: &mut Cluster, name: &'static str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        drop(std::fs::remove_dir_all(cluster.root(name).join("raft")));
        cluster.start_node(name);
        let state = loop {
            let path = cluster.root(name).join("raft/identity.json");
            let marker: Option<serde_json::Value> =
                std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            let state =
                marker.map_or_else(String::new, |marker| marker["state"].as_str().unwrap().to_owned());
            if state == "joining" || state == "member" {
                break state;
            }
            assert!(Instant::now() < deadline, "{name} does not join");
            std::thread::yield_now();
        };
        cluster.kill9(name);
        if state == "joining" && identity(cluster, name)["state"] == "joining" {
            return;
        }
        assert!(Instant::now() < deadline, "{name} was never caught while it joined");
    }
}

/// The old disk is found after another one has taken its place: it serves nobody, and says what to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_disk_that_is_found_after_the_swap_is_turned_down() {
    let (mut cluster, token) = started().await;
    let name = cluster.followers().await[0];
    let (raft, old) = (cluster.root(name).join("raft"), cluster.dir.path().join("old"));
    cluster.kill9(name);
    copy(&raft, &old);
    std::fs::remove_dir_all(&raft).unwrap();
    cluster.start_node(name);
    votes_again(&cluster, name).await;
    let index = cluster.put_tenant(&token, "newer").await;
    everywhere(&cluster, index).await;

    cluster.kill9(name);
    std::fs::remove_dir_all(&raft).unwrap();
    copy(&old, &raft);
    cluster.start_node(name);
    let mut process = cluster.processes.remove(name).unwrap();
    while process.wait(Duration::ZERO).is_none() {
        let ready = cluster.readyz(name).await;
        assert!(ready.is_none_or(|answer| answer.status != 200), "an old disk serves");
        pause();
    }
    let log = process.log_text();
    assert!(log.contains("was replaced by member"), "{log}");
    cluster.put_tenant(&token, "unmoved").await;
}

/// The old disk is found before anybody could take its place: it goes on as if nothing had been.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_old_disk_that_is_found_before_the_swap_goes_on() {
    let (mut cluster, token) = started().await;
    let [name, other] = cluster.followers().await[..] else { unreachable!() };
    let (raft, old) = (cluster.root(name).join("raft"), cluster.dir.path().join("old"));
    cluster.kill9(name);
    cluster.kill9(other);
    std::fs::rename(&raft, &old).unwrap();
    cluster.start_node(name);
    cluster
        .until(name, "not let in", |answer| {
            answer.json()["cluster"]["waiting"].to_string().contains("not let back in yet")
        })
        .await;
    cluster.kill9(name);
    std::fs::remove_dir_all(&raft).unwrap();
    std::fs::rename(&old, &raft).unwrap();
    cluster.start_node(name);
    votes_again(&cluster, name).await;
    cluster.put_tenant(&token, "with-its-vote").await;
    assert_eq!(identity(&cluster, name)["incarnation"], 1);
}

/// Somebody puts a copy from before in a member's place. The member ends and says why; the leader goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_copy_of_a_members_own_disk_is_turned_down_and_leaves_the_leader_alone() {
    let (mut cluster, token) = started().await;
    let (leader, name) = (cluster.leader().await, cluster.followers().await[0]);
    let term = cluster.ready(leader).await["cluster"]["term"].clone();
    let (raft, old, own) =
        (cluster.root(name).join("raft"), cluster.dir.path().join("old"), cluster.dir.path().join("own"));
    cluster.stop(name);
    copy(&raft, &old);
    cluster.start_node(name);
    cluster.ready(name).await;
    for n in 0..20 {
        let index = cluster.put_tenant(&token, &format!("acknowledged-{n}")).await;
        everywhere(&cluster, index).await;
    }

    cluster.stop(name);
    std::fs::rename(&raft, &own).unwrap();
    std::fs::rename(&old, &raft).unwrap();
    cluster.start_node(name);
    let mut process = cluster.processes.remove(name).unwrap();
    assert!(process.wait(PATIENCE).is_some_and(|status| !status.success()), "{name} goes on");
    let log = process.log_text();
    assert!(log.contains("its disk is an older copy"), "{log}");
    let status = cluster.ready(leader).await;
    assert_eq!((&status["cluster"]["role"], &status["cluster"]["term"]), (&json!("leader"), &term));
    cluster.put_tenant(&token, "unmoved").await;

    // Its own disk is found again: it is a member as before.
    std::fs::remove_dir_all(&raft).unwrap();
    std::fs::rename(&own, &raft).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        cluster.start_node(name);
        let mut process = cluster.processes.remove(name).unwrap();
        // It is turned down for some seconds more.
        while process.wait(Duration::ZERO).is_none()
            && cluster.readyz(name).await.is_none_or(|answer| answer.status != 200)
        {
            pause();
        }
        if !process.has_ended() {
            cluster.processes.insert(name, process);
            break;
        }
        assert!(Instant::now() < deadline, "{}", process.log_text());
    }
    let index = cluster.put_tenant(&token, "whole").await;
    everywhere(&cluster, index).await;
    assert_eq!(identity(&cluster, name)["incarnation"], 1);
}

/// The joiner dies, with its disk or with its log only, and comes back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joiner_may_die_and_lose_its_disk_or_its_log_again() {
    let (mut cluster, token) = started().await;
    let name = cluster.followers().await[0];
    cluster.kill9(name);

    killed_while_joining(&mut cluster, name);
    cluster.start_node(name);
    votes_again(&cluster, name).await;

    cluster.kill9(name);
    killed_while_joining(&mut cluster, name);
    let given = identity(&cluster, name)["raft_id"].clone();
    // It may have died before it had one.
    drop(std::fs::remove_dir_all(cluster.root(name).join("raft/log")));
    cluster.start_node(name);
    votes_again(&cluster, name).await;
    let now = identity(&cluster, name)["raft_id"].clone();
    assert_ne!(now, given, "a Raft id whose log was lost");

    lose_the_disk_of(&mut cluster, name).await;
    let index = cluster.put_tenant(&token, "after").await;
    everywhere(&cluster, index).await;
    // Nobody is left in the membership who was given an id in vain.
    let leader = cluster.api(cluster.leader().await).bearer(&token);
    let members = leader.get("/v1/admin/cluster").await.expect(200).json()["members"].clone();
    let states: Vec<_> = members.as_array().unwrap().iter().map(|member| member["state"].clone()).collect();
    assert_eq!(states, [json!("voter"), json!("voter"), json!("voter")], "{members}");
}

/// The leader dies while it lets somebody in; without its vote there is no quorum, so it has to come back first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_may_die_while_somebody_joins() {
    let (mut cluster, token) = started().await;
    let leader = cluster.leader().await;
    let name = cluster.followers().await[0];
    cluster.kill9(name);
    killed_while_joining(&mut cluster, name);
    cluster.start_node(name);
    cluster.kill9(leader);
    cluster.start_node(leader);
    votes_again(&cluster, name).await;
    let index = cluster.put_tenant(&token, "after").await;
    everywhere(&cluster, index).await;
    for name in NAMES {
        cluster.ready(name).await;
    }
}
