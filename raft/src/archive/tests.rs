use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use hellojohn_control::{Batch, Command, Envelope, Issuer, Timestamp};
use openraft::{LeaderId, Membership};
use uuid::Uuid;

use super::{Archive, ArchiveError, meta, write_new};
use crate::replica::Replica;
use crate::snapshot::{self, SnapshotError};
use crate::types::{Entry, LogId, Member, StoredMembership};

fn archive() -> Archive {
    let log_id = LogId::new(LeaderId::new(2, 1), 9);
    let members = BTreeMap::from([("n1".to_owned(), 1), ("n2".to_owned(), 2)]);
    let envelope = Envelope {
        at: Timestamp::from_secs(1),
        actor: "test".to_owned(),
        request_id: "r".to_owned(),
        ip: None,
        precondition: None,
        idempotency: None,
        command: Command::FormCluster { cluster_id: Uuid::from_u128(7), members },
    };
    let mut replica = Replica::new(Issuer::new("http://localhost"));
    let payload = openraft::EntryPayload::Normal(Batch::new(vec![envelope]));
    replica.apply(&Entry { log_id, payload }).unwrap();
    let nodes =
        BTreeMap::from([(1, Member { name: "n1".to_owned() }), (2, Member { name: "n2".to_owned() })]);
    let membership = StoredMembership::new(Some(log_id), Membership::new(vec![BTreeSet::from([1])], nodes));
    Archive::new(meta(Some(log_id), membership), replica.image(), Timestamp::from_secs(3))
}

const PATH: &str = "a.snap";

fn bytes() -> Vec<u8> {
    archive().encode(Path::new(PATH)).unwrap()
}

fn decoded(bytes: Vec<u8>) -> Result<Archive, ArchiveError> {
    Archive::decode(Path::new(PATH), bytes)
}

#[test]
fn what_was_written_is_read_and_told() {
    let read = decoded(bytes()).unwrap();
    assert_eq!(read, archive());
    assert_eq!(read.encode(Path::new(PATH)).unwrap(), bytes());
    insta::assert_json_snapshot!(read.summary().unwrap(), @r#"
    {
      "cluster_id": "00000000-0000-0000-0000-000000000007",
      "index": 9,
      "term": 2,
      "created_at": "1970-01-01T00:00:03.000Z",
      "members": [
        {
          "name": "n1",
          "raft_id": 1,
          "incarnation": 1,
          "voter": true
        },
        {
          "name": "n2",
          "raft_id": 2,
          "incarnation": 1,
          "voter": false
        }
      ],
      "tenants": 0,
      "clients": 0,
      "keys": 0,
      "format_version": 1,
      "state_hash": "5e4888256c9395cb9e25b9d66c5bf054fefe27bee6f969b0da471b748c5892b9"
    }
    "#);
}

/// F19: damage of any kind is an error that names the file.
#[test]
fn every_flip_and_every_cut_and_what_trails_is_refused() {
    let whole = bytes();
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        let error = decoded(flipped).unwrap_err();
        assert!(error.to_string().contains(PATH), "{at}: {error}");
        assert!(decoded(whole[..at].to_vec()).is_err(), "cut at {at}");
    }
    for trailing in [&b"\n"[..], b"\0", &whole] {
        assert!(decoded([&whole, trailing].concat()).is_err());
    }
    let mut newer = whole;
    newer[7] = 9;
    assert!(matches!(
        decoded(newer),
        Err(ArchiveError::File(SnapshotError::UnknownVersion { version: 9, .. }))
    ));
}

/// A right checksum over a wrong content.
#[test]
fn a_file_that_contradicts_itself_is_refused() {
    let path = Path::new(PATH);
    let good = archive();
    let fields = |cluster: Option<String>| super::to_fields(&good.meta, cluster, good.created_at).unwrap();
    let payload = good.image.encode().unwrap();
    let own = super::cluster_id(&good.image);
    let made = |cluster, payload: &[u8]| snapshot::encode(path, fields(cluster), payload, 1 << 20).unwrap();
    assert!(decoded(made(own.clone(), &payload)).is_ok());
    let other = decoded(made(Some("another".to_owned()), &payload)).unwrap_err().to_string();
    assert!(other.contains("another") && other.contains(&own.clone().unwrap()), "{other}");
    let newer = String::from_utf8(payload.clone()).unwrap().replacen("\"v\":1", "\"v\":9", 1);
    let newer = decoded(made(own.clone(), newer.as_bytes())).unwrap_err();
    assert!(newer.to_string().contains("version 9"), "{newer}");
    assert!(matches!(decoded(made(own.clone(), b"[]")), Err(ArchiveError::Content { .. })));
    let mut nowhere = fields(own);
    nowhere.last_log_id = None;
    let nowhere = decoded(snapshot::encode(path, nowhere, &payload, 1 << 20).unwrap());
    assert!(matches!(nowhere, Err(ArchiveError::Contradiction { .. })));
}

#[test]
fn a_file_that_exists_is_not_replaced() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(PATH);
    write_new(&path, b"one").unwrap();
    assert!(matches!(write_new(&path, b"two"), Err(ArchiveError::Exists { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"one");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
