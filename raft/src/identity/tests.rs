use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{IdentityError, IdentityStore, MARKER_FILE, MASTER_KEYS_FILE, Promise, Standing, master_keys};
use crate::settings::KeyFingerprints;

fn open(dir: &Path, name: &str) -> Result<IdentityStore, IdentityError> {
    IdentityStore::load_or_create(dir, name)
}

fn promise(cluster: &str) -> Promise {
    let raft_ids = BTreeMap::from([("n1".to_owned(), 1), ("n2".to_owned(), 2), ("n3".to_owned(), 3)]);
    Promise { cluster_id: cluster.to_owned(), formed_by: "n1".to_owned(), raft_ids }
}

#[test]
fn the_directory_is_its_owners_alone_even_if_it_was_open_before() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let raft = dir.path().join("raft");
    std::fs::create_dir(&raft).unwrap();
    std::fs::set_permissions(&raft, std::fs::Permissions::from_mode(0o755)).unwrap();
    drop(open(&raft, "n1"));
    assert_eq!(std::fs::metadata(&raft).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_fresh_directory_is_pristine_and_stays_so() {
    let dir = tempfile::tempdir().unwrap();
    let raft = dir.path().join("deep/raft");
    let first = open(&raft, "n1").unwrap().identity().clone();
    assert_eq!((first.state, first.raft_id, first.incarnation), (Standing::Pristine, None, 0));
    assert_eq!(open(&raft, "n1").unwrap().identity(), &first);
}

/// DataChange guard: the marker of version 1.
#[test]
fn text_of_version_1_is_pinned() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), "n2").unwrap();
    store.promise(promise("c1")).unwrap();
    let promised = fs::read_to_string(dir.path().join(MARKER_FILE)).unwrap();
    insta::assert_snapshot!(promised, @r#"
    {
      "format_version": 1,
      "node_name": "n2",
      "incarnation": 0,
      "state": "promised",
      "raft_id": null,
      "cluster_id": null,
      "promise": {
        "cluster_id": "c1",
        "formed_by": "n1",
        "raft_ids": {
          "n1": 1,
          "n2": 2,
          "n3": 3
        }
      }
    }
    "#);
    store.become_member("c1", 2, 1).unwrap();
    let member = fs::read_to_string(dir.path().join(MARKER_FILE)).unwrap();
    insta::assert_snapshot!(member, @r#"
    {
      "format_version": 1,
      "node_name": "n2",
      "incarnation": 1,
      "state": "member",
      "raft_id": 2,
      "cluster_id": "c1",
      "promise": null
    }
    "#);
}

/// Spec §3.2: a disk that belongs to another node or cluster is refused, both named.
#[test]
fn a_disk_of_another_node_or_cluster_is_refused_naming_both() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path(), "n1").unwrap().become_member("c1", 1, 1).unwrap();
    let error = open(dir.path(), "n2").unwrap_err().to_string();
    assert!(error.contains("\"n1\"") && error.contains("\"n2\"") && error.contains(MARKER_FILE), "{error}");

    let mut store = open(dir.path(), "n1").unwrap();
    store.check_cluster("c1").unwrap();
    for error in [store.check_cluster("c2").unwrap_err(), store.become_member("c2", 1, 1).unwrap_err()] {
        let error = error.to_string();
        assert!(error.contains("\"c1\"") && error.contains("\"c2\""), "{error}");
    }
}

/// Spec §13.2: the promise is durable, exclusive, repeatable, and survives a restart.
#[test]
fn a_promise_binds_to_exactly_one_cluster() {
    let dir = tempfile::tempdir().unwrap();
    {
        let mut store = open(dir.path(), "n2").unwrap();
        store.promise(promise("c1")).unwrap();
        store.promise(promise("c1")).unwrap();
    }
    let mut store = open(dir.path(), "n2").unwrap();
    assert_eq!(store.identity().promise.as_ref().unwrap(), &promise("c1"));
    let error = store.promise(promise("c2")).unwrap_err().to_string();
    assert!(error.contains("\"c1\"") && error.contains("\"c2\"") && error.contains("docs/ha.md"), "{error}");
    assert!(matches!(store.become_member("c2", 2, 1), Err(IdentityError::Promised { .. })));
    assert!(matches!(store.become_member("c1", 7, 1), Err(IdentityError::Refused { .. })), "another id");
    store.become_member("c1", 2, 1).unwrap();
    store.become_member("c1", 2, 1).unwrap();
    assert!(matches!(store.promise(promise("c1")), Err(IdentityError::Member { .. })));
    assert!(matches!(store.become_member("c1", 9, 2), Err(IdentityError::Member { .. })), "ids never change");
    drop(store);
    let store = open(dir.path(), "n2").unwrap();
    assert_eq!((store.identity().state, store.identity().raft_id), (Standing::Member, Some(2)));
}

#[test]
fn a_promise_without_this_node_or_with_a_shared_id_is_refused_and_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path(), "n9").unwrap();
    assert!(matches!(store.promise(promise("c1")), Err(IdentityError::Refused { .. })));
    let mut shared = promise("c1");
    shared.raft_ids.insert("n9".to_owned(), 1);
    assert!(matches!(store.promise(shared), Err(IdentityError::Refused { .. })));
    assert_eq!(store.identity().state, Standing::Pristine);
    assert!(open_after(store, dir.path()).identity().promise.is_none());
}

fn open_after(store: IdentityStore, dir: &Path) -> IdentityStore {
    let name = store.identity().node_name.clone();
    drop(store);
    open(dir, &name).unwrap()
}

/// Spec §13.4: the id is on disk before it is used, and is never changed for another.
#[test]
fn a_joiner_keeps_the_id_that_it_was_given() {
    let dir = tempfile::tempdir().unwrap();
    {
        let mut store = open(dir.path(), "n2").unwrap();
        store.join("c1", 4, 2).unwrap();
        store.join("c1", 4, 2).unwrap();
    }
    let mut store = open(dir.path(), "n2").unwrap();
    assert_eq!((store.identity().state, store.identity().raft_id), (Standing::Joining, Some(4)));
    assert!(matches!(store.join("c1", 5, 3), Err(IdentityError::Member { .. })));
    assert!(matches!(store.join("c2", 4, 2), Err(IdentityError::WrongCluster { .. })));
    assert!(matches!(store.promise(promise("c1")), Err(IdentityError::Member { .. })));
    store.give_up_joining().unwrap();
    assert_eq!((store.identity().state, store.identity().raft_id), (Standing::Pristine, None));
    store.give_up_joining().unwrap();
    store.join("c1", 4, 2).unwrap();
    assert!(matches!(store.become_member("c1", 5, 2), Err(IdentityError::Member { .. })));
    store.become_member("c1", 4, 2).unwrap();
    assert_eq!(store.identity().state, Standing::Member);
    assert!(matches!(store.join("c1", 4, 2), Err(IdentityError::Member { .. })));
    assert!(matches!(store.give_up_joining(), Err(IdentityError::Member { .. })));
}

#[test]
fn two_holders_of_one_directory_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let _first = open(dir.path(), "n1").unwrap();
    let error = open(dir.path(), "n1").unwrap_err();
    assert!(matches!(error, IdentityError::InUse { .. }), "{error}");
    assert!(error.to_string().contains("another hellojohn process"), "{error}");
}

/// Rule 5 of spec §1: a lost marker beside Raft data never makes a pristine node.
#[test]
fn a_marker_missing_beside_raft_data_stops_the_node() {
    for name in ["log", "snapshots"] {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join(name)).unwrap();
        drop(open(dir.path(), "n1").unwrap());
        fs::remove_file(dir.path().join(MARKER_FILE)).unwrap();
        fs::write(dir.path().join(name).join("x"), b"data").unwrap();
        let error = open(dir.path(), "n1").unwrap_err();
        assert!(matches!(error, IdentityError::Missing { .. }), "{error}");
        assert!(!dir.path().join(MARKER_FILE).exists());
    }
}

#[test]
fn anything_but_a_valid_marker_is_refused_with_file_and_reason() {
    let good = r#"{"format_version":1,"node_name":"n1","incarnation":1,"state":"member","raft_id":1,"cluster_id":"c","promise":null}"#;
    let cases = [
        ("", "EOF"),
        ("{}", "format_version is missing"),
        (&good.replace("\"format_version\":1", "\"format_version\":2"), "format version 2"),
        (&good.replace("\"raft_id\":1", "\"raft_id\":null"), "need raft_id"),
        (&good.replace("\"raft_id\":1", "\"raft_id\":-1"), "invalid value"),
        (&good.replace("\"member\"", "\"king\""), "unknown variant"),
        (&good.replace("\"member\"", "\"pristine\""), "excludes"),
        (&good.replace("\"promise\":null", "\"promise\":null,\"extra\":1"), "unknown field"),
        (&good.replace("\"promise\":null", "\"raft_id\":2"), "duplicate field"),
        (&good.replace("\"node_name\":\"n1\"", "\"node_name\":\"\""), "node_name"),
        (&format!("{good}{}", " ".repeat(70_000)), "larger than"),
    ];
    for (text, reason) in cases {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MARKER_FILE), text).unwrap();
        let error = open(dir.path(), "n1").unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains(MARKER_FILE), "{reason}: {error}");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(MARKER_FILE), good).unwrap();
    assert_eq!(open(dir.path(), "n1").unwrap().identity().raft_id, Some(1));
}

fn fingerprints(signing: &str, secretbox: &str) -> KeyFingerprints {
    KeyFingerprints { signing: signing.to_owned(), secretbox: secretbox.to_owned() }
}

/// Spec §3.1: the same master keys for good.
#[test]
fn a_disk_is_for_the_master_keys_that_were_noted_and_says_which_one_is_another() {
    let dir = tempfile::tempdir().unwrap();
    let own = fingerprints("s", "b");
    assert!(!master_keys::check(dir.path(), &own).unwrap(), "nothing is noted yet");
    master_keys::keep(dir.path(), &own).unwrap();
    assert!(master_keys::check(dir.path(), &own).unwrap());
    for (other, setting) in
        [(fingerprints("x", "b"), "SIGNING_MASTER_KEY"), (fingerprints("s", "x"), "SECRETBOX_MASTER_KEY")]
    {
        let error = master_keys::check(dir.path(), &other).unwrap_err().to_string();
        assert!(error.contains(setting) && error.contains(MASTER_KEYS_FILE), "{error}");
    }
}

/// DataChange guard: the file of version 1.
#[test]
fn text_of_the_master_keys_of_version_1_is_pinned() {
    let dir = tempfile::tempdir().unwrap();
    master_keys::keep(dir.path(), &fingerprints("s", "b")).unwrap();
    let text = fs::read_to_string(dir.path().join(MASTER_KEYS_FILE)).unwrap();
    let written = r#"{"format_version":1,"fingerprints":{"signing":"s","secretbox":"b"}}"#;
    fs::write(dir.path().join(MASTER_KEYS_FILE), written).unwrap();
    assert!(
        master_keys::check(dir.path(), &fingerprints("s", "b")).unwrap(),
        "what version 1 wrote stays readable"
    );
    insta::assert_snapshot!(text, @r#"
    {
      "format_version": 1,
      "fingerprints": {
        "signing": "s",
        "secretbox": "b"
      }
    }
    "#);
}

#[test]
fn a_file_of_master_keys_that_makes_no_sense_is_refused_with_the_reason() {
    let good = r#"{"format_version":1,"fingerprints":{"signing":"s","secretbox":"b"}}"#;
    let cases = [
        ("", "EOF"),
        ("{}", "format_version is missing"),
        (&good.replace(":1", ":2"), "format version 2"),
        (&good.replace("}}", "},\"more\":1}"), "unknown field"),
        (&good.replace("\"s\"", "7"), "invalid type"),
    ];
    for (text, reason) in cases {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MASTER_KEYS_FILE), text).unwrap();
        let error = master_keys::check(dir.path(), &fingerprints("s", "b")).unwrap_err().to_string();
        assert!(error.contains(reason) && error.contains(MASTER_KEYS_FILE), "{reason}: {error}");
    }
}
