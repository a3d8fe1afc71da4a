//! A sign of life that does not pass through Raft's core.
//!
//! openraft's core sends no heartbeat while it waits for its own disk, and a follower's core reads none. A disk that
//! stalls for half a second under somebody else's load would so cost a leader its office, and the next leader has
//! the same disks. With each heartbeat a leader therefore says besides, past the core, that its process lives.
//! That only puts off elections (see [`crate::election`], [`crate::prevote`]): it acknowledges nothing, and it ends
//! when no quorum has acknowledged the leader for [`PATIENCE`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openraft::ServerState;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::network::{PeerClient, RpcKind};
use crate::pulse::Pulse;
use crate::types::{Metrics, Raft};

/// How long a leader may go without a quorum, or its core stand still, before it counts as gone. A hung disk costs
/// this much more than a process that died.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a peer has for its answer. Longer than a handshake on a busy machine.
const ANSWER: Duration = Duration::from_secs(1);

/// The leader of this term lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alive {
    /// Raft id of the leader.
    pub(crate) leader: u64,
    /// Its term.
    pub(crate) term: u64,
}

/// When this node's leader last said that it lives.
#[derive(Debug, Default)]
pub(crate) struct LastSign(Mutex<Option<Instant>>);

impl LastSign {
    /// Notes the sign if it is from the leader that this node follows.
    pub(crate) fn note(&self, raft: &Raft, sign: &Alive) {
        let vote = raft.metrics().borrow().vote;
        if vote.is_committed() && (vote.leader_id.term, vote.leader_id.node_id) == (sign.term, sign.leader) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// When the last sign came.
    pub(crate) fn at(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the peer a sign of life with every heartbeat while this node leads, until `stop`.
pub(crate) async fn give_signs(
    raft: Raft,
    peer: PeerClient,
    pulse: Arc<Pulse>,
    heartbeat: Duration,
    stop: CancellationToken,
) {
    let metrics = raft.metrics();
    let mut office = Office::default();
    let mut beats = interval(heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beats.tick() => {}
        }
        let sign = office.sign(&metrics.borrow(), peer.name(), pulse.age(), Instant::now());
        if let Some(sign) = sign {
            // A peer that is down, or too old to know the sign, is told again with the next heartbeat.
            drop(peer.call_json::<_, ()>(RpcKind::Alive, &sign, ANSWER).await);
        }
    }
}

/// Since when this node leads in which term.
#[derive(Debug, Default)]
struct Office(Option<(u64, Instant)>);

impl Office {
    /// What to tell the peer, if it is a member and this node leads it. `age` is how old the metrics are.
    fn sign(&mut self, metrics: &Metrics, peer: &str, age: Duration, now: Instant) -> Option<Alive> {
        if metrics.state != ServerState::Leader {
            self.0 = None;
            return None;
        }
        let term = metrics.vote.leader_id.term;
        let since = match self.0 {
            Some((led, since)) if led == term => since,
            Some(_) | None => self.0.insert((term, now)).1,
        };
        let acknowledged =
            metrics.millis_since_quorum_ack.map(|ago| Duration::from_millis(ago).saturating_add(age));
        let fresh = acknowledged.unwrap_or_else(|| now - since) <= PATIENCE;
        let member = metrics.membership_config.membership().nodes().any(|(_, node)| node.name == peer);
        (fresh && member).then_some(Alive { leader: metrics.id, term })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use openraft::{Membership, StoredMembership, Vote};

    use super::*;
    use crate::types::Member;

    fn leader() -> Metrics {
        let nodes: BTreeMap<u64, Member> =
            (1..=3).map(|id| (id, Member { name: format!("n{id}") })).collect();
        let voters: BTreeSet<u64> = (1..=3).collect();
        let mut metrics = Metrics::new_initial(1);
        metrics.state = ServerState::Leader;
        metrics.vote = Vote::new_committed(7, 1);
        metrics.membership_config = StoredMembership::new(None, Membership::new(vec![voters], nodes)).into();
        metrics
    }

    #[test]
    fn a_leader_gives_signs_to_members_while_a_quorum_acknowledged_it_a_second_ago() {
        let mut metrics = leader();
        let (mut office, now) = (Office::default(), Instant::now());
        metrics.millis_since_quorum_ack = Some(600);
        let sign = Some(Alive { leader: 1, term: 7 });
        assert_eq!(office.sign(&metrics, "n2", Duration::from_millis(400), now), sign);
        assert_eq!(
            office.sign(&metrics, "n2", Duration::from_millis(401), now),
            None,
            "the core stands still"
        );
        assert_eq!(office.sign(&metrics, "n9", Duration::ZERO, now), None, "no member");
        metrics.state = ServerState::Candidate;
        assert_eq!(office.sign(&metrics, "n2", Duration::ZERO, now), None);
    }

    #[test]
    fn a_new_leader_has_as_long_to_find_its_quorum() {
        let mut metrics = leader();
        let (mut office, mut now) = (Office::default(), Instant::now());
        assert!(office.sign(&metrics, "n2", Duration::ZERO, now).is_some());
        now += PATIENCE;
        assert!(office.sign(&metrics, "n2", Duration::ZERO, now).is_some());
        now += Duration::from_millis(1);
        assert!(office.sign(&metrics, "n2", Duration::ZERO, now).is_none());
        metrics.vote = Vote::new_committed(9, 1);
        assert!(office.sign(&metrics, "n2", Duration::ZERO, now).is_some(), "elected again");
    }
}
