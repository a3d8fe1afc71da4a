//! `hellojohn cluster members …` and `cluster step-down`: who belongs to the cluster, and who leads it (EP131).

use clap::{Args, Subcommand};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::cli::connection::Connection;
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::terminal::{cell, pairs, table};

const MEMBERS: &str = "/v1/admin/cluster/members";

/// The commands under `cluster members`.
#[derive(Debug, Subcommand)]
pub enum Members {
    /// List the members, as the node that is asked knows them
    ///
    /// expected: added, and has not come yet. joining: receives the log. learner: has the log and no vote.
    /// voter: takes part in every decision. leaving: removed, and not everybody has agreed yet.
    #[command(after_long_help = "Examples:
  hellojohn cluster members list
  hellojohn cluster members list --output json | jq .members")]
    List(List),
    /// Let a new node join
    ///
    /// First add the node to CLUSTER_NODES on every node, and restart them one after the other. After this
    /// command start the new node with an empty disk: it becomes a learner by itself. Then promote it.
    #[command(after_long_help = "Examples:
  hellojohn cluster members add node4
  hellojohn cluster members list      # until node4 is a learner
  hellojohn cluster members promote node4")]
    Add(Named),
    /// Give a learner a vote
    ///
    /// Refused while the node still lacks much of the log. Have an odd number of voters in the end: an even one
    /// survives no more failures than the odd one below it.
    #[command(after_long_help = "Examples:
  hellojohn cluster members promote node4")]
    Promote(Named),
    /// Take a node out of the cluster
    ///
    /// Its process ends and says why. Refused for the leader (see 'cluster step-down') and where a majority of
    /// the voters that would remain does not answer.
    #[command(after_long_help = "Examples:
  hellojohn cluster members remove node2")]
    Remove(Named),
}

/// Options of `cluster members list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    connection: Connection,
}

/// A member, and how to reach the cluster.
#[derive(Debug, Args)]
pub struct Named {
    /// NODE_ID of the node
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `cluster step-down`.
#[derive(Debug, Args)]
pub struct StepDown {
    /// NODE_ID of the voter that is to lead; without it the one that has most of the log
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

impl Members {
    /// Runs the command.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        match self {
            Members::List(list) => list.run(session).await,
            Members::Add(named) => named.add(session).await,
            Members::Promote(named) => named.promote(session).await,
            Members::Remove(named) => named.remove(session).await,
        }
    }
}

impl List {
    async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let api = self.connection.authorised(session).await?;
        let answer = api
            .get("/v1/admin/cluster")
            .await
            .map_err(|error| Failure::from(error).while_doing("cannot list the members"))?;
        session.terminal.show(&answer.body, || members(&answer.body))?;
        if let Some(note) = upgrading(&answer.body) {
            session.terminal.note(&note);
        }
        Ok(Exit::Ok)
    }
}

/// What is to be known while nodes of two releases work together.
fn upgrading(cluster: &Value) -> Option<String> {
    let number = |pointer: &str| cluster.pointer(pointer).and_then(Value::as_u64);
    let (format, known) = (number("/format")?, number("/format_known")?);
    (format < known).then(|| {
        format!(
            "the cluster writes format {format}, the node that was asked knows {known}: not every member is upgraded yet, and \
             going back is possible"
        )
    })
}

fn members(cluster: &Value) -> String {
    let leader = cell(cluster, "/leader_id");
    let listed = cluster.get("members").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let rows: Vec<Vec<String>> = listed
        .iter()
        .map(|member| {
            let name = cell(member, "/name");
            let leads = if name == leader { "leader".to_owned() } else { String::new() };
            vec![name, cell(member, "/state"), leads, cell(member, "/raft_id"), cell(member, "/addr")]
        })
        .collect();
    table(&["NAME", "STATE", "ROLE", "RAFT ID", "ADDRESS"], &rows, "no members")
}

impl Named {
    async fn add(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let api = self.connection.authorised(session).await?;
        let answer = api
            .post(MEMBERS, &json!({ "name": self.name }))
            .await
            .map_err(|error| Failure::from(error).while_doing(format!("cannot add {}", self.name)))?;
        self.show(session, &answer.body)?;
        if cell(&answer.body, "/state") == "expected" {
            session.terminal.note("start it with an empty disk; it becomes a learner by itself");
        }
        Ok(Exit::Ok)
    }

    async fn promote(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let api = self.connection.authorised(session).await?;
        let answer = api
            .post(&format!("{}/promote", self.path()), &json!({}))
            .await
            .map_err(|error| Failure::from(error).while_doing(format!("cannot promote {}", self.name)))?;
        self.show(session, &answer.body)?;
        if cell(&answer.body, "/state") != "voter" {
            session.terminal.note("the members have not agreed yet; the leader goes on trying");
        }
        Ok(Exit::Ok)
    }

    async fn remove(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let api = self.connection.authorised(session).await?;
        let answer = api
            .delete(&self.path())
            .await
            .map_err(|error| Failure::from(error).while_doing(format!("cannot remove {}", self.name)))?;
        let left = answer.body.is_null();
        session.terminal.show(&json!({ "removed": self.name, "left": left }), || {
            if left {
                format!("{} has left the cluster\n", self.name)
            } else {
                format!("{} is leaving; the others have not agreed yet, and go on trying\n", self.name)
            }
        })?;
        Ok(Exit::Ok)
    }

    fn show(&self, session: &mut Session<'_>, member: &Value) -> Result<(), Failure> {
        session.terminal.show(member, || {
            pairs(&[
                ("name", cell(member, "/name")),
                ("state", cell(member, "/state")),
                ("raft id", cell(member, "/raft_id")),
                ("address", cell(member, "/addr")),
            ])
        })
    }

    fn path(&self) -> String {
        format!("{MEMBERS}/{}", utf8_percent_encode(&self.name, NON_ALPHANUMERIC))
    }
}

impl StepDown {
    /// Runs the command.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let api = self.connection.authorised(session).await?;
        let body = self.to.as_ref().map_or_else(|| json!({}), |to| json!({ "to": to }));
        let answer = api
            .post("/v1/admin/cluster/step-down", &body)
            .await
            .map_err(|error| Failure::from(error).while_doing("cannot hand over the leadership"))?;
        session.terminal.show(&answer.body, || {
            pairs(&[
                ("leader", cell(&answer.body, "/leader")),
                ("term", cell(&answer.body, "/term")),
                ("milliseconds without writes", cell(&answer.body, "/gap_ms")),
            ])
        })?;
        Ok(Exit::Ok)
    }
}
