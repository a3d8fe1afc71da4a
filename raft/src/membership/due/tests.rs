use hellojohn_control::{MemberIdentity, MemberRole};
use openraft::{LeaderId, LogId, Membership, StoredMembership};
use uuid::Uuid;

use super::*;
use crate::types::Member;

/// Three founders; `n3` has lost its disk and was given 4.
fn formation() -> Formation {
    let members = [("n1", 1), ("n2", 2), ("n3", 4)];
    Formation {
        cluster_id: Uuid::from_u128(7),
        next_raft_id: 5,
        members: members.map(|(name, raft_id)| (name.to_owned(), MemberIdentity::founder(raft_id))).into(),
        format: 1,
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
    assert_eq!(due(&formation(), &metrics(&[&[1, 2, 3]], &OLD, 100)), []);
    assert_eq!(due(&formation(), &metrics(&[&[1, 2, 3]], &WITH_LEARNER, 35)), []);
}

/// Spec §13.4: one change, so that there are never more or fewer voters.
#[test]
fn a_learner_that_has_caught_up_takes_the_place_of_who_it_was() {
    let swap = Change::Seat { name: "n3".to_owned(), raft_id: 4, voters: [1, 2, 4].into() };
    assert_eq!(due(&formation(), &metrics(&[&[1, 2, 3]], &WITH_LEARNER, 36)), [swap]);
    let after = [(1, "n1"), (2, "n2"), (4, "n3")];
    assert_eq!(due(&formation(), &metrics(&[&[1, 2, 4]], &after, 100)), []);
}

#[test]
fn a_change_that_a_dead_leader_began_is_finished_first() {
    let joint = metrics(&[&[1, 2, 3], &[1, 2, 4]], &WITH_LEARNER, 100);
    assert_eq!(due(&formation(), &joint), [Change::Finish([1, 2, 4].into())]);
}

/// It lost its disk again before it was a voter: its first new id goes.
#[test]
fn an_id_that_was_given_in_vain_is_forgotten() {
    let mut formation = formation();
    formation.members.insert("n3".to_owned(), MemberIdentity::founder(5));
    let vain = metrics(&[&[1, 2, 3]], &WITH_LEARNER, 100);
    assert_eq!(due(&formation, &vain), [Change::Forget([4].into())]);
}

/// One that cannot be changed does not hold up the others.
#[test]
fn everything_that_is_due_is_named() {
    let mut formation = formation();
    formation.members.insert("n2".to_owned(), MemberIdentity::founder(5));
    let nodes = [(1, "n1"), (2, "n2"), (3, "n3"), (4, "n3"), (5, "n2"), (6, "n2")];
    let wanted = [
        Change::Seat { name: "n2".to_owned(), raft_id: 5, voters: [1, 3, 5].into() },
        Change::Seat { name: "n3".to_owned(), raft_id: 4, voters: [1, 2, 4].into() },
        Change::Forget([6].into()),
    ];
    assert_eq!(due(&formation, &metrics(&[&[1, 2, 3]], &nodes, 100)), wanted);
}

/// Spec §3.2: a learner until it is promoted.
#[test]
fn a_node_that_was_added_becomes_a_voter_when_it_is_promoted() {
    let mut formation = formation();
    let nodes = [(1, "n1"), (2, "n2"), (4, "n3"), (5, "n4")];
    let mut added = MemberIdentity { role: MemberRole::Learner, ..MemberIdentity::founder(5) };
    formation.members.insert("n4".to_owned(), added);
    assert_eq!(due(&formation, &metrics(&[&[1, 2, 4]], &nodes, 100)), []);
    added.role = MemberRole::Voter;
    formation.members.insert("n4".to_owned(), added);
    let seat = Change::Seat { name: "n4".to_owned(), raft_id: 5, voters: [1, 2, 4, 5].into() };
    assert_eq!(due(&formation, &metrics(&[&[1, 2, 4]], &nodes, 100)), [seat]);
    assert_eq!(due(&formation, &metrics(&[&[1, 2, 4]], &nodes, 35)), [], "it has not caught up");
}

#[test]
fn a_member_that_was_removed_loses_its_vote_or_is_forgotten() {
    let mut formation = formation();
    formation.members.remove("n3");
    let unseat = Change::Unseat { name: "n3".to_owned(), voters: [1, 2].into() };
    let forget = Change::Forget([4].into());
    assert_eq!(due(&formation, &metrics(&[&[1, 2, 3]], &WITH_LEARNER, 100)), [unseat, forget]);
    assert_eq!(due(&formation, &metrics(&[&[3]], &[(3, "n3")], 100)), [], "never the last voter");
    // Added again while its removal was under way: it comes as a learner, and the old one goes all the same.
    let again = MemberIdentity { raft_id: None, role: MemberRole::Learner, ..MemberIdentity::founder(9) };
    formation.members.insert("n3".to_owned(), again);
    let unseat = Change::Unseat { name: "n3".to_owned(), voters: [1, 2].into() };
    assert_eq!(due(&formation, &metrics(&[&[1, 2, 3]], &OLD, 100)), [unseat]);
}
