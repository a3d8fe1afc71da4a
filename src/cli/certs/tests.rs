//! The certificates are judged by the code that will use them: the peer network of `hellojohn-raft`.

use hellojohn_raft::network::{PeerTls, TlsError, TlsMaterial};

use super::*;
use crate::domain::clock::ManualClock;

const NOW: i64 = 1_790_000_000;

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_secs(NOW))
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|&name| name.to_owned()).collect()
}

fn make(dir: &Path, nodes: &[&str]) -> Result<Vec<PathBuf>, Error> {
    generate(dir, &names(nodes), &Options::default(), &clock())
}

fn material(dir: &Path, node: &str, at: Timestamp) -> Result<TlsMaterial, TlsError> {
    let file = |name: String| std::fs::read(dir.join(name)).unwrap();
    let [cert, key] = files_of(node).map(file);
    TlsMaterial::parse(&cert, &key, &file(CA_CERT.to_owned()), at)
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_node_certificate_is_what_the_peer_network_wants() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), &["n1", "n2"]).unwrap();
    let now = Timestamp::from_secs(NOW);
    for node in ["n1", "n2"] {
        let found = material(dir.path(), node, now).unwrap();
        assert_eq!(found.not_after(), now.plus(NODE_VALIDITY));
        PeerTls::new(found, node, None).unwrap();
    }
    for other in ["n2", "localhost", "n1.localhost"] {
        assert!(PeerTls::new(material(dir.path(), "n1", now).unwrap(), other, None).is_err(), "{other}");
    }
}

#[test]
fn validity_begins_an_hour_ago_and_ends() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), &["n1"]).unwrap();
    let at = |seconds| material(dir.path(), "n1", Timestamp::from_secs(NOW + seconds)).is_ok();
    assert!(!at(-3601));
    assert!(at(-3599));
    assert!(at(824 * 86_400));
    assert!(!at(825 * 86_400 + 1));
}

#[test]
fn keys_are_readable_by_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let written = make(dir.path(), &["n1"]).unwrap();
    assert_eq!(written.len(), 4);
    for path in &written {
        let is_key = path.to_str().unwrap().ends_with("-key.pem");
        assert_eq!(mode(path), if is_key { 0o600 } else { 0o644 }, "{}", path.display());
    }
    let left = std::fs::read_dir(dir.path()).unwrap().count();
    assert_eq!(left, written.len(), "a temporary file was left");
}

#[test]
fn nothing_is_overwritten_unasked() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), &["n1"]).unwrap();
    let before = std::fs::read(dir.path().join("n1.pem")).unwrap();
    let error = make(dir.path(), &["n0", "n1"]).unwrap_err();
    assert!(matches!(&error, Error::Exists { path } if path.ends_with("n1.pem")), "{error}");
    assert_eq!(std::fs::read(dir.path().join("n1.pem")).unwrap(), before);
    assert!(!dir.path().join("n0.pem").exists(), "nothing at all is written");
}

#[test]
fn overwriting_renews_the_node_and_keeps_the_ca() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), &["n1"]).unwrap();
    let read = |name: &str| std::fs::read(dir.path().join(name)).unwrap();
    let (ca, key, node) = (read(CA_CERT), read(CA_KEY), read("n1.pem"));
    let options = Options { overwrite: true, ..Options::default() };
    let written = generate(dir.path(), &names(&["n1"]), &options, &clock()).unwrap();
    assert_eq!(written.len(), 2);
    assert_eq!((read(CA_CERT), read(CA_KEY)), (ca, key));
    assert_ne!(read("n1.pem"), node);
    assert_eq!(mode(&dir.path().join("n1-key.pem")), 0o600);
    assert!(material(dir.path(), "n1", Timestamp::from_secs(NOW)).is_ok());
}

#[test]
fn a_node_is_added_under_the_ca_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), &["n1"]).unwrap();
    let ca = std::fs::read(dir.path().join(CA_CERT)).unwrap();
    assert_eq!(make(dir.path(), &["n2"]).unwrap().len(), 2);
    assert_eq!(std::fs::read(dir.path().join(CA_CERT)).unwrap(), ca);
    for node in ["n1", "n2"] {
        assert!(material(dir.path(), node, Timestamp::from_secs(NOW)).is_ok(), "{node}");
    }
}

#[test]
fn a_ca_that_does_not_hold_together_is_refused() {
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make(dir.path(), &["n1"]).unwrap();
    make(other.path(), &["n1"]).unwrap();
    std::fs::copy(other.path().join(CA_KEY), dir.path().join(CA_KEY)).unwrap();
    let error = make(dir.path(), &["n2"]).unwrap_err().to_string();
    assert!(error.contains("ca-key.pem is not the key of ca.pem"), "{error}");
    std::fs::remove_file(dir.path().join(CA_KEY)).unwrap();
    let error = make(dir.path(), &["n2"]).unwrap_err().to_string();
    assert!(error.contains("ca-key.pem is missing"), "{error}");
    assert!(!dir.path().join("n2.pem").exists());
}

#[test]
fn extra_names_come_beside_the_own() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { extra_sans: names(&["raft.test"]), ..Options::default() };
    generate(dir.path(), &names(&["n1"]), &options, &clock()).unwrap();
    let now = Timestamp::from_secs(NOW);
    for (node, server_name) in [("n1", None), ("n9", Some("raft.test"))] {
        PeerTls::new(material(dir.path(), "n1", now).unwrap(), node, server_name).unwrap();
    }
}

#[test]
fn names_that_are_no_file_or_no_dns_name_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    for nodes in [
        &["../evil"][..],
        &["a/b"],
        &[""],
        &["node one"],
        &["ca"],
        &["n1", "n1"],
        &["n1", "n1-key"],
        &["*.test"],
    ] {
        let error = make(dir.path(), nodes).unwrap_err();
        assert!(matches!(error, Error::Name { .. }), "{nodes:?}: {error}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
