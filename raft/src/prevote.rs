//! The question before an election: could I win? (PreVote, Ongaro's dissertation, section 9.6)
//!
//! A candidate raises the term, and a leader that hears of a higher term steps down. A node that merely missed
//! heartbeats, because it was cut off, stopped or short of processor time, would so end a leadership that works.
//! It therefore asks first, without changing anything, and stands only where a majority has not heard from a
//! leader either. openraft 0.9 does not ask by itself.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use openraft::ServerState;
use serde::{Deserialize, Serialize};

use crate::election::{host_refuses, last_heard};
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
        let (configs, own, others) = self.voters();
        let question = PreVote { last_log_id };
        for (name, id) in &others {
            let key = (name.clone(), *id);
            self.clients.entry(key).or_insert_with(|| self.dialer.member(name, *id));
        }
        let peers = others.iter().filter_map(|peer| Some((peer.1, self.clients.get(peer)?)));
        let mut answers: FuturesUnordered<_> =
            peers.map(|(id, peer)| self.ask(peer, &question).map(move |granted| (id, granted))).collect();
        let mut granted = BTreeSet::from([own]);
        while !wins(&configs, &granted) {
            match answers.next().await {
                Some((id, true)) => {
                    granted.insert(id);
                }
                Some((_, false)) => {}
                None => return false,
            }
        }
        true
    }

    /// The voters of each configuration, this node's Raft id, and the others' names and ids.
    fn voters(&self) -> (Vec<BTreeSet<u64>>, u64, Vec<(String, u64)>) {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let others = membership
            .voter_ids()
            .filter(|id| *id != metrics.id)
            .filter_map(|id| membership.get_node(&id).map(|node| (node.name.clone(), id)))
            .collect();
        (membership.get_joint_config().clone(), metrics.id, others)
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

/// Whether these voters are a majority of every configuration: while the members change there are two.
fn wins(configs: &[BTreeSet<u64>], granted: &BTreeSet<u64>) -> bool {
    configs.iter().all(|voters| voters.intersection(granted).count() > voters.len() / 2)
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
            // Whoever asks, or this node itself, was the last to lead or to stand.
            Some(last) if status::name_of(&raft.metrics().borrow(), last.id).as_deref() == Some(peer) => true,
            Some(last) if last.id == raft.metrics().borrow().id => true,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A member that lost its disk is being swapped, 3 for 4, and neither of them answers.
    #[test]
    fn a_majority_of_each_configuration_is_enough_while_members_change() {
        let joint = [BTreeSet::from([1, 2, 3]), BTreeSet::from([1, 2, 4])];
        assert!(wins(&joint, &[1, 2].into()));
        assert!(!wins(&joint, &[1, 4].into()), "one of three");
        assert!(wins(&joint[..1], &[1, 3].into()));
        assert!(!wins(&joint[..1], &[1].into()));
    }
}
