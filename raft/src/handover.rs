//! A planned change of the leader (Ongaro's dissertation, section 3.10): the one that leads lets the entry under way
//! finish, waits until its successor has the whole log, and calls it to stand.
//!
//! A voter that heard from a leader lately votes for nobody else (its lease), which an unplanned election has to wait out.
//! Here the leader itself gives its voters leave: it sends them an append under the vote that the successor is about to
//! ask for. openraft takes the vote in it as any vote of a higher term, on disk before it is answered, and no longer
//! follows the old leader; the append itself fits no log and is refused. It elects nobody by itself: the successor still
//! asks each voter, and each compares the logs. See decision 0014.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use openraft::Vote;
use openraft::raft::AppendEntriesRequest;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout};

use crate::network::{CallError, RpcFailure, RpcKind, encode_json};
use crate::node::Node;
use crate::propose::ProposeError;
use crate::running::Running;
use crate::shared::Shared;
use crate::status;
use crate::types::{LogId, Metrics, TypeConfig};

/// How long the entry under way may take, and how long the successor has to receive what it lacks.
const CATCH_UP: Duration = Duration::from_secs(1);
/// How long a voter has to give the old leader up.
const LEAVE: Duration = Duration::from_millis(200);
/// How long the successor has to say that it stands.
const ANSWER: Duration = Duration::from_millis(500);

/// Index of an entry that no log will ever have.
const NO_ENTRY: u64 = u64::MAX / 2;

/// Calls a follower to stand for election now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stand {
    /// The term in which the caller leads.
    pub(crate) term: u64,
}

/// What a follower makes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum StandAnswer {
    /// It stands.
    Stands,
    /// It does not.
    Refused {
        /// Why, for a person.
        reason: String,
    },
}

/// A change of the leader that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HandOver {
    /// Who leads now.
    pub leader: String,
    /// In which term.
    pub term: u64,
    /// Milliseconds in which nobody could write.
    pub gap_ms: u64,
}

/// Why the leader was not changed, or not as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// This node does not lead.
    #[error(transparent)]
    NotLeader(#[from] ProposeError),
    /// Nobody can take over; this node still leads.
    #[error("{0}")]
    NoSuccessor(String),
    /// This node leads no longer, and the successor was not elected in time: the others elect as after a failure.
    #[error("{0}")]
    NotElected(String),
}

impl Node {
    /// Hands the leadership over to `to`, or to the voter that has most of the log. When `to` leads already, that is all.
    ///
    /// # Errors
    /// See [`HandOverError`].
    pub async fn hand_over(&self, to: Option<&str>) -> Result<HandOver, HandOverError> {
        let shared = &self.shared;
        let running = shared.running.load_full().ok_or(ProposeError::Unavailable)?;
        shared.check_leader(&running)?;
        if to == Some(shared.settings.name.as_str()) {
            let leader = shared.settings.name.clone();
            return Ok(HandOver { leader, term: running.metrics().current_term, gap_ms: 0 });
        }
        let successor = successor(shared, &running.metrics(), to).map_err(HandOverError::NoSuccessor)?;
        let no_successor = |why: &str| {
            HandOverError::NoSuccessor(format!(
                "{} cannot take over: {why}; this node still leads",
                successor.name
            ))
        };
        let pause = running.proposals.pause(CATCH_UP).await;
        let Some(_pause) = pause else { return Err(no_successor("a write is on its way for too long")) };
        let began = Instant::now();
        if !has_everything(&running, successor.id).await {
            return Err(no_successor("it has not received the whole log in time"));
        }
        shared.check_leader(&running)?;
        let term = running.metrics().current_term;
        // From here on the others may vote for the successor, whatever becomes of this node's own step.
        step_aside(shared, &running, term, &successor).await.map_err(|why| {
            HandOverError::NotElected(format!(
                "{} was not called to stand: {why}; the others elect a leader as after a failure",
                successor.name
            ))
        })?;
        self.install(&running, term, &successor, began).await
    }

    /// Lets the successor stand, and waits until it leads.
    async fn install(
        &self,
        running: &Running,
        term: u64,
        successor: &Successor,
        began: Instant,
    ) -> Result<HandOver, HandOverError> {
        let shared = &self.shared;
        let name = &successor.name;
        let not_elected = |why: String| {
            HandOverError::NotElected(format!(
                "{name} was not elected: {why}; the others elect a leader as after a failure"
            ))
        };
        let client = shared.dialer.member(name, successor.id);
        match client.call_json::<_, StandAnswer>(RpcKind::Stand, &Stand { term }, ANSWER).await {
            Ok(StandAnswer::Stands) => {}
            Ok(StandAnswer::Refused { reason }) => return Err(not_elected(reason)),
            Err(error) => return Err(not_elected(error.to_string())),
        }
        let mut metrics = running.raft.metrics();
        let elected =
            metrics.wait_for(|metrics| metrics.current_term > term && metrics.current_leader.is_some());
        let elected = match timeout(shared.settings.timers.election_max, elected).await {
            Ok(Ok(metrics)) => status::leader_name(&metrics).map(|leader| (leader, metrics.current_term)),
            Ok(Err(_)) | Err(_) => None,
        };
        let Some((leader, term)) = elected else {
            return Err(not_elected("no leader was heard of in time".to_owned()));
        };
        let gap_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(leader, term, gap_ms, "the leadership was handed over");
        Ok(HandOver { leader, term, gap_ms })
    }
}

/// Who is to lead.
struct Successor {
    name: String,
    id: u64,
}

/// The voter that is asked for, or the one that has most of the log of those that were heard from lately.
fn successor(shared: &Shared, metrics: &Metrics, to: Option<&str>) -> Result<Successor, String> {
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let others = membership
        .nodes()
        .filter(|(id, _)| voters.contains(id) && **id != metrics.id)
        .map(|(id, node)| (node.name.as_str(), *id));
    let matched = |id: u64| metrics.replication.as_ref().and_then(|all| all.get(&id).copied().flatten());
    let there = |name: &str| {
        shared.contacts.age(name).is_some_and(|age| age <= shared.settings.timers.leader_silence())
    };
    match to {
        Some(to) => {
            let (name, id) = others
                .into_iter()
                .find(|(name, _)| *name == to)
                .ok_or_else(|| format!("{to} is no other voter of this cluster"))?;
            if !there(name) {
                return Err(format!("{name} was not heard from lately"));
            }
            Ok(Successor { name: name.to_owned(), id })
        }
        None => others
            .filter(|(name, _)| there(name))
            .max_by_key(|(_, id)| matched(*id))
            .map(|(name, id)| Successor { name: name.to_owned(), id })
            .ok_or_else(|| "no other voter was heard from lately".to_owned()),
    }
}

/// Waits until this member has every entry of the leader's log.
async fn has_everything(running: &Running, id: u64) -> bool {
    let mut metrics = running.raft.metrics();
    let same = metrics.wait_for(|metrics| {
        let matched = metrics.replication.as_ref().and_then(|all| all.get(&id).copied().flatten());
        matched.map(|id| id.index) == metrics.last_log_index
    });
    timeout(CATCH_UP, same).await.is_ok_and(|same| same.is_ok())
}

/// Gives the other voters, and at last this node, leave to vote for the successor.
async fn step_aside(
    shared: &Arc<Shared>,
    running: &Running,
    term: u64,
    successor: &Successor,
) -> Result<(), String> {
    let vote = Vote::new(term + 1, successor.id);
    let leave = || AppendEntriesRequest::<TypeConfig> {
        vote,
        prev_log_id: Some(LogId::new(vote.leader_id, NO_ENTRY)),
        entries: Vec::new(),
        leader_commit: None,
    };
    let payload = encode_json(&leave()).map_err(|error: RpcFailure| error.to_string())?;
    let metrics = running.metrics();
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let others = membership
        .nodes()
        .filter(|(id, _)| voters.contains(id) && **id != metrics.id && **id != successor.id)
        .map(|(id, node)| shared.dialer.member(&node.name, *id));
    let asked = others.map(|peer| {
        let payload = payload.clone();
        async move {
            let answer: Result<_, CallError> = peer.call(RpcKind::Append, payload, LEAVE).await;
            if let Err(error) = answer {
                // A majority may do without it: this node and the successor have a vote each.
                tracing::info!(peer = peer.name(), %error, "it was not given leave to vote for another leader");
            }
        }
    });
    let own = async {
        let left = running.raft.append_entries(leave());
        match timeout(ANSWER, left).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err(format!("the disk took more than {ANSWER:?}")),
        }
    };
    futures::future::join(own, futures::future::join_all(asked)).await.0
}

/// Stands for election, called by the leader that this node follows.
pub(crate) async fn stand(running: &Running, from: &str, call: &Stand) -> StandAnswer {
    let refused = |reason: String| StandAnswer::Refused { reason };
    let metrics = running.metrics();
    if metrics.current_term != call.term || status::leader_name(&metrics).as_deref() != Some(from) {
        return refused(format!("it does not follow {from} in term {}", call.term));
    }
    tracing::info!(from, term = call.term, "the leader hands over to this node; standing for election");
    match running.raft.trigger().elect().await {
        Ok(()) => StandAnswer::Stands,
        Err(error) => refused(error.to_string()),
    }
}
