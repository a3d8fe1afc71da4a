//! `hellojohn cluster …`: how the nodes are doing, who is a member, and certificates for them.

mod members;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::members::{Members, StepDown};
use super::api::{AllowedHosts, Api, Patience};
use super::certs;
use super::connection::Address;
use super::failure::{Exit, Failure};
use super::session::Session;
use super::terminal::{cell, table};
use crate::config::cluster::parse_leader_redirects;
use crate::config::value::url::BaseUrl;

/// The commands under `cluster`.
#[derive(Debug, Subcommand)]
pub enum Cluster {
    /// Show role, term, applied index and readiness of a node, or of all
    ///
    /// Asks GET /readyz, which needs no credentials. The exit code is 5 when a node is not ready or does not
    /// answer.
    #[command(after_long_help = "Examples:
  hellojohn cluster status
  hellojohn cluster status --all --url http://localhost:8081
  hellojohn cluster status --output json | jq .nodes[0].readyz.cluster.raft")]
    Status(Status),
    /// List, add, promote and remove members
    #[command(subcommand)]
    Members(Members),
    /// Let another voter lead, for example before the leader's machine is restarted
    ///
    /// The leader finishes the write under way, waits until its successor has the whole log, and lets it be
    /// elected at once. Nothing is lost; writes wait for some milliseconds. A node that is stopped by SIGTERM
    /// does the same by itself.
    #[command(after_long_help = "Examples:
  hellojohn cluster step-down
  hellojohn cluster step-down --to node2")]
    StepDown(StepDown),
    /// Make a development CA and one certificate a node
    ///
    /// Each certificate has the node's name as its only DNS name, beside those of --san, and is good for both
    /// ends of a connection. A CA that is in the directory already is used again, so that nodes can be added.
    /// In production take certificates from your own CA.
    #[command(after_long_help = "Examples:
  hellojohn cluster certs --out .local/certs --node node1 --node node2 --node node3
  hellojohn cluster certs --out certs --node n4 --san raft.example.com")]
    Certs(Certs),
}

/// Options of `cluster status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Ask every node of LEADER_REDIRECTS (from the environment, else as the node at --url knows them)
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    address: Address,
}

/// Options of `cluster certs`.
#[derive(Debug, Args)]
pub struct Certs {
    /// Directory for the files; made if absent
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Name of a node (its NODE_ID); repeatable
    #[arg(long = "node", value_name = "NAME", required = true)]
    nodes: Vec<String>,
    /// Another DNS name for every certificate, such as RAFT_TLS_SERVER_NAME; repeatable
    #[arg(long = "san", value_name = "NAME")]
    sans: Vec<String>,
    /// Replace certificates of these nodes that exist; the CA is never replaced
    #[arg(long)]
    overwrite: bool,
}

impl Cluster {
    /// Runs the command.
    ///
    /// # Errors
    /// When nobody can be asked, or certificates cannot be made.
    pub async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        match self {
            Cluster::Status(status) => status.run(session).await,
            Cluster::Members(members) => members.run(session).await,
            Cluster::StepDown(step_down) => step_down.run(session).await,
            Cluster::Certs(certs) => certs.run(session),
        }
    }
}

/// What a node said of itself.
struct Said {
    url: BaseUrl,
    name: Option<String>,
    answer: Result<(u16, Value), String>,
}

impl Status {
    async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let api = self.address.open(session)?;
        let said = if self.all { everybody(&api, session).await? } else { vec![ask(&api, None).await] };
        let ready = said.iter().all(|said| matches!(said.answer, Ok((200, _))));
        let nodes: Vec<Value> = said.iter().map(Said::to_json).collect();
        session.terminal.show(&json!({ "nodes": nodes }), || {
            let rows: Vec<Vec<String>> = said.iter().map(Said::row).collect();
            let headings =
                ["NODE", "URL", "STATUS", "ROLE", "LEADER", "TERM", "APPLIED", "COMMITTED", "QUORUM", "NOTE"];
            table(&headings, &rows, "no nodes")
        })?;
        Ok(if ready { Exit::Ok } else { Exit::Unavailable })
    }
}

/// Every node that is mapped, at the same time.
async fn everybody(api: &Api, session: &Session<'_>) -> Result<Vec<Said>, Failure> {
    let nodes = match session.variables()?.get("LEADER_REDIRECTS") {
        Some(text) => mapped(text)?,
        None => mapped_by(api).await?,
    };
    let asked = nodes.into_iter().map(|(name, url)| async move {
        let hosts = AllowedHosts::new(url.clone(), Vec::new());
        let api = Api::new(url, hosts, Patience::default(), session.rng.clone())?;
        Ok(ask(&api, Some(name)).await)
    });
    futures::future::join_all(asked).await.into_iter().collect()
}

fn mapped(text: &str) -> Result<BTreeMap<String, BaseUrl>, Failure> {
    let nodes = parse_leader_redirects(text).map_err(|invalid| {
        Failure::usage(format!("LEADER_REDIRECTS {}; {}", invalid.reason, invalid.remedy))
    })?;
    Ok(nodes.into_iter().map(|(name, url)| (name.as_str().to_owned(), url)).collect())
}

/// The nodes as the node at `api` knows them.
async fn mapped_by(api: &Api) -> Result<BTreeMap<String, BaseUrl>, Failure> {
    let (_, body) = api.look("/readyz").await?;
    let known = body.pointer("/cluster/leader_redirects").and_then(Value::as_object);
    let nodes: BTreeMap<String, BaseUrl> = known
        .into_iter()
        .flatten()
        .filter_map(|(name, url)| Some((name.clone(), BaseUrl::parse(url.as_str()?).ok()?)))
        .collect();
    if nodes.is_empty() {
        return Err(Failure::usage(format!("{} knows no addresses of the other nodes", api.base())).remedy(
            "set LEADER_REDIRECTS=node1=http://host:8081,… here or on the nodes, or leave --all out",
        ));
    }
    Ok(nodes)
}

async fn ask(api: &Api, name: Option<String>) -> Said {
    let answer = api.look("/readyz").await.map_err(|error| {
        let failure = Failure::from(error);
        failure.particulars.first().cloned().unwrap_or(failure.what)
    });
    Said { url: api.base().clone(), name, answer }
}

impl Said {
    fn to_json(&self) -> Value {
        match &self.answer {
            Ok((status, body)) => {
                json!({ "url": self.url.as_str(), "reachable": true, "status": status, "readyz": body })
            }
            Err(reason) => {
                json!({ "node": self.name, "url": self.url.as_str(), "reachable": false, "reason": reason })
            }
        }
    }

    fn row(&self) -> Vec<String> {
        let (body, status, note) = match &self.answer {
            Ok((_, body)) => (body, cell(body, "/status"), failing(body)),
            Err(reason) => (&Value::Null, "unreachable".to_owned(), reason.clone()),
        };
        let name = match cell(body, "/cluster/node_id") {
            name if name.is_empty() => self.name.clone().unwrap_or_default(),
            name => name,
        };
        let raft = |member: &str| cell(body, &format!("/raft/{member}"));
        vec![
            name,
            self.url.as_str().to_owned(),
            status,
            cell(body, "/cluster/role"),
            cell(body, "/cluster/leader_id"),
            cell(body, "/cluster/term"),
            raft("applied_index"),
            raft("commit_index"),
            raft("quorum_ok"),
            note,
        ]
    }
}

/// Why a node is not ready, and whether its files are behind.
fn failing(body: &Value) -> String {
    let details = body.get("failing").and_then(Value::as_array).into_iter().flatten();
    let mut notes: Vec<String> = details.map(|failing| cell(failing, "/detail")).collect();
    if body.get("fs_degraded") == Some(&Value::Bool(true)) {
        notes.push("files cannot be written (fs_degraded)".to_owned());
    }
    notes.join("; ")
}

impl Certs {
    fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let options = certs::Options { overwrite: self.overwrite, extra_sans: self.sans.clone() };
        let directory = session.directory.join(&self.out);
        let written = certs::generate(&directory, &self.nodes, &options, session.clock.as_ref())
            .map_err(|error| failed(&error))?;
        let files: Vec<String> = written.iter().map(|path| path.display().to_string()).collect();
        session.terminal.show(&json!({ "written": files }), || {
            files.iter().map(|file| format!("wrote {file}\n")).collect()
        })?;
        Ok(Exit::Ok)
    }
}

fn failed(error: &certs::Error) -> Failure {
    let text = error.to_string();
    match error {
        certs::Error::Name { .. } => Failure::usage(text),
        certs::Error::Exists { .. } => Failure::new(Exit::Conflict, text)
            .remedy("--overwrite replaces the certificates of the nodes that you name"),
        certs::Error::Ca { .. } | certs::Error::Io { .. } | certs::Error::Certificate { .. } => {
            Failure::failed(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_shows_what_matters_of_readyz() {
        let body = json!({
            "status": "unavailable", "fs_degraded": true,
            "failing": [{"code": "cluster_not_formed", "detail": "node3 is missing"}],
            "cluster": {"node_id": "node1", "role": "follower", "leader_id": null, "term": 0},
            "raft": {"applied_index": 0, "commit_index": 0, "quorum_ok": false},
        });
        let url = BaseUrl::parse("http://localhost:8081").unwrap();
        let said = Said { url: url.clone(), name: None, answer: Ok((503, body)) };
        assert_eq!(
            said.row().join("|"),
            "node1|http://localhost:8081|unavailable|follower||0|0|0|false|\
             node3 is missing; files cannot be written (fs_degraded)"
        );
        let gone = Said { url, name: Some("node2".into()), answer: Err("connection refused".into()) };
        assert_eq!(gone.row().join("|"), "node2|http://localhost:8081|unreachable|||||||connection refused");
        assert_eq!(gone.to_json()["reachable"], false);
    }

    #[test]
    fn leader_redirects_of_the_environment_are_read() {
        let nodes = mapped("n1=http://localhost:8081; n2=http://localhost:8082").unwrap();
        assert_eq!(nodes["n2"].as_str(), "http://localhost:8082");
        assert_eq!(mapped("n1").unwrap_err().exit, Exit::Usage);
    }
}
