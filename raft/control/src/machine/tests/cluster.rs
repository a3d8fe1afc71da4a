//! The birth of a cluster, and entries that this release does not know.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::support::{Bench, finding, findings};
use crate::{Batch, Command, Fatal, Outcome, Reject, UnknownVersion};

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
    assert_eq!(formation.members["n3"].raft_id, 3);
    assert_eq!(formation.members["n3"].incarnation, 1);
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
    let admit = |name: &str| Command::AdmitNode { name: name.to_owned() };
    let mut bench = Bench::new();
    assert_eq!(bench.run(admit("n1")), Err(Reject::NodeNotFound));
    bench.run(form(&[("n1", 1), ("n2", 2)])).unwrap();
    assert_eq!(bench.run(admit("n1")), Ok(Outcome::NodeAdmitted { raft_id: 3, incarnation: 2 }));
    assert_eq!(bench.run(admit("n2")), Ok(Outcome::NodeAdmitted { raft_id: 4, incarnation: 2 }));
    assert_eq!(bench.run(admit("n1")), Ok(Outcome::NodeAdmitted { raft_id: 5, incarnation: 3 }));
    assert_eq!(bench.run(admit("n3")), Err(Reject::NodeNotFound));
    let view = bench.view();
    let formation = view.formation().unwrap();
    assert_eq!((formation.members["n1"].raft_id, formation.next_raft_id), (5, 6));
}

/// spec §2.1: a command that a member cannot decode stops that member; it is never skipped.
#[test]
fn an_entry_of_a_newer_release_is_fatal_and_changes_nothing() {
    let mut bench = Bench::with_acme();
    let hash = bench.hash();
    let batch = Batch::of_version(2, Arc::default());
    let fatal = bench.machine.apply(&batch).unwrap_err();
    assert_eq!(fatal, Fatal::UnknownVersion(UnknownVersion { found: 2 }));
    assert_eq!(
        fatal.to_string(),
        "log entry has format version 2, this release knows version 1; upgrade this node"
    );
    assert_eq!(bench.hash(), hash);
}
