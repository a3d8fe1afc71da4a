//! A sign of life that does not pass through Raft's core.
//!
//! openraft's core sends no heartbeat while it waits for its own disk, and a follower's core reads none. A disk that
//! stalls for half a second under somebody else's load would so cost a leader its office, and the next leader has
//! the same disks. With each heartbeat a leader therefore says besides, past the core, that its process lives.
//! That only puts off elections (see [`crate::election`], [`crate::prevote`]): it acknowledges nothing, and a leader
//! has no more than [`CREDIT`] of it to spend on the time in which no quorum acknowledges it. A leader whose disk
//! stands still is so replaced seconds later than one that died, and one whose disk is always slow is replaced too.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hellojohn_control::Timestamp;
use openraft::ServerState;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clocks::Reading;
use crate::network::{PeerClient, RpcKind};
use crate::pulse::Pulse;
use crate::shared::Shared;
use crate::types::{Metrics, Raft};

/// How long in all a leader gives signs beyond the election minimum after the last acknowledgement of a quorum.
const CREDIT: Duration = Duration::from_secs(1);

/// What was spent comes back in this many times the time, while a quorum acknowledges the leader.
const REPAY: u32 = 30;

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

/// The answer to a sign of life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AliveAnswer {
    /// What the clock of the node that answers shows; a release before this one does not say.
    #[serde(default)]
    pub(crate) now: Option<Timestamp>,
}

/// When this node's leader last said that it lives.
#[derive(Debug, Default)]
pub(crate) struct LastSign(Mutex<Option<Instant>>);

impl LastSign {
    /// Notes the sign of `peer` if it is the leader that this node follows.
    pub(crate) fn note(&self, metrics: &Metrics, peer: &str, sign: &Alive) {
        let (vote, members) = (metrics.vote, metrics.membership_config.membership());
        let follows =
            vote.is_committed() && (vote.leader_id.term, vote.leader_id.node_id) == (sign.term, sign.leader);
        if follows && members.get_node(&sign.leader).is_some_and(|leader| leader.name == peer) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
    }

    /// When the last sign came.
    pub(crate) fn at(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives the peer a sign of life with every heartbeat while this node leads, until it stops. The answers tell what its
/// clock shows.
pub(crate) async fn give_signs(shared: Arc<Shared>, raft: Raft, peer: PeerClient, pulse: Arc<Pulse>) {
    let (timers, stop) = (shared.settings.timers, &shared.stop);
    let metrics = raft.metrics();
    let mut office = None;
    let mut beats = interval(timers.heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beats.tick() => {}
        }
        let sign = {
            let metrics = metrics.borrow();
            let seen = Seen { metrics: &metrics, age: pulse.age(), now: Instant::now() };
            sign(&mut office, &seen, peer.name(), timers.election_min)
        };
        if let Some(sign) = sign {
            let (asked, began) = (shared.settings.now.now(), Instant::now());
            // A peer that is down, or too old to know the sign, is told again with the next heartbeat.
            let answer = peer.call_json::<_, Option<AliveAnswer>>(RpcKind::Alive, &sign, ANSWER).await;
            if let Ok(Some(AliveAnswer { now: Some(shown) })) = answer {
                shared.clocks.note(peer.name(), &Reading { asked, shown, took: began.elapsed() });
            }
        }
    }
}

/// What is known of the core.
struct Seen<'a> {
    metrics: &'a Metrics,
    /// How old the metrics are.
    age: Duration,
    now: Instant,
}

/// A term in which this node leads.
#[derive(Debug)]
struct Office {
    term: u64,
    since: Instant,
    seen: Instant,
    credit: Duration,
}

impl Office {
    fn new(term: u64, now: Instant) -> Self {
        Self { term, since: now, seen: now, credit: CREDIT }
    }
}

/// What to tell the peer, if it is a member and this node leads it. Called with every heartbeat.
fn sign(office: &mut Option<Office>, seen: &Seen<'_>, peer: &str, election_min: Duration) -> Option<Alive> {
    let &Seen { metrics, age, now } = seen;
    if metrics.state != ServerState::Leader {
        *office = None;
        return None;
    }
    let term = metrics.vote.leader_id.term;
    let office = match office {
        Some(office) if office.term == term => office,
        other => other.insert(Office::new(term, now)),
    };
    let acknowledged = metrics.millis_since_quorum_ack.map(Duration::from_millis);
    let silence = acknowledged.map_or_else(|| now - office.since, |ago| ago.saturating_add(age));
    let passed = now - std::mem::replace(&mut office.seen, now);
    office.credit = if silence <= election_min {
        CREDIT.min(office.credit + passed / REPAY)
    } else {
        // No more than the silence itself: this may come late, because the peer was slow to answer the sign before.
        office.credit.saturating_sub(passed.min(silence - election_min))
    };
    let member = metrics.membership_config.membership().nodes().any(|(_, node)| node.name == peer);
    (member && !office.credit.is_zero()).then_some(Alive { leader: metrics.id, term })
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use openraft::{Membership, StoredMembership, Vote};

    use super::*;
    use crate::types::Member;

    const MIN: Duration = Duration::from_millis(300);
    const BEAT: Duration = Duration::from_millis(50);

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

    /// Heartbeats of a leader, one after the other.
    struct Beats {
        office: Option<Office>,
        metrics: Metrics,
        now: Instant,
    }

    impl Beats {
        fn new() -> Self {
            Self { office: None, metrics: leader(), now: Instant::now() }
        }

        fn beat(&mut self, acknowledged: u64, age: Duration) -> Option<Alive> {
            self.now += BEAT;
            self.metrics.millis_since_quorum_ack = Some(acknowledged);
            sign(&mut self.office, &Seen { metrics: &self.metrics, age, now: self.now }, "n2", MIN)
        }

        /// How long a stall lasts before the signs end, at most `longest`.
        fn stall(&mut self, longest: Duration) -> Duration {
            let mut age = Duration::ZERO;
            while age < longest && self.beat(0, age).is_some() {
                age += BEAT;
            }
            age
        }
    }

    #[test]
    fn only_a_leader_gives_signs_and_only_to_members() {
        let mut beats = Beats::new();
        assert_eq!(beats.beat(10, BEAT), Some(Alive { leader: 1, term: 7 }));
        let seen = Seen { metrics: &beats.metrics, age: BEAT, now: beats.now };
        assert_eq!(sign(&mut beats.office, &seen, "n9", MIN), None);
        beats.metrics.state = ServerState::Candidate;
        assert_eq!(beats.beat(10, BEAT), None);
    }

    #[test]
    fn a_core_that_stands_still_is_covered_for_a_second_beyond_the_election_minimum() {
        let mut beats = Beats::new();
        assert!(beats.beat(10, BEAT).is_some());
        assert_eq!(beats.stall(Duration::from_secs(60)), MIN + CREDIT);
    }

    /// A disk that takes 700 ms for every write would otherwise stay in office for ever.
    #[test]
    fn stalls_add_up_and_are_forgiven_slowly() {
        let mut beats = Beats::new();
        let long = Duration::from_millis(700);
        let mut stalls = 0;
        while beats.stall(long) == long {
            stalls += 1;
            assert!(stalls < 10, "a leader that always stalls stays in office");
        }
        assert_eq!(stalls, 2);
        for _ in 0..20 * 30 {
            beats.beat(10, BEAT);
        }
        assert_eq!(beats.stall(long), long, "half a minute later the credit is back");
    }

    #[test]
    fn a_peer_that_answers_late_costs_no_more_than_the_silence() {
        let mut beats = Beats::new();
        assert!(beats.beat(10, BEAT).is_some());
        beats.now += ANSWER;
        assert!(
            beats.beat(0, MIN + BEAT).is_some(),
            "a second passed, 50 ms of it silent beyond the minimum"
        );
        assert_eq!(beats.office.unwrap().credit, CREDIT - BEAT);
    }

    #[test]
    fn a_new_leader_has_as_long_to_find_its_quorum() {
        let mut beats = Beats::new();
        let mut signs = 0;
        loop {
            beats.now += BEAT;
            let seen = Seen { metrics: &beats.metrics, age: Duration::ZERO, now: beats.now };
            if sign(&mut beats.office, &seen, "n2", MIN).is_none() {
                break;
            }
            signs += 1;
            assert!(signs < 1000, "a leader without a quorum stays in office");
        }
        assert_eq!(BEAT * signs, MIN + CREDIT);
        beats.metrics.vote = Vote::new_committed(9, 1);
        assert!(beats.beat(10, BEAT).is_some(), "elected again");
    }

    #[test]
    fn an_answer_without_a_time_is_that_of_an_older_release() {
        let decode = |json: &str| serde_json::from_str::<Option<AliveAnswer>>(json).unwrap();
        assert_eq!(decode("null"), None);
        assert_eq!(decode("{}"), Some(AliveAnswer { now: None }));
        let now = Timestamp::from_secs(1_790_000_000);
        assert_eq!(
            decode(&format!("{{\"now\":\"{now}\",\"later\":1}}")),
            Some(AliveAnswer { now: Some(now) })
        );
    }

    #[test]
    fn only_the_sign_of_the_leader_that_is_followed_counts() {
        let mut follower = leader();
        follower.state = ServerState::Follower;
        let last = LastSign::default();
        let good = Alive { leader: 1, term: 7 };
        for (peer, sign) in
            [("n1", Alive { term: 6, ..good.clone() }), ("n2", Alive { leader: 2, ..good.clone() })]
        {
            last.note(&follower, peer, &sign);
            assert_eq!(last.at(), None);
        }
        last.note(&follower, "n2", &good);
        assert_eq!(last.at(), None, "somebody else speaks for the leader");
        let elected = std::mem::replace(&mut follower.vote, Vote::new(7, 1));
        last.note(&follower, "n1", &good);
        assert_eq!(last.at(), None, "it is not elected yet");
        follower.vote = elected;
        last.note(&follower, "n1", &good);
        assert!(last.at().is_some());
    }
}
