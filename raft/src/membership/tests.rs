use hellojohn_control::MemberIdentity;
use openraft::{LeaderId, LogId, Membership, StoredMembership};

use super::*;

/// Three founders; `n3` has lost its disk and was given 4.
fn formation() -> Formation {
    let members = [("n1", 1, 1), ("n2", 2, 1), ("n3", 4, 2)];
    Formation {
        cluster_id: Uuid::from_u128(7),
        next_raft_id: 5,
        members: members
            .map(|(name, raft_id, incarnation)| (name.to_owned(), MemberIdentity { raft_id, incarnation }))
            .into(),
    }
}

/// A leader with these voters and learners, all of which have the log up to the given entry of a hundred.
fn metrics(configs: &[&[u64]], nodes: &[(u64, &str)], matched: u64) -> Metrics {
    let configs = configs.iter().map(|voters| voters.iter().copied().collect()).collect();
    let nodes: BTreeMap<u64, Member> =
        nodes.iter().map(|(id, name)| (*id, Member { name: (*name).to_owned() })).collect();
    let log_id = LogId::new(LeaderId::new(1, 1), matched);
    let mut metrics = Metrics::new_initial(1);
    metrics.last_log_index = Some(100);
    metrics.replication = Some(nodes.keys().map(|id| (*id, Some(log_id))).collect());
    metrics.membership_config = StoredMembership::new(None, Membership::new(configs, nodes)).into();
    metrics
}

const OLD: [(u64, &str); 3] = [(1, "n1"), (2, "n2"), (3, "n3")];
const WITH_LEARNER: [(u64, &str); 4] = [(1, "n1"), (2, "n2"), (3, "n3"), (4, "n3")];

#[test]
fn nothing_is_due_before_the_learner_is_there_and_has_caught_up() {
    assert_eq!(due(&formation(), &metrics(&[&[1, 2, 3]], &OLD, 100)), None);
    assert_eq!(due(&formation(), &metrics(&[&[1, 2, 3]], &WITH_LEARNER, 35)), None);
}

/// Spec §13.4: one change, so that there are never more or fewer voters.
#[test]
fn a_learner_that_has_caught_up_takes_the_place_of_who_it_was() {
    let swap = Change::Swap { name: "n3".to_owned(), raft_id: 4, voters: [1, 2, 4].into() };
    assert_eq!(due(&formation(), &metrics(&[&[1, 2, 3]], &WITH_LEARNER, 36)), Some(swap));
    let after = [(1, "n1"), (2, "n2"), (4, "n3")];
    assert_eq!(due(&formation(), &metrics(&[&[1, 2, 4]], &after, 100)), None);
}

#[test]
fn a_change_that_a_dead_leader_began_is_finished_first() {
    let joint = metrics(&[&[1, 2, 3], &[1, 2, 4]], &WITH_LEARNER, 100);
    assert_eq!(due(&formation(), &joint), Some(Change::Finish([1, 2, 4].into())));
}

/// It lost its disk again before it was a voter: its first new id goes.
#[test]
fn an_id_that_was_given_in_vain_is_forgotten() {
    let mut formation = formation();
    formation.members.insert("n3".to_owned(), MemberIdentity { raft_id: 5, incarnation: 3 });
    let vain = metrics(&[&[1, 2, 3]], &WITH_LEARNER, 100);
    assert_eq!(due(&formation, &vain), Some(Change::Forget([4].into())));
}
