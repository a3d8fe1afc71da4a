//! What is refused when TLS settings are read, and how the error names it.

use super::*;

fn authority_of(last_year: i32) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.not_after = date_time_ymd(last_year, 1, 1);
    Authority::from(params)
}

#[test]
fn sound_material_tells_its_end_of_validity() {
    let material = Authority::new().issue_as("n1", &BOTH, 2031).material();
    assert_eq!(material.not_after(), Timestamp::from_secs(1_924_992_000));
    let text = format!("{material:?}");
    assert!(text.contains("n1") && !text.contains("PRIVATE"), "{text}");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let ca = Authority::new();
    let pem = Pem { key: ca.issue("n1").key, ..ca.issue("n1") };
    assert!(matches!(pem.at(now()).unwrap_err(), TlsError::Key(_)));
}

#[test]
fn unreadable_texts_name_their_setting() {
    let good = Authority::new().issue("n1");
    let parse = |cert: &str, key: &str, ca: &str| {
        TlsMaterial::parse(cert.as_bytes(), key.as_bytes(), ca.as_bytes(), now()).unwrap_err().to_string()
    };
    assert!(parse("", &good.key, &good.ca).starts_with("RAFT_TLS_CERT: "));
    assert!(parse(&good.cert, "nonsense", &good.ca).starts_with("RAFT_TLS_KEY: "));
    assert!(parse(&good.cert, &good.key, &good.key).starts_with("RAFT_TLS_CA: "));
    assert!(!parse(&good.cert, &good.cert, &good.ca).contains("BEGIN"));
}

#[test]
fn an_expired_or_early_certificate_is_refused() {
    let pem = Authority::new().issue_as("n1", &BOTH, 2020);
    let expired = pem.at(now()).unwrap_err();
    assert!(matches!(&expired, TlsError::Certificate(text) if text.contains("expired")), "{expired}");
    let early = pem.at(Timestamp::from_secs(600_000_000)).unwrap_err();
    assert!(matches!(&early, TlsError::Certificate(text) if text.contains("clock")), "{early}");
}

#[test]
fn a_certificate_of_another_ca_is_refused() {
    let pem = Pem { ca: Authority::new().pem, ..Authority::new().issue("n1") };
    let error = pem.at(now()).unwrap_err();
    assert!(matches!(&error, TlsError::Certificate(text) if text.contains("RAFT_TLS_CA")), "{error}");
}

/// spec §3.2: serverAuth and clientAuth.
#[test]
fn both_extended_key_usages_are_needed() {
    let ca = Authority::new();
    for usages in [&BOTH[..1], &BOTH[1..], &[]] {
        let error = ca.issue_as("n1", usages, 2099).at(now()).unwrap_err();
        assert!(
            matches!(&error, TlsError::Certificate(text) if text.contains("extended key usage")),
            "{error}"
        );
    }
}

#[test]
fn a_ca_must_be_one_and_not_have_expired() {
    let ca = Authority::new();
    let leaf_as_ca = Pem { ca: ca.issue("n2").cert, ..ca.issue("n1") };
    let error = leaf_as_ca.at(now()).unwrap_err();
    assert!(matches!(&error, TlsError::Ca(text) if text.contains("not a CA")), "{error}");
    let error = authority_of(2020).issue("n1").at(now()).unwrap_err();
    assert!(matches!(&error, TlsError::Ca(text) if text.contains("expired")), "{error}");
}

#[test]
fn two_authorities_may_stand_side_by_side() {
    let (old, new) = (Authority::new(), Authority::new());
    for issued in [old.issue("n1"), new.issue("n1")] {
        let pem = Pem { ca: format!("{}{}", old.pem, new.pem), ..issued };
        assert!(pem.at(now()).is_ok());
    }
}

#[test]
fn the_own_certificate_must_carry_the_own_name() {
    let ca = Authority::new();
    let error = PeerTls::new(ca.issue("n2").material(), "n1", None).unwrap_err().to_string();
    assert!(error.contains("SAN DNS:n1") && error.contains("n2"), "{error}");
    assert!(PeerTls::new(ca.issue("cluster.test").material(), "n1", Some("cluster.test")).is_ok());
    let wildcard = PeerTls::new(ca.issue("*.hj.test").material(), "n1.hj.test", None);
    assert!(matches!(wildcard.unwrap_err(), TlsError::Certificate(_)));
    let unusable = PeerTls::new(ca.issue("n1").material(), "node one", None).unwrap_err();
    assert!(matches!(unusable, TlsError::Name { .. }), "{unusable}");
}

#[test]
fn a_bad_swap_leaves_the_old_material() {
    let ca = Authority::new();
    let tls = PeerTls::new(ca.issue_as("n1", &BOTH, 2031).material(), "n1", None).unwrap();
    let before = tls.not_after();
    assert!(tls.swap(ca.issue_as("n9", &BOTH, 2040).material()).is_err());
    assert_eq!(tls.not_after(), before);
    tls.swap(ca.issue_as("n1", &BOTH, 2040).material()).unwrap();
    assert!(tls.not_after() > before);
}
