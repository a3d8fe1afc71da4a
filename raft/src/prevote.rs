//! The question before an election: could I win? (PreVote, Ongaro's dissertation, section 9.6)
//!
//! A candidate raises the term, and a leader that hears of a higher term steps down. A node that merely missed
//! heartbeats, because it was cut off, stopped or short of processor time, would so end a leadership that works.
//! It therefore asks first, without changing anything, and stands only where a majority has not heard from a
//! leader either. openraft 0.9 does not ask by itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use openraft::ServerState;
use serde::{Deserialize, Serialize};

use crate::election::{host_refuses, last_heard, name_of};
use crate::network::{CallError, Dialer, PeerClient, RpcFailure, RpcKind};
use crate::running::Running;
use crate::settings::Timers;
use crate::status;
use crate::types::{LogId, Raft};

/// Asks whether the peer would vote for a candidate with this log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreVote {
    /// The candidate's last entry.
    pub(crate) last_log_id: Option<LogId>,
}

/// The answer; it promises nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PreVoteAnswer {
    /// Whether the peer has no leader either and the candidate's log is as good as its own.
    pub(crate) granted: bool,
}

/// Asks the other voters.
pub(crate) struct PreVotes {
    raft: Raft,
    dialer: Arc<Dialer>,
    timers: Timers,
    /// Kept for as long as elections follow each other; a connection without traffic ends by itself.
    clients: HashMap<(String, u64), PeerClient>,
}

impl PreVotes {
    pub(crate) fn new(raft: Raft, dialer: Arc<Dialer>, timers: Timers) -> Self {
        Self { raft, dialer, timers, clients: HashMap::new() }
    }

    /// Whether a majority, this node included, would vote for it. Takes at most the election minimum.
    pub(crate) async fn could_win(&mut self) -> bool {
        let last_log_id = self.raft.data_metrics().borrow().last_log;
        let voters = self.voters();
        let majority = voters.len() / 2 + 1;
        let question = PreVote { last_log_id };
        for (name, id) in voters.iter().flatten() {
            let key = (name.clone(), *id);
            self.clients.entry(key).or_insert_with(|| self.dialer.member(name, *id));
        }
        let peers = voters.iter().flatten().filter_map(|peer| self.clients.get(peer));
        let mut answers: FuturesUnordered<_> = peers.map(|peer| self.ask(peer, &question)).collect();
        // Its own.
        let mut granted = 1;
        while granted < majority {
            match answers.next().await {
                Some(answer) => granted += usize::from(answer),
                None => return false,
            }
        }
        true
    }

    /// The voters' names and Raft ids; `None` for this node.
    fn voters(&self) -> Vec<Option<(String, u64)>> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        membership
            .voter_ids()
            .map(|id| {
                let node = membership.get_node(&id).filter(|_| id != metrics.id);
                node.map(|node| (node.name.clone(), id))
            })
            .collect()
    }

    async fn ask(&self, peer: &PeerClient, question: &PreVote) -> bool {
        let within = self.timers.election_min;
        match peer.call_json::<_, PreVoteAnswer>(RpcKind::PreVote, question, within).await {
            Ok(answer) => answer.granted,
            // A release without this question: it is asked for its vote at once.
            Err(CallError::Remote(RpcFailure::UnknownKind { .. })) => true,
            Err(error) => {
                tracing::debug!(peer = peer.name(), %error, "no answer to the question before an election");
                false
            }
        }
    }
}

/// Answers a peer that may stand for election: this node would vote for it if it does not lead a quorum itself,
/// has not heard from a leader or candidate for the election minimum, and has no newer entries. Half of it is enough where
/// that one's process has ended, or where it is who asks.
pub(crate) async fn answer(
    running: &Running,
    peer: &str,
    question: &PreVote,
    timers: Timers,
    dialer: &Dialer,
) -> Result<PreVoteAnswer, RpcFailure> {
    let raft = &running.raft;
    let last_sign = Arc::clone(&running.last_sign);
    // Asked of the core, which may be waiting for its disk; whatever else counts is looked at when it answers.
    let asked = raft.with_raft_state(move |state| {
        let leading = state.server_state == ServerState::Leader;
        let heard = state.vote_last_modified().max(last_sign.at());
        let silence = heard.map_or(Duration::MAX, |at| at.elapsed());
        if leading { (Duration::MAX, None) } else { (silence, last_heard(state.vote_ref())) }
    });
    let (silence, last) =
        asked.await.map_err(|error| RpcFailure::Unavailable { detail: error.to_string() })?;
    let willing = if silence >= timers.election_min {
        true
    } else if silence >= timers.lease() {
        match last {
            Some(last) if name_of(raft, last.id).as_deref() == Some(peer) => true,
            Some(last) => host_refuses(raft, dialer, last.id, timers).await,
            None => true,
        }
    } else {
        false
    };
    let leads = status::leads(&raft.metrics().borrow(), running.pulse.age(), timers.leader_silence());
    let as_new = raft.data_metrics().borrow().last_log <= question.last_log_id;
    Ok(PreVoteAnswer { granted: willing && as_new && !leads })
}
