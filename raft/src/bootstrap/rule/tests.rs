use super::*;
use crate::settings::KeyFingerprints;

fn probe(name: &str) -> Probe {
    Probe {
        name: name.to_owned(),
        standing: Standing::Pristine,
        bootstrap: false,
        nodes_hash: "h".to_owned(),
        fingerprints: KeyFingerprints { signing: "s".to_owned(), secretbox: "b".to_owned() },
    }
}

fn answers(list: &[Option<Probe>], names: &[&str]) -> BTreeMap<String, Option<Probe>> {
    names.iter().map(|&n| n.to_owned()).zip(list.iter().cloned()).collect()
}

fn waits(decision: Decision, part: &str) {
    match decision {
        Decision::Wait(why) => assert!(why.contains(part), "{why:?} lacks {part:?}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_smallest_name_forms_when_all_answered() {
    let peers = answers(&[Some(probe("n2")), Some(probe("n3"))], &["n2", "n3"]);
    assert_eq!(decide(&probe("n1"), &peers), Decision::Form);
    let peers = answers(&[Some(probe("n1")), Some(probe("n3"))], &["n1", "n3"]);
    waits(decide(&probe("n2"), &peers), "n1");
}

/// Spec promise 5: silence is no evidence.
#[test]
fn a_silent_peer_means_wait_even_when_flagged() {
    let mut own = probe("n1");
    own.bootstrap = true;
    waits(decide(&own, &answers(&[Some(probe("n2")), None], &["n2", "n3"])), "n3");
    waits(decide(&own, &answers(&[None, None], &["n2", "n3"])), "n2, n3");
}

#[test]
fn the_only_flagged_node_forms() {
    let mut flagged = probe("n3");
    flagged.bootstrap = true;
    let peers = answers(&[Some(probe("n1")), Some(probe("n2"))], &["n1", "n2"]);
    assert_eq!(decide(&flagged, &peers), Decision::Form);
    let peers = answers(&[Some(probe("n2")), Some(flagged)], &["n2", "n3"]);
    waits(decide(&probe("n1"), &peers), "n3");
}

#[test]
fn two_flagged_nodes_wait_and_are_named() {
    let mut one = probe("n1");
    one.bootstrap = true;
    let mut two = probe("n2");
    two.bootstrap = true;
    waits(decide(&one, &answers(&[Some(two), Some(probe("n3"))], &["n2", "n3"])), "n1 and n2");
}

#[test]
fn a_peer_with_a_cluster_ends_every_thought_of_forming() {
    let cluster_id = Uuid::from_u128(7);
    let mut member = probe("n3");
    member.standing = Standing::Member { cluster_id };
    member.nodes_hash = "other".to_owned();
    let mut own = probe("n1");
    own.bootstrap = true;
    let peers = answers(&[None, Some(member)], &["n2", "n3"]);
    assert_eq!(decide(&own, &peers), Decision::ClusterExists { cluster_id });
}

#[test]
fn differing_lists_or_keys_wait_and_name_the_setting() {
    let mut other = probe("n2");
    other.nodes_hash = "x".to_owned();
    waits(decide(&probe("n1"), &answers(&[Some(other)], &["n2"])), "CLUSTER_NODES");
    let mut other = probe("n2");
    other.fingerprints.signing = "x".to_owned();
    waits(decide(&probe("n1"), &answers(&[Some(other)], &["n2"])), "SIGNING_MASTER_KEY");
    let mut other = probe("n2");
    other.fingerprints.secretbox = "x".to_owned();
    waits(decide(&probe("n1"), &answers(&[Some(other)], &["n2"])), "SECRETBOX_MASTER_KEY");
}

/// Spec §13.1.
#[test]
fn files_without_raft_never_form() {
    let mut orphan = probe("n1");
    orphan.standing = Standing::Orphaned;
    assert!(matches!(decide(&orphan, &answers(&[Some(probe("n2"))], &["n2"])), Decision::Stop(_)));
    waits(decide(&probe("n2"), &answers(&[Some(orphan)], &["n1"])), "restored");
}

#[test]
fn a_single_node_forms_at_once() {
    assert_eq!(decide(&probe("n1"), &BTreeMap::new()), Decision::Form);
}
