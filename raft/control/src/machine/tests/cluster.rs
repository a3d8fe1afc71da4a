//! The birth of a cluster, and entries that this release does not know.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::support::{Bench, finding, findings};
use crate::{
    Batch, Command, FORMAT, Fatal, MemberIdentity, MemberRole, Outcome, Reject, UnknownVersion, limits,
};

fn form(members: &[(&str, u64)]) -> Command {
    let members: BTreeMap<String, u64> = members.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
    Command::FormCluster { cluster_id: Uuid::from_u128(7), members }
}

/// spec §3.2: formed once.
#[test]
fn a_cluster_is_formed_once() {
    let mut bench = Bench::new();
    assert!(bench.view().formation().is_none());
    assert_eq!(bench.run(form(&[("n1", 1), ("n2", 2), ("n3", 3)])), Ok(Outcome::ClusterFormed));
    assert_eq!(bench.run(form(&[("n1", 1)])), Err(Reject::AlreadyFormed));
    let view = bench.view();
    let formation = view.formation().unwrap();
    assert_eq!((formation.cluster_id, formation.next_raft_id), (Uuid::from_u128(7), 4));
    assert_eq!(formation.members["n3"], MemberIdentity::founder(3));
}

/// spec §13.4: a Raft id is never used twice.
#[test]
fn founders_have_distinct_ids_with_one_left_after_them() {
    for (members, code) in [
        (&[][..], "required"),
        (&[("n1", 1), ("n2", 1)][..], "duplicate"),
        (&[("n1", 1), ("n2", u64::MAX)][..], "required"),
    ] {
        assert_eq!(findings(Bench::new().run(form(members))), finding("members", code));
    }
}

/// spec §13.4: whoever lost its disk is somebody else.
#[test]
fn a_member_is_admitted_under_an_id_that_was_never_used() {
    let admit = |name: &str| Command::AdmitNode { name: name.to_owned(), admission: None, format: 1 };
    let mut bench = Bench::new();
    assert_eq!(bench.run(admit("n1")), Err(Reject::NodeNotFound));
    bench.run(form(&[("n1", 1), ("n2", 2)])).unwrap();
    assert_eq!(bench.run(admit("n1")), Ok(Outcome::NodeAdmitted { raft_id: 3, incarnation: 2 }));
    assert_eq!(bench.run(admit("n2")), Ok(Outcome::NodeAdmitted { raft_id: 4, incarnation: 2 }));
    assert_eq!(bench.run(admit("n1")), Ok(Outcome::NodeAdmitted { raft_id: 5, incarnation: 3 }));
    assert_eq!(bench.run(admit("n3")), Err(Reject::NodeNotFound));
    let view = bench.view();
    let formation = view.formation().unwrap();
    assert_eq!((formation.members["n1"].raft_id, formation.next_raft_id), (Some(5), 6));
}

/// An answer that was lost on the way costs no Raft id.
#[test]
fn whoever_asks_again_for_a_raft_id_is_given_the_same() {
    let admit = |drawn: u128| Command::AdmitNode {
        name: "n1".to_owned(),
        admission: Some(Uuid::from_u128(drawn)),
        format: 1,
    };
    let mut bench = Bench::new();
    bench.run(form(&[("n1", 1), ("n2", 2)])).unwrap();
    assert_eq!(bench.run(admit(7)), Ok(Outcome::NodeAdmitted { raft_id: 3, incarnation: 2 }));
    assert_eq!(bench.run(admit(7)), Ok(Outcome::NodeAdmitted { raft_id: 3, incarnation: 2 }));
    assert_eq!(bench.run(admit(8)), Ok(Outcome::NodeAdmitted { raft_id: 4, incarnation: 3 }));
}

/// spec §3.2: learner, then voter; the last voter cannot leave (ha.md).
#[test]
fn members_are_added_promoted_and_removed() {
    let name = || "n2".to_owned();
    let mut bench = Bench::new();
    assert_eq!(bench.run(Command::AddMember { name: name() }), Err(Reject::NodeNotFound));
    bench.run(form(&[("n1", 1)])).unwrap();
    assert_eq!(bench.run(Command::PromoteMember { name: name() }), Err(Reject::NodeNotFound));
    assert_eq!(bench.run(Command::AddMember { name: name() }), Ok(Outcome::Member { created: true }));
    assert_eq!(bench.run(Command::AddMember { name: name() }), Ok(Outcome::Member { created: false }));
    assert_eq!(bench.run(Command::PromoteMember { name: name() }), Err(Reject::NotJoined));
    assert_eq!(bench.run(Command::RemoveMember { name: "n1".to_owned() }), Err(Reject::LastVoter));

    let admitted = bench.run(Command::AdmitNode { name: name(), admission: None, format: 1 });
    assert_eq!(admitted, Ok(Outcome::NodeAdmitted { raft_id: 2, incarnation: 1 }));
    let role = |bench: &Bench| bench.view().formation().unwrap().members["n2"].role;
    assert_eq!(role(&bench), MemberRole::Learner);
    assert_eq!(bench.run(Command::PromoteMember { name: name() }), Ok(Outcome::Member { created: false }));
    assert_eq!(role(&bench), MemberRole::Voter);
    bench.run(Command::AdmitNode { name: name(), admission: None, format: 1 }).unwrap();
    assert_eq!(role(&bench), MemberRole::Voter, "a voter that lost its disk");

    assert_eq!(bench.run(Command::RemoveMember { name: "n1".to_owned() }), Ok(Outcome::MemberRemoved));
    assert_eq!(bench.run(Command::RemoveMember { name: "n1".to_owned() }), Err(Reject::NodeNotFound));
    assert_eq!(bench.run(Command::RemoveMember { name: name() }), Err(Reject::LastVoter));
    assert_eq!(
        bench.run(Command::AddMember { name: "n1".to_owned() }),
        Ok(Outcome::Member { created: true })
    );
    assert_eq!(
        bench.run(Command::AdmitNode { name: "n1".to_owned(), admission: None, format: 1 }),
        Ok(Outcome::NodeAdmitted { raft_id: 4, incarnation: 1 }),
        "never the id that it had"
    );
}

#[test]
fn there_is_a_limit_of_members_and_of_their_names() {
    let mut bench = Bench::new();
    bench.run(form(&[("n1", 1)])).unwrap();
    for wrong in ["", "a b", "n\u{e9}", &"n".repeat(254)] {
        let added = bench.run(Command::AddMember { name: wrong.to_owned() });
        assert_eq!(findings(added), finding("name", "invalid"), "{wrong}");
    }
    for number in 2..=limits::MEMBERS {
        bench.run(Command::AddMember { name: format!("n{number}") }).unwrap();
    }
    let one_more = bench.run(Command::AddMember { name: "n99".to_owned() });
    assert!(matches!(one_more, Err(Reject::LimitReached { .. })), "{one_more:?}");
}

/// spec §2.1: a command that a member cannot decode stops that member; it is never skipped.
#[test]
fn an_entry_of_a_newer_release_is_fatal_and_changes_nothing() {
    let mut bench = Bench::with_acme();
    let hash = bench.hash();
    let found = FORMAT + 1;
    let batch = Batch::of_version(found, Arc::default());
    let fatal = bench.machine.apply(&batch).unwrap_err();
    assert_eq!(fatal, Fatal::UnknownVersion(UnknownVersion { found }));
    assert_eq!(
        fatal.to_string(),
        format!(
            "log entry has format version {found}, this release knows versions up to {FORMAT}; upgrade this node"
        )
    );
    assert_eq!(bench.hash(), hash);
}
