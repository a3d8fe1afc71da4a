//! What works when something is down: every cell of the table in docs/ha.md.

use serde_json::json;

use super::{everywhere, login, make_acme, person};
use crate::harness::api::Answer;
use crate::harness::cluster::{Cluster, NAMES};

const PAGE: &str = include_str!("../../../docs/ha.md");

/// Columns of the table.
#[derive(Debug, Clone, Copy)]
enum Down {
    OneNode = 1,
    Leader = 2,
    TwoNodes = 3,
    Postgres = 4,
    BothPeers = 5,
}

/// What the page says in the row that begins with `operation`.
fn cell(operation: &str, down: Down) -> String {
    let row = PAGE.lines().find(|line| line.starts_with(&format!("| {operation} |")));
    assert!(row.is_some(), "no row {operation:?} in docs/ha.md");
    row.unwrap().split('|').nth(1 + down as usize).unwrap().trim().to_owned()
}

/// Whether the answer is what the cell says: success, or a status with its code.
fn fits(answer: &Answer, cell: &str) -> bool {
    if cell.starts_with('✓') {
        return (200..300).contains(&answer.status);
    }
    let code = cell.split('`').nth(1);
    let statuses = cell.split([' ', ',']).filter_map(|word| word.parse::<u16>().ok());
    statuses.into_iter().any(|status| status == answer.status)
        && code.is_none_or(|code| answer.code() == code)
}

/// A cluster in trouble.
struct Trouble {
    down: Down,
    cluster: Cluster,
    token: String,
    /// Nodes that answer.
    up: Vec<&'static str>,
    /// The one among them that leads, or that did before the trouble.
    leader: Option<&'static str>,
}

impl Trouble {
    fn check(&self, operation: &str, node: &str, answer: &Answer) {
        let cell = cell(operation, self.down);
        let body = String::from_utf8_lossy(&answer.body);
        assert!(
            fits(answer, &cell),
            "{operation} at {node}, {:?}: {cell:?} but {} {body}",
            self.down,
            answer.status
        );
        if answer.status == 503 && operation != "`/readyz`" {
            assert!(answer.header("retry-after").is_some(), "{operation} at {node}, {:?}: {body}", self.down);
        }
    }

    async fn check_all(&self) {
        for (number, node) in self.up.iter().enumerate() {
            let api = self.cluster.api(node);
            for path in ["/.well-known/openid-configuration", "/.well-known/jwks.json"] {
                self.check("discovery, JWKS", node, &api.get(path).await);
            }
            self.check_session(node, number).await;
            let admin = api.bearer(&self.token);
            self.check("admin reads", node, &admin.get("/v1/admin/tenants/acme").await);
            self.check("`/livez`", node, &api.get("/livez").await);
            self.check_probes(node).await;
            let leads = self.leader == Some(node);
            // A node that is alone stands in both rows.
            let rows = match self.down {
                Down::TwoNodes | Down::BothPeers => vec!["at the leader", "at a follower"],
                Down::OneNode | Down::Leader | Down::Postgres if leads => vec!["at the leader"],
                Down::OneNode | Down::Leader | Down::Postgres => vec!["at a follower"],
            };
            for row in rows {
                let answer = admin.put("/v1/admin/tenants/acme", json!({"name": format!("{number}")})).await;
                self.check(&format!("admin writes, {row}"), node, &answer);
            }
        }
    }

    /// A person's way through one node.
    async fn check_session(&self, node: &str, number: usize) {
        let row = "login, refresh, me, register, logout";
        let api = self.cluster.api(node);
        let email = format!("new{number}@example.test");
        self.check(row, node, &api.post("/v1/auth/register", person(&email)).await);
        let answer = api.post("/v1/auth/login", person("ann@example.test")).await;
        self.check(row, node, &answer);
        if !cell(row, self.down).starts_with('✓') {
            return;
        }
        let tokens = answer.json();
        let answer = api.post("/v1/auth/refresh", json!({"refresh_token": tokens["refresh_token"]})).await;
        self.check(row, node, &answer);
        let tokens = answer.json();
        let own = api.bearer(tokens["access_token"].as_str().unwrap());
        self.check(row, node, &own.get("/v1/me").await);
        let answer = own.post("/v1/auth/logout", json!({"refresh_token": tokens["refresh_token"]})).await;
        self.check(row, node, &answer);
    }

    async fn check_probes(&self, node: &str) {
        let api = self.cluster.api(node);
        let answer = api.get("/readyz").await;
        let said = cell("`/readyz`", self.down);
        assert_eq!(answer.status.to_string(), said[..3], "{node}: {:?}", answer.json());
        if said.contains("quorum_ok: false") {
            assert_eq!(answer.json()["raft"]["quorum_ok"], false, "{node}");
        }
        if said.contains("names `db`") {
            assert_eq!(answer.code(), "db_unavailable", "{node}");
        }
        let answer = api.get("/readyz?role=leader").await;
        let said = cell("`/readyz?role=leader`", self.down);
        let expected = if said == "200 at the leader" && self.leader == Some(node) { 200 } else { 503 };
        assert_eq!(answer.status, expected, "{node}: {said}");
    }
}

/// Tenant `acme` and Ann, who has registered, in a cluster whose leader does not mind a busy disk.
async fn with_ann() -> (Cluster, String) {
    let mut cluster = Cluster::prepare().await;
    cluster.set("RAFT_ELECTION_MIN_MS", "4000");
    cluster.set("RAFT_ELECTION_MAX_MS", "8000");
    cluster.start_all().await;
    let token = cluster.mint_token();
    everywhere(&cluster, make_acme(&cluster, &token).await).await;
    cluster.api("node1").post("/v1/auth/register", person("ann@example.test")).await.expect(201);
    login(&cluster.api("node2"), "ann@example.test").await;
    (cluster, token)
}

fn without(gone: &str) -> Vec<&'static str> {
    NAMES.into_iter().filter(|name| *name != gone).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_down() {
    let (mut cluster, token) = with_ann().await;
    let leader = cluster.leader().await;
    let gone = cluster.followers().await[0];
    cluster.kill9(gone);
    let trouble = Trouble { down: Down::OneNode, cluster, token, up: without(gone), leader: Some(leader) };
    trouble.check_all().await;
}

/// With slow elections, so that there is time to look.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_down_until_the_next_is_elected() {
    let mut cluster = Cluster::prepare().await;
    cluster.set("RAFT_ELECTION_MIN_MS", "4000");
    // The first, who leads, is the one who would stand first; the others wait ten seconds longer.
    cluster.set("RAFT_ELECTION_MAX_MS", "80000");
    // Else twice the election maximum, and then longer than a request may take.
    cluster.set("CLUSTER_WRITE_TIMEOUT_MS", "5000");
    cluster.start_all().await;
    let token = cluster.mint_token();
    everywhere(&cluster, make_acme(&cluster, &token).await).await;
    cluster.api("node2").post("/v1/auth/register", person("ann@example.test")).await.expect(201);
    let leader = cluster.leader().await;
    assert_eq!(leader, "node1", "who forms the cluster leads it first");
    cluster.kill9(leader);
    for name in without(leader) {
        cluster.until(name, "no leader", |answer| answer.json()["raft"]["quorum_ok"] == false).await;
    }
    let trouble = Trouble { down: Down::Leader, cluster, token, up: without(leader), leader: None };
    trouble.check_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_down() {
    for leads in [true, false] {
        let (mut cluster, token) = with_ann().await;
        let leader = cluster.leader().await;
        let last = if leads { leader } else { cluster.followers().await[0] };
        for name in without(last) {
            cluster.kill9(name);
        }
        cluster.until(last, "alone", |answer| answer.json()["raft"]["quorum_ok"] == false).await;
        let trouble =
            Trouble { down: Down::TwoNodes, cluster, token, up: vec![last], leader: leads.then_some(last) };
        trouble.check_all().await;
    }
}

/// Peers that are stopped answer nothing, as those behind a cut network.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_cut_off_from_both_peers() {
    for leads in [true, false] {
        let (cluster, token) = with_ann().await;
        let leader = cluster.leader().await;
        let alone = if leads { leader } else { cluster.followers().await[0] };
        for name in without(alone) {
            cluster.processes[name].signal(nix::sys::signal::Signal::SIGSTOP);
        }
        cluster.until(alone, "cut off", |answer| answer.json()["raft"]["quorum_ok"] == false).await;
        let leader = leads.then_some(alone);
        let trouble = Trouble { down: Down::BothPeers, cluster, token, up: vec![alone], leader };
        trouble.check_all().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_down() {
    let (cluster, token) = with_ann().await;
    let leader = cluster.leader().await;
    cluster.db.as_ref().unwrap().refuse_connections().await;
    for name in NAMES {
        cluster.until(name, "no database", |answer| answer.status == 503).await;
    }
    let trouble = Trouble { down: Down::Postgres, cluster, token, up: NAMES.to_vec(), leader: Some(leader) };
    trouble.check_all().await;
}
