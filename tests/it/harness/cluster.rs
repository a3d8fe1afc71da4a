//! Three real nodes with mTLS between them, on free ports, with one PostgreSQL.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hellojohn::cli::certs;
use hellojohn::domain::clock::SystemClock;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use super::api::{Answer, Api};
use super::link::Link;
use super::postgres::TestDb;
use super::process::{BINARY, Process, free_port, run};

/// Master keys that stand in no file, log or entry: tests search for them.
pub(crate) const SIGNING_MASTER_KEY: &str = "planted-signing-master-key-0123456789abcdef";
pub(crate) const SECRETBOX_MASTER_KEY: &str = "cGxhbnRlZC1zZWNyZXRib3gtbWFzdGVyLWtleS0wMTI=";

/// Names of the nodes.
pub(crate) const NAMES: [&str; 3] = ["node1", "node2", "node3"];

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// A cluster of three processes.
pub(crate) struct Cluster {
    // Before the directory, so that a failed test still finds the logs.
    pub(crate) processes: BTreeMap<&'static str, Process>,
    pub(crate) dir: tempfile::TempDir,
    http: BTreeMap<&'static str, u16>,
    raft: BTreeMap<&'static str, u16>,
    /// In front of the peer listeners, where there is something.
    links: BTreeMap<&'static str, Link>,
    extra: BTreeMap<String, String>,
    pub(crate) db: Option<TestDb>,
}

impl Cluster {
    /// A cluster that is not started yet, with a database.
    pub(crate) async fn prepare() -> Self {
        Self::prepared(Some(TestDb::new().await))
    }

    /// A cluster that is not started yet, for the control plane only.
    pub(crate) fn prepare_without_database() -> Self {
        Self::prepared(None)
    }

    fn prepared(db: Option<TestDb>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let names: Vec<String> = NAMES.map(str::to_owned).to_vec();
        let options = certs::Options { overwrite: false, extra_sans: Vec::new() };
        certs::generate(&dir.path().join("certs"), &names, &options, &SystemClock).unwrap();
        Self {
            dir,
            processes: BTreeMap::new(),
            http: NAMES.map(|name| (name, free_port())).into(),
            raft: NAMES.map(|name| (name, free_port())).into(),
            links: BTreeMap::new(),
            extra: BTreeMap::new(),
            db,
        }
    }

    /// Puts a link in front of every peer listener, for nodes that are started from now on.
    pub(crate) async fn link_all(&mut self) {
        for (name, port) in &self.raft {
            self.links.insert(name, Link::to(*port).await);
        }
    }

    /// The way of its peers to a node.
    pub(crate) fn link(&self, name: &str) -> &Link {
        &self.links[name]
    }

    /// A started cluster that takes writes.
    pub(crate) async fn start() -> Self {
        let mut cluster = Self::prepare().await;
        cluster.start_all().await;
        cluster
    }

    /// Makes room for one more node in what nodes that are started from now on are told, and a certificate for it.
    pub(crate) fn expect_node(&mut self, name: &'static str) {
        let options = certs::Options { overwrite: false, extra_sans: Vec::new() };
        certs::generate(&self.dir.path().join("certs"), &[name.to_owned()], &options, &SystemClock).unwrap();
        self.http.insert(name, free_port());
        self.raft.insert(name, free_port());
    }

    /// Ends a node in order and starts it again, and waits until it serves people.
    pub(crate) async fn restart(&mut self, name: &'static str) {
        self.restart_with(name, BINARY).await;
    }

    /// Ends a node in order and starts it again with this build, and waits until it serves people.
    pub(crate) async fn restart_with(&mut self, name: &'static str, binary: &str) {
        self.stop(name);
        self.start_build(name, binary);
        self.ready(name).await;
    }

    /// Ends a node in order.
    pub(crate) fn stop(&mut self, name: &'static str) {
        let mut process = self.processes.remove(name).unwrap();
        process.signal(Signal::SIGTERM);
        assert!(process.wait(PATIENCE).is_some_and(|status| status.success()), "{name} did not end well");
    }

    /// Sets an environment variable for nodes that are started from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.extra.insert(name.to_owned(), value.to_owned());
    }

    pub(crate) async fn start_all(&mut self) {
        for name in NAMES {
            self.start_node(name);
        }
        self.leader().await;
        for name in NAMES {
            self.ready(name).await;
            // Commands of the host read the keys from the files.
            self.until(name, "files", |answer| {
                let body = answer.json();
                body["cluster"]["fs"]["projected_index"].as_u64() >= body["raft"]["applied_index"].as_u64()
            })
            .await;
        }
    }

    /// Directory of a node's control plane.
    pub(crate) fn root(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The log file of a node.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    /// Address of a node's API.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}", self.http[name])
    }

    /// Issuer of the cluster.
    pub(crate) fn issuer(&self) -> String {
        "http://id.example.test".to_owned()
    }

    /// The environment of a node.
    pub(crate) fn env(&self, name: &str) -> BTreeMap<String, String> {
        let certs = self.dir.path().join("certs");
        let pem = |file: String| certs.join(file).display().to_string();
        let list = |ports: &BTreeMap<&'static str, u16>, prefix: &str| {
            let items: Vec<String> =
                ports.iter().map(|(name, port)| format!("{name}={prefix}127.0.0.1:{port}")).collect();
            items.join(",")
        };
        let mut reached = self.raft.clone();
        reached.extend(self.links.iter().map(|(name, link)| (*name, link.port)));
        let root = self.root(name);
        std::fs::create_dir_all(&root).unwrap();
        let mut env: BTreeMap<String, String> = [
            ("CLUSTER_MODE", "embedded".to_owned()),
            ("NODE_ID", name.to_owned()),
            ("CLUSTER_NODES", list(&reached, "")),
            ("RAFT_ADDR", format!("127.0.0.1:{}", self.raft[name])),
            ("LEADER_REDIRECTS", list(&self.http, "http://")),
            ("RAFT_TLS_ENABLE", "1".to_owned()),
            ("RAFT_TLS_CERT_FILE", pem(format!("{name}.pem"))),
            ("RAFT_TLS_KEY_FILE", pem(format!("{name}-key.pem"))),
            ("RAFT_TLS_CA_FILE", pem("ca.pem".to_owned())),
            ("SERVER_ADDR", format!("127.0.0.1:{}", self.http[name])),
            ("SERVER_PUBLIC_URL", self.issuer()),
            ("SIGNING_MASTER_KEY", SIGNING_MASTER_KEY.to_owned()),
            ("SECRETBOX_MASTER_KEY", SECRETBOX_MASTER_KEY.to_owned()),
            ("CONTROL_PLANE_FS_ROOT", root.display().to_string()),
            ("FS_SCAN_INTERVAL", "1s".to_owned()),
            ("LOG_FORMAT", "json".to_owned()),
            // One client that writes as fast as it can is no stranger here.
            ("RATE_ENABLED", "0".to_owned()),
            ("DISABLE_DOTENV", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if let Some(db) = &self.db {
            env.insert("STORAGE_DSN".to_owned(), db.dsn());
        }
        env.extend(self.extra.clone());
        env
    }

    /// Starts one node.
    pub(crate) fn start_node(&mut self, name: &'static str) {
        self.start_build(name, BINARY);
    }

    /// Starts one node with another build of the product.
    pub(crate) fn start_build(&mut self, name: &'static str, binary: &str) {
        let process = Process::start(binary, &["serve", "--env"], &self.env(name), &self.log(name));
        self.processes.insert(name, process);
    }

    /// Starts one node below another program, such as strace.
    pub(crate) fn start_node_below(&mut self, name: &'static str, program: &str, args: &[&str]) {
        let mut args = args.to_vec();
        args.extend([BINARY, "serve", "--env"]);
        let process = Process::start_group(program, &args, &self.env(name), &self.log(name));
        self.processes.insert(name, process);
    }

    /// Kills a node without a word.
    pub(crate) fn kill9(&mut self, name: &str) {
        self.processes.remove(name).unwrap().kill9();
    }

    /// A client of a node.
    pub(crate) fn api(&self, name: &str) -> Api {
        Api::new(&self.url(name))
    }

    /// A client of a node with an administrator's token.
    pub(crate) fn admin(&self, name: &str) -> Api {
        self.api(name).bearer(&self.mint_token())
    }

    /// A break-glass token, made by the command line on a node's host.
    pub(crate) fn mint_token(&self) -> String {
        for name in NAMES {
            let output = run(&["--env", "admin", "mint-token", "--ttl", "10m"], &self.env(name));
            if output.status.success() {
                return String::from_utf8(output.stdout).unwrap().trim().to_owned();
            }
            eprintln!("{}", String::from_utf8_lossy(&output.stderr));
        }
        panic!("no node's files give a token");
    }

    /// What a node says about itself, with the status; `None` while it does not listen.
    pub(crate) async fn readyz(&self, name: &str) -> Option<Answer> {
        self.api(name).try_send(Method::GET, "/readyz", &[], None).await
    }

    /// Waits until what a node says about itself fulfils a condition.
    pub(crate) async fn until(&self, name: &str, what: &str, holds: impl Fn(&Answer) -> bool) -> Value {
        let mut last = None;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            last = self.readyz(name).await;
            if let Some(answer) = &last
                && holds(answer)
            {
                return answer.json();
            }
            let ended = self.processes.get(name).is_some_and(Process::has_ended);
            assert!(!ended, "{name} ended while the test waited for this: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{name} never: {what}; last: {:?}", last.map(|a| (a.status, a.json())));
    }

    /// Waits until a node serves people.
    pub(crate) async fn ready(&self, name: &str) -> Value {
        self.until(name, "ready", |answer| answer.status == 200).await
    }

    /// Waits for a leader and names it.
    pub(crate) async fn leader(&self) -> &'static str {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let ended = self.processes.iter().find(|(_, process)| process.has_ended());
            assert!(ended.is_none(), "{} ended while a leader was awaited", ended.unwrap().0);
            for name in self.processes.keys().copied() {
                if let Some(answer) = self.readyz(name).await
                    && answer.json()["cluster"]["role"] == "leader"
                {
                    return name;
                }
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no leader");
    }

    /// The nodes that do not lead.
    pub(crate) async fn followers(&self) -> Vec<&'static str> {
        let leader = self.leader().await;
        self.processes.keys().copied().filter(|name| *name != leader).collect()
    }

    /// Writes a tenant through whoever leads, for as long as a test waits; gives the log index.
    pub(crate) async fn put_tenant(&self, token: &str, slug: &str) -> u64 {
        self.put(token, &format!("/v1/admin/tenants/{slug}"), &json!({"name": slug})).await
    }

    /// Writes a document through whoever leads, for as long as a test waits; gives the log index.
    pub(crate) async fn put(&self, token: &str, path: &str, document: &Value) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let leader = self.leader().await;
            let body = Some(document.to_string().into_bytes());
            let answer = self.api(leader).bearer(token).try_send(Method::PUT, path, &[], body).await;
            if let Some(answer) = &answer
                && matches!(answer.status, 200 | 201)
            {
                return answer.header("x-applied-index").unwrap().parse().unwrap();
            }
            assert!(Instant::now() < deadline, "{answer:?}");
        }
    }

    /// Waits until a node's files show the state at `index`.
    pub(crate) async fn projected(&self, name: &str, index: u64) {
        self.until(name, "projected", |answer| {
            answer.json()["cluster"]["fs"]["projected_index"].as_u64().is_some_and(|at| at >= index)
        })
        .await;
    }
}

/// Every file below `tenants/` and `keys/` of a node, by relative path.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for top in ["tenants", "keys"] {
        walk(root, &root.join(top), &mut files);
    }
    files
}

/// Every file below a directory, by path relative to `root`.
pub(crate) fn walk(root: &Path, dir: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            files.insert(name, std::fs::read(&path).unwrap_or_default());
        }
    }
}
