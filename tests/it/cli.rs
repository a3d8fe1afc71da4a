//! The command line as real processes: `hellojohn dev`, and the client commands against it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "scenarios fail the test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::api::Api;
use crate::harness::cluster::Cluster;
use crate::harness::postgres::short_directory;
use crate::harness::process::{BINARY, Process, free_port, pause, run};

const PATIENCE: Duration = Duration::from_secs(90);

/// A machine with a directory for `dev`.
struct Machine {
    directory: tempfile::TempDir,
    port: u16,
    starts: u32,
}

/// `hellojohn dev` that has told its guide.
struct Dev {
    process: Process,
    guide: Value,
    postgres: i32,
}

impl Machine {
    fn new() -> Self {
        Self { directory: short_directory(), port: free_port(), starts: 0 }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("d")
    }

    /// A cluster's settings, which must not reach a machine of one node.
    fn env() -> BTreeMap<String, String> {
        [
            ("CLUSTER_MODE", "embedded"),
            ("NODE_ID", "node1"),
            ("STORAGE_DSN", "postgres://nobody@127.0.0.1:1/none"),
            ("ARGON2_MEMORY_KIB", "64"),
            ("PATH", "/usr/bin:/bin"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    /// Starts `dev` and waits until it has told what there is.
    fn start(&mut self) -> Dev {
        self.starts += 1;
        let log = self.directory.path().join(format!("log{}", self.starts));
        let (data, port) = (self.data().display().to_string(), self.port.to_string());
        let args = ["dev", "--data", &data, "--port", &port, "--output", "json"];
        let mut process = Process::start(BINARY, &args, &Self::env(), &log);
        let deadline = Instant::now() + PATIENCE;
        let guide = loop {
            if let Some(guide) = document(&process.log_text()) {
                break guide;
            }
            assert!(process.wait(Duration::ZERO).is_none(), "{}", process.log_text());
            assert!(Instant::now() < deadline, "{}", process.log_text());
            pause();
        };
        let postmaster = std::fs::read_to_string(self.data().join("postgres/data/postmaster.pid")).unwrap();
        let postgres = postmaster.lines().next().unwrap().trim().parse().unwrap();
        Dev { process, guide, postgres }
    }

    /// A client command with the variables that `dev` wrote.
    fn command(&self, args: &[&str]) -> Output {
        let env_file = self.data().join("env").display().to_string();
        let mut all = vec!["--env-file", env_file.as_str()];
        all.extend(args);
        let mut env = Self::env();
        // What the file says is for a node of its own; the environment would win over it.
        for name in ["CLUSTER_MODE", "NODE_ID", "STORAGE_DSN"] {
            env.remove(name);
        }
        run(&all, &env)
    }

    /// Standard output of a command that must succeed.
    #[track_caller]
    fn says(&self, args: &[&str]) -> String {
        let output = self.command(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// As [`Self::says`], as JSON.
    #[track_caller]
    fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[args, &["--output", "json"]].concat())).unwrap()
    }
}

impl Dev {
    fn api(&self) -> Api {
        Api::new(self.guide["url"].as_str().unwrap())
    }

    fn login(&self) -> Value {
        let member = |name: &str| self.guide[name].clone();
        json!({"tenant_id": member("tenant_id"), "client_id": member("client_id"),
            "email": member("email"), "password": member("password")})
    }

    /// Ends it with a signal and expects a clean end that leaves nothing.
    fn end(mut self, signal: Signal) {
        self.process.signal(signal);
        let status = self.process.wait(PATIENCE).expect("ends");
        let text = self.process.log_text();
        assert!(status.success(), "{status}: {text}");
        assert!(!text.contains("panicked"), "{text}");
        assert!(!runs(self.postgres), "PostgreSQL is left behind: {text}");
    }
}

fn runs(pid: i32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The one JSON document among the notes of a log.
fn document(log: &str) -> Option<Value> {
    let begin = log.find("{\n")?;
    let end = log[begin..].find("\n}\n")? + begin + 2;
    serde_json::from_str(&log[begin..end]).ok()
}

/// `hellojohn dev` from nothing: a login works, other commands work with what it wrote, SIGTERM ends it with 0
/// and leaves no process; started again, everything is still there. T45: a seed with `sub`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dev_serves_seeds_stops_and_starts_again() {
    let mut machine = Machine::new();
    let dev = machine.start();
    let api = dev.api();
    let tokens = api.post("/v1/auth/login", dev.login()).await.expect(200).json();
    api.bearer(tokens["access_token"].as_str().unwrap()).get("/v1/me").await.expect(200);

    let whoami = machine.json(&["whoami"]);
    assert_eq!(whoami["user"]["email"], "admin@example.com");
    assert!(machine.says(&["admin", "ping"]).contains("ok"));
    let status = machine.json(&["cluster", "status"]);
    assert_eq!(status["nodes"][0]["readyz"]["cluster"]["role"], "single");
    control_plane_commands(&machine);
    keys_commands(&machine);
    audit_command(&machine);
    seed_with_sub(&machine, &api).await;
    break_glass(&machine, &api).await;
    let password = dev.guide["password"].clone();
    dev.end(Signal::SIGTERM);
    assert_eq!(machine.command(&["whoami"]).status.code(), Some(5));

    let dev = machine.start();
    assert_eq!(dev.guide["password"], password);
    dev.api().post("/v1/auth/login", dev.login()).await.expect(200);
    assert_eq!(machine.json(&["admin", "tenants", "get", "acme"])["name"], "Acme");
    dev.end(Signal::SIGINT);
}

fn control_plane_commands(machine: &Machine) {
    assert!(machine.says(&["admin", "tenants", "put", "acme", "--name", "Acme"]).starts_with("created\n"));
    let mode = ["admin", "tenants", "set-issuer-mode", "--slug", "acme", "--mode", "path"];
    assert_eq!(machine.json(&mode)["settings"]["issuerMode"], "path");
    let list = machine.json(&["admin", "tenants", "list"]);
    let slugs: Vec<&str> =
        list["items"].as_array().unwrap().iter().map(|item| item["slug"].as_str().unwrap()).collect();
    assert_eq!(slugs, ["acme", "local"]);

    let put = ["admin", "clients", "put", "--tenant", "acme", "backend", "--type", "confidential"];
    let made = machine.says(&[&put[..], &["--grant-type", "client_credentials"]].concat());
    assert!(made.contains("hjs_") && made.contains("shown this once"), "{made}");
    let client = machine.json(&["admin", "clients", "get", "--tenant", "acme", "backend"]);
    assert_eq!((&client["client_type"], client.get("client_secret")), (&json!("confidential"), None));
    let rotated = machine.json(&["admin", "clients", "rotate-secret", "--tenant", "acme", "backend"]);
    assert!(rotated["client_secret"].as_str().unwrap().starts_with("hjs_"));

    let file = machine.directory.path().join("scopes.json");
    std::fs::write(&file, r#"[{"name": "orders:read", "description": "See orders"}]"#).unwrap();
    let file = file.display().to_string();
    let scopes = machine.says(&["admin", "scopes", "put", "--tenant", "acme", "--merge", "--file", &file]);
    assert!(scopes.contains("orders:read") && scopes.contains("openid"), "{scopes}");

    assert!(
        machine.says(&["admin", "clients", "delete", "--tenant", "acme", "backend"]).starts_with("removed")
    );
    let absent = machine.command(&["admin", "clients", "get", "--tenant", "acme", "backend"]);
    assert_eq!(absent.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&absent.stderr).contains("[client_not_found]"));
    let wrong = machine.command(&["admin", "tenants", "put", "acme", "--file", &file]);
    assert_eq!(wrong.status.code(), Some(2));
}

fn keys_commands(machine: &Machine) {
    let rotated = machine.json(&["keys", "rotate", "--tenant", "acme", "--grace-seconds", "600"]);
    assert_eq!((&rotated["state"], rotated["retiring"].as_array().unwrap().len()), (&json!("active"), 1));
    let retired = machine.json(&["keys", "retire", "--retire-after", "168h", "--tenant", "acme"]);
    assert_ne!(retired["kid"], rotated["kid"]);
    let keys = machine.json(&["keys", "list", "--tenant", "acme"]);
    let states: Vec<&str> =
        keys["items"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["retiring", "retiring", "active"]);
    assert!(machine.says(&["keys", "list"]).contains("active"));
}

/// EP132: what happened is told, page after page.
fn audit_command(machine: &Machine) {
    let found =
        machine.json(&["admin", "audit", "--tenant", "local", "--action", "user.login", "--outcome", "ok"]);
    let events = found["items"].as_array().unwrap();
    assert!(!events.is_empty() && events.iter().all(|event| event["tenant_id"] == "local"), "{found}");
    assert!(machine.says(&["admin", "audit", "--tenant", "local"]).contains("user.login"));
    let first = machine.json(&["admin", "audit", "--limit", "1"]);
    let next = first["next_cursor"].as_str().unwrap();
    let second = machine.json(&["admin", "audit", "--limit", "1", "--cursor", next]);
    assert_ne!(first["items"], second["items"]);
    let wrong = machine.command(&["admin", "audit", "--from", "yesterday"]);
    assert!(!wrong.status.success() && String::from_utf8_lossy(&wrong.stderr).contains("from"));
}

/// T45, S104: who is in the file is there once, under the given id.
async fn seed_with_sub(machine: &Machine, api: &Api) {
    let sub = "0198c0de-0000-7000-8000-000000000001";
    let file = machine.directory.path().join("seed.yaml");
    let text = format!(
        "tenants: [{{slug: beta, clients: [{{client_id: web, providers: [password], scopes: [openid]}}], \
         scopes: [{{name: 'x:read'}}], \
         users: [{{sub: {sub}, email: ann@example.com, password: correct horse battery staple}}]}}]"
    );
    std::fs::write(&file, text).unwrap();
    let file = file.display().to_string();
    let results = |report: &Value| -> Vec<String> {
        let items = report["items"].as_array().unwrap().iter();
        items.map(|item| item["result"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(results(&machine.json(&["seed", &file])), ["created"; 4]);
    assert_eq!(results(&machine.json(&["seed", &file])), ["kept"; 4]);
    let login = json!({"tenant_id": "beta", "client_id": "web", "email": "ann@example.com",
        "password": "correct horse battery staple"});
    let tokens = api.post("/v1/auth/login", login).await.expect(200).json();
    let me = api.bearer(tokens["access_token"].as_str().unwrap()).get("/v1/me").await.expect(200).json();
    assert_eq!(me["user"]["id"], sub);
}

async fn break_glass(machine: &Machine, api: &Api) {
    let token = machine.says(&["admin", "mint-token", "--sub", "alice", "--ttl", "1m"]);
    let pong = api.bearer(token.trim()).get("/v1/admin/ping").await.expect(200).json();
    assert_eq!(pong["subject"], "alice");
}

/// Spec §3.3: the command line follows the leader by itself, and seeds through a follower.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_sent_to_a_follower_reach_the_leader() {
    let cluster = Cluster::start().await;
    let follower = cluster.followers().await[0];
    let mut env = cluster.env(follower);
    env.insert("HELLOJOHN_ADMIN_URL".to_owned(), cluster.url(follower));
    env.insert("HELLOJOHN_BEARER".to_owned(), cluster.mint_token());
    let says = |args: &[&str], env: &BTreeMap<String, String>| -> Value {
        let output = run(&[&["--env", "--output", "json"], args].concat(), env);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    assert_eq!(says(&["admin", "tenants", "put", "acme", "--name", "Acme"], &env)["name"], "Acme");
    let status = says(&["cluster", "status", "--all"], &env);
    let roles = |role: &str| {
        let nodes = status["nodes"].as_array().unwrap().iter();
        nodes.filter(|node| node["readyz"]["cluster"]["role"] == role).count()
    };
    assert_eq!((roles("leader"), roles("follower")), (1, 2), "{status:#}");

    assert_eq!(says(&["migrate"], &env)["migrations_run"], 0);
    env.remove("HELLOJOHN_BEARER");
    env.insert("HELLOJOHN_PASSWORD".to_owned(), "correct horse battery staple".to_owned());
    let report = says(&["seed"], &env);
    assert_eq!(report["generated_passwords"], json!([]));
    env.insert("HELLOJOHN_EMAIL".to_owned(), "admin@example.com".to_owned());
    let again = says(&["seed"], &env);
    assert!(again["items"].as_array().unwrap().iter().all(|item| item["result"] == "kept"), "{again}");
    // A login, not a token: the administrator that the seed made may write through the follower.
    assert_eq!(
        says(&["admin", "tenants", "put", "acme", "--status", "suspended"], &env)["status"],
        "suspended"
    );
}

/// A signal before anything is up is an orderly end too.
#[test]
fn a_signal_during_the_start_of_dev_leaves_nothing() {
    let mut machine = Machine::new();
    machine.starts += 1;
    let log = machine.directory.path().join("log");
    let data = machine.data();
    let (argument, port) = (data.display().to_string(), machine.port.to_string());
    let args = ["dev", "--data", &argument, "--port", &port];
    let mut process = Process::start(BINARY, &args, &Machine::env(), &log);
    let deadline = Instant::now() + PATIENCE;
    // The directory of the server is made before initdb begins.
    while !data.join("postgres").exists() {
        assert!(Instant::now() < deadline, "{}", process.log_text());
        pause();
    }
    process.signal(Signal::SIGTERM);
    let status = process.wait(PATIENCE).expect("ends");
    assert!(status.success(), "{status}: {}", process.log_text());
    let postmaster = std::fs::read_to_string(data.join("postgres/data/postmaster.pid")).unwrap_or_default();
    let pid = postmaster.lines().next().and_then(|line| line.trim().parse().ok());
    assert!(pid.is_none_or(|pid| !runs(pid)), "{postmaster}");
}

/// A directory that is in use is refused, and the one that uses it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_dev_on_the_same_directory_is_refused() {
    let mut machine = Machine::new();
    let dev = machine.start();
    let (data, port) = (machine.data().display().to_string(), free_port().to_string());
    let second = run(&["dev", "--data", &data, "--port", &port], &Machine::env());
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another process"));
    dev.api().post("/v1/auth/login", dev.login()).await.expect(200);
    let url = dev.guide["url"].as_str().unwrap().to_owned();
    assert!(std::fs::read_to_string(machine.data().join("env")).unwrap().contains(&machine.port.to_string()));
    assert!(url.ends_with(&machine.port.to_string()));
    dev.end(Signal::SIGTERM);
}
