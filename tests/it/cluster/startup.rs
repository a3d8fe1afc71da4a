//! Start-up errors name the setting and the remedy.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use crate::harness::api::Api;
use crate::harness::cluster::{Cluster, PATIENCE, SECRETBOX_MASTER_KEY, SIGNING_MASTER_KEY};
use crate::harness::process::{BINARY, Process, free_port, run};

struct Node {
    dir: tempfile::TempDir,
    env: BTreeMap<String, String>,
}

impl Node {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let env = [
            ("SIGNING_MASTER_KEY", SIGNING_MASTER_KEY.to_owned()),
            ("SECRETBOX_MASTER_KEY", SECRETBOX_MASTER_KEY.to_owned()),
            ("CONTROL_PLANE_FS_ROOT", dir.path().join("data").display().to_string()),
            ("SERVER_ADDR", format!("127.0.0.1:{}", free_port())),
            ("DISABLE_DOTENV", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        Self { dir, env }
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn start(&self) -> Process {
        Process::start(BINARY, &["serve", "--env"], &self.env, &self.dir.path().join("log"))
    }

    /// Starts, expects a failing end, and gives what was said.
    fn fails(&self) -> String {
        let mut process = self.start();
        let status = process.wait(PATIENCE).expect("ends");
        let text = process.log_text();
        assert!(!status.success(), "{text}");
        assert!(!text.contains("panicked"), "{text}");
        text
    }
}

#[test]
fn settings_that_cannot_work_are_named_with_the_remedy() {
    let cluster = |node: Node| node.with("CLUSTER_MODE", "embedded").with("RAFT_ADDR", "127.0.0.1:1");
    let cases = [
        (Node::new().with("SIGNING_MASTER_KEY", ""), vec!["SIGNING_MASTER_KEY", "openssl"]),
        (Node::new().with("SIGNING_MASTER_KEY", "short"), vec!["SIGNING_MASTER_KEY", "32"]),
        (Node::new().with("SECRETBOX_MASTER_KEY", "c2hvcnQ="), vec!["SECRETBOX_MASTER_KEY", "32"]),
        (Node::new().with("CLUSTER_MODE", "maybe"), vec!["CLUSTER_MODE", "embedded", "off"]),
        (
            cluster(Node::new()).with("NODE_ID", "node9").with("CLUSTER_NODES", "node1=127.0.0.1:8201"),
            vec!["NODE_ID", "node9", "CLUSTER_NODES"],
        ),
        (Node::new().with("STORAGE_DRIVER", "mysql"), vec!["STORAGE_DRIVER", "postgres"]),
        (
            cluster(Node::new())
                .with("NODE_ID", "a")
                .with("CLUSTER_NODES", "a=10.1.2.3:8201,b=10.1.2.4:8201"),
            vec!["RAFT_TLS_ENABLE"],
        ),
        (
            cluster(Node::new())
                .with("NODE_ID", "a")
                .with("CLUSTER_NODES", "a=127.0.0.1:8201")
                .with("ADMIN_ENFORCE", "0"),
            vec!["ADMIN_ENFORCE"],
        ),
    ];
    for (node, parts) in cases {
        let text = node.fails();
        for part in parts {
            assert!(text.contains(part), "{part:?} not in {text}");
        }
        assert!(!text.contains(SIGNING_MASTER_KEY) && !text.contains(SECRETBOX_MASTER_KEY), "{text}");
    }
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let text = Node::new().with("SERVER_ADDR", &addr).fails();
    assert!(text.contains("SERVER_ADDR") && text.contains(&addr), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_database_leaves_the_control_plane_and_says_so() {
    let node = Node::new().with("STORAGE_DSN", "postgres://hj:secret-of-the-dsn@127.0.0.1:1/none");
    let mut process = node.start();
    let api = Api::new(&format!("http://{}", node.env["SERVER_ADDR"]));
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let answer = api.try_send(reqwest::Method::GET, "/readyz", &[], None).await;
        if let Some(answer) = answer
            && answer.status == 503
            && answer.json()["checks"]["keystore"] == "ok"
        {
            assert_ne!(answer.json()["checks"]["db"], "ok");
            break;
        }
        assert!(std::time::Instant::now() < deadline, "{}", process.log_text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    api.get("/livez").await.expect(200);
    api.get("/.well-known/jwks.json").await.expect(200);
    api.get("/.well-known/openid-configuration").await.expect(200);
    while !process.log_text().contains("STORAGE_DSN") {
        assert!(std::time::Instant::now() < deadline, "{}", process.log_text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let text = process.log_text();
    assert!(!text.contains("secret-of-the-dsn"), "{text}");
    process.kill9();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_nodes_disk_is_refused_and_both_are_named() {
    let mut cluster = Cluster::prepare_without_database();
    cluster.start_all().await;
    for name in crate::harness::cluster::NAMES {
        cluster.kill9(name);
    }
    let mut env = cluster.env("node1");
    env.insert("CONTROL_PLANE_FS_ROOT".to_owned(), cluster.root("node2").display().to_string());
    let mut process =
        Process::start(BINARY, &["serve", "--env"], &env, &cluster.dir.path().join("foreign.log"));
    let status = process.wait(PATIENCE).expect("ends");
    let text = process.log_text();
    assert!(!status.success(), "{text}");
    assert!(text.contains("node1") && text.contains("node2") && text.contains("NODE_ID"), "{text}");
}

/// Waits until the node's `/readyz` has this status and says this.
async fn ready_says(node: &Node, process: &Process, status: u16, part: &str) {
    let api = Api::new(&format!("http://{}", node.env["SERVER_ADDR"]));
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let answer = api.try_send(reqwest::Method::GET, "/readyz", &[], None).await;
        if answer.is_some_and(|a| a.status == status && a.json().to_string().contains(part)) {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{}", process.log_text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_there(file: &std::path::Path, process: &Process) {
    let deadline = std::time::Instant::now() + PATIENCE;
    while !file.exists() {
        assert!(std::time::Instant::now() < deadline, "{}", process.log_text());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Spec §3.1: nobody would open what a node seals that was given another master key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_master_key_than_before_is_refused_and_named() {
    let node = Node::new();
    let noted = node.dir.path().join("data/raft/master-keys.json");
    let mut process = node.start();
    ready_says(&node, &process, 200, "ready").await;
    until_there(&noted, &process).await;
    let text = std::fs::read_to_string(&noted).unwrap();
    assert!(!text.contains(SIGNING_MASTER_KEY) && !text.contains(SECRETBOX_MASTER_KEY), "{text}");
    process.kill9();

    let others = [
        ("SIGNING_MASTER_KEY", "another-signing-key-of-thirty-two-bytes"),
        ("SECRETBOX_MASTER_KEY", "YW5vdGhlci1zZWNyZXRib3gta2V5LW9mLTMyLWJ5dGU="),
    ];
    let with = |(setting, value): (&str, &str)| {
        let mut env = node.env.clone();
        env.insert(setting.to_owned(), value.to_owned());
        env
    };
    let start = |env: &BTreeMap<String, String>| {
        Process::start(BINARY, &["serve", "--env"], env, &node.dir.path().join("log"))
    };
    for other in others {
        let mut process = start(&with(other));
        let status = process.wait(PATIENCE).expect("ends");
        let text = process.log_text();
        assert!(!status.success(), "{text}");
        assert!(
            text.contains(other.0) && text.contains("master-keys.json") && !text.contains(other.1),
            "{text}"
        );
    }

    // A disk of a release that did not note it: nothing is noted before a key of the catalogue shows whose keys they are.
    std::fs::remove_file(&noted).unwrap();
    let mut process = start(&with(others[0]));
    ready_says(&node, &process, 503, "keystore_failed").await;
    let token = run(&["--env", "admin", "mint-token", "--ttl", "5m"], &node.env);
    let token = String::from_utf8(token.stdout).unwrap();
    let api = Api::new(&format!("http://{}", node.env["SERVER_ADDR"])).bearer(token.trim());
    let refused = api.post("/v1/admin/keys/rotate", serde_json::json!({})).await.expect(503);
    assert_eq!(refused.code(), "node_failed", "nobody else would open the new key");
    process.kill9();
    assert!(!noted.exists());
    let mut process = node.start();
    ready_says(&node, &process, 200, "ready").await;
    until_there(&noted, &process).await;
    process.kill9();
}
