//! Who is let in, and what the one left outside is told (spec §3.2, S110).

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;

async fn refused(client: &PeerClient) -> Refusal {
    match ask(client, "hi").await {
        Err(CallError::Refused(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

async fn unreachable(client: &PeerClient) -> String {
    match ask(client, "hi").await {
        Err(CallError::Unreachable { reason }) => reason,
        other => panic!("not unreachable: {other:?}"),
    }
}

#[tokio::test]
async fn a_call_goes_round_under_mutual_tls() {
    let (ca, echo) = (Authority::new(), Arc::new(Echo::default()));
    let server = serve(ca.issue("n2").security("n2").0, &echo).await;
    let dialer = dialer(ca.issue("n1").security("n1").0, &book(&server));
    let client = dialer.client("n2");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    let large = Bytes::from(vec![7; 3_000_000]);
    assert_eq!(client.call(RpcKind::Append, large.clone(), LONG).await.unwrap(), large);
    assert_eq!(
        *echo.seen.lock().unwrap(),
        [("n1".to_owned(), RpcKind::Probe), ("n1".to_owned(), RpcKind::Append)]
    );
    assert_eq!(echo.admitted(), 1, "one connection serves both calls");
    assert!(dialer.shutdown(LONG).await);
    server.shutdown(LONG).await;
}

#[tokio::test]
async fn a_client_of_another_ca_is_refused() {
    let (ours, theirs, echo) = (Authority::new(), Authority::new(), Arc::new(Echo::default()));
    let server = serve(ours.issue("n2").security("n2").0, &echo).await;
    // It trusts our CA, so that it is the server that has to notice.
    let mut pem = theirs.issue("n1");
    pem.ca.push_str(&ours.pem);
    let dialer = dialer(pem.security("n1").0, &book(&server));
    let reason = unreachable(&dialer.client("n2")).await;
    assert!(reason.contains("alert"), "{reason}");
    assert_eq!(echo.admitted(), 0);
}

#[tokio::test]
async fn a_server_of_another_ca_is_refused() {
    let (ours, theirs, echo) = (Authority::new(), Authority::new(), Arc::new(Echo::default()));
    let mut pem = theirs.issue("n2");
    pem.ca.push_str(&ours.pem);
    let server = serve(pem.security("n2").0, &echo).await;
    let dialer = dialer(ours.issue("n1").security("n1").0, &book(&server));
    let reason = unreachable(&dialer.client("n2")).await;
    assert!(reason.contains("invalid peer certificate"), "{reason}");
    assert_eq!(echo.admitted(), 0);
}

#[tokio::test]
async fn a_server_with_the_certificate_of_another_node_is_refused() {
    let (ca, echo) = (Authority::new(), Arc::new(Echo::default()));
    // n3 answers where n2 is expected: its own material is in order, its name is not the one dialled.
    let server = serve(ca.issue("n3").security("n3").0, &echo).await;
    let dialer = dialer(ca.issue("n1").security("n1").0, &book(&server));
    let reason = unreachable(&dialer.client("n2")).await;
    assert!(reason.contains("not valid for name"), "{reason}");
    assert_eq!(echo.admitted(), 0);
}

#[tokio::test]
async fn a_client_that_claims_the_name_of_another_node_is_refused() {
    let (ca, echo) = (Authority::new(), Arc::new(Echo::default()));
    let server = serve(ca.issue("n2").security("n2").0, &echo).await;
    // Holds the certificate of n3 and says that it is n1.
    let dialer = dialer(ca.issue("n3").security("n3").0, &book(&server));
    let refusal = refused(&dialer.client("n2")).await;
    assert_eq!(refusal, Refusal::NameMismatch { claimed: "n1".to_owned(), expected: "n1".to_owned() });
    assert_eq!(echo.admitted(), 0);
}

/// The SAN must equal the name: TLS by itself is content with a wildcard.
#[tokio::test]
async fn a_wildcard_stands_for_no_node_in_either_direction() {
    let (ca, echo) = (Authority::new(), Arc::new(Echo::default()));
    let both_names = ["n9.hj.test", "*.hj.test"];
    let wild = || ca.issue_for(&both_names, &BOTH, 2099).security("n9.hj.test").0;
    let bind = async |security| {
        let handler: Arc<dyn PeerHandler> = Arc::<Echo>::clone(&echo);
        let (node, limits) = (local("n2.hj.test", None), ServerLimits::default());
        PeerServer::bind("127.0.0.1:0", node, security, handler, limits).await.unwrap()
    };
    let call = async |server: &PeerServer, security| {
        let address = server.local_addr().to_string();
        let book = AddressBook::new(BTreeMap::from([("n2.hj.test".to_owned(), address)]));
        let node = local("n1.hj.test", None);
        refused(&Dialer::new(node, security, book, ClientLimits::default()).client("n2.hj.test")).await
    };
    let mismatch = |name: &str| Refusal::NameMismatch { claimed: name.to_owned(), expected: name.to_owned() };

    let wild_server = bind(wild()).await;
    let refusal = call(&wild_server, ca.issue("n1.hj.test").security("n1.hj.test").0).await;
    assert_eq!(refusal, mismatch("n2.hj.test"));

    let server = bind(ca.issue("n2.hj.test").security("n2.hj.test").0).await;
    let before = echo.admitted();
    assert_eq!(call(&server, wild()).await, mismatch("n1.hj.test"));
    assert_eq!(echo.admitted(), before);
}

#[tokio::test]
async fn the_common_server_name_stands_for_all_nodes() {
    let (ca, echo) = (Authority::new(), Arc::new(Echo::default()));
    let common = |node: &str| {
        let material = ca.issue("raft.test").material();
        Security::Tls(Arc::new(PeerTls::new(material, node, Some("raft.test")).unwrap()))
    };
    let server = serve(common("n2"), &echo).await;
    let sharing = dialer(common("n1"), &book(&server));
    assert_eq!(ask(&sharing.client("n2"), "hi").await.unwrap(), "hi");
    let own_name = dialer(ca.issue("n1").security("n1").0, &book(&server));
    let reason = unreachable(&own_name.client("n2")).await;
    assert!(reason.contains("not valid for name"), "{reason}");
}

#[tokio::test]
async fn expired_certificates_are_refused_both_ways() {
    let (ca, echo) = (Authority::new(), Arc::new(Echo::default()));
    let back_then = Timestamp::from_secs(1_500_000_000);
    let expired = |node: &str| {
        let material = ca.issue_as(node, &BOTH, 2020).at(back_then).unwrap();
        Security::Tls(Arc::new(PeerTls::new(material, node, None).unwrap()))
    };
    let good_server = serve(ca.issue("n2").security("n2").0, &echo).await;
    let expired_client = dialer(expired("n1"), &book(&good_server));
    let reason = unreachable(&expired_client.client("n2")).await;
    assert!(reason.contains("CertificateExpired"), "{reason}");

    let expired_server = serve(expired("n2"), &echo).await;
    let good_client = dialer(ca.issue("n1").security("n1").0, &book(&expired_server));
    let reason = unreachable(&good_client.client("n2")).await;
    assert!(reason.contains("expired"), "{reason}");
    assert_eq!(echo.admitted(), 0);
}

#[tokio::test]
async fn a_client_without_certificate_is_refused() {
    let (ca, echo) = (Authority::new(), Arc::new(Echo::default()));
    let server = serve(ca.issue("n2").security("n2").0, &echo).await;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca.pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(server.local_addr()).await.unwrap();
    let name = ServerName::try_from("n2").unwrap();
    let mut tls = TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap();
    let error = tls.read_u8().await.unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    assert_eq!(echo.admitted(), 0);
}

#[tokio::test]
async fn plain_tcp_does_not_get_into_a_tls_listener() {
    let (ca, echo) = (Authority::new(), Arc::new(Echo::default()));
    let server = serve(ca.issue("n2").security("n2").0, &echo).await;
    let dialer = dialer(Security::PlainLoopback, &book(&server));
    assert!(ask(&dialer.client("n2"), "hi").await.is_err());
    assert_eq!(echo.admitted(), 0);
}

/// S110: foreign cluster id.
#[tokio::test]
async fn another_cluster_is_refused_and_both_are_named() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let foreign = Dialer::new(
        local("n1", Some("other")),
        Security::PlainLoopback,
        book(&server),
        ClientLimits::default(),
    );
    let refusal = refused(&foreign.client("n2")).await.to_string();
    assert!(refusal.contains("cluster c,") && refusal.contains("cluster other"), "{refusal}");
    assert_eq!(echo.admitted(), 0);
}

#[tokio::test]
async fn the_wrong_node_at_an_address_says_who_it_is() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let addresses = AddressBook::new(BTreeMap::from([("n3".to_owned(), server.local_addr().to_string())]));
    let dialer = dialer(Security::PlainLoopback, &addresses);
    let refusal = refused(&dialer.client("n3")).await;
    assert_eq!(refusal, Refusal::WrongRecipient { node: "n2".to_owned(), meant: "n3".to_owned() });
}

#[tokio::test]
async fn who_is_not_a_member_is_told_so() {
    let echo = Arc::new(Echo { stranger: Some("n1".to_owned()), ..Echo::default() });
    let server = serve(Security::PlainLoopback, &echo).await;
    let dialer = dialer(Security::PlainLoopback, &book(&server));
    assert_eq!(refused(&dialer.client("n2")).await, Refusal::NotMember { name: "n1".to_owned() });
}

#[tokio::test]
async fn a_later_protocol_is_refused_with_both_ranges() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let mut tcp = TcpStream::connect(server.local_addr()).await.unwrap();
    let hello = br#"{"v":9,"min_v":8,"from":"n1","to":"n2","cluster_id":null,"software":"x","formats":{}}"#;
    let length = u32::try_from(hello.len() + 5).unwrap();
    tcp.write_u32(length).await.unwrap();
    tcp.write_all(&[1, 0, 0, 0, 0]).await.unwrap();
    tcp.write_all(hello).await.unwrap();
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer[4], 2, "a refusal");
    let refusal: Refusal = serde_json::from_slice(&answer[9..]).unwrap();
    assert_eq!(
        refusal,
        Refusal::UnsupportedVersion { node: "n2".to_owned(), min: 1, max: 1, other_min: 8, other_max: 9 }
    );
}

/// spec §3.2: every RPC carries the cluster id.
#[tokio::test]
async fn raft_traffic_without_a_cluster_id_is_refused_but_a_probe_is_not() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let node = local("n1", None);
    let dialer =
        Dialer::new(Arc::clone(&node), Security::PlainLoopback, book(&server), ClientLimits::default());
    let client = dialer.client("n2");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    let vote = async || client.call(RpcKind::Vote, Bytes::from_static(b"v"), LONG).await;
    assert_eq!(vote().await.unwrap_err(), CallError::Remote(RpcFailure::NoClusterId));
    node.take_seat(Some(seat("c")));
    assert_eq!(vote().await.unwrap(), "v");
    assert_eq!(echo.admitted(), 2, "the new identity said hello anew");
}

/// Spec §13.4: what is meant for a member that lost its disk never reaches whoever has its name now.
#[tokio::test]
async fn a_client_of_a_member_speaks_to_no_other_member_of_that_name() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let dialer = dialer(Security::PlainLoopback, &book(&server));
    assert_eq!(ask(&dialer.member("n2", 7), "hi").await.unwrap(), "hi");
    let refusal = refused(&dialer.member("n2", 3)).await;
    assert_eq!(refusal.to_string(), "n2 is member 7, not member 3");
    assert_eq!(
        ask(&dialer.client("n2"), "hi").await.unwrap(),
        "hi",
        "a refusal of one member is nobody else's"
    );
}

#[tokio::test]
async fn a_node_that_joins_another_cluster_ends_the_connections_of_this_one() {
    let echo = Arc::new(Echo::default());
    let handler: Arc<dyn PeerHandler> = Arc::<Echo>::clone(&echo);
    let node = local("n2", None);
    let (security, limits) = (Security::PlainLoopback, ServerLimits::default());
    let server = PeerServer::bind("127.0.0.1:0", Arc::clone(&node), security, handler, limits).await.unwrap();
    let client = dialer(Security::PlainLoopback, &book(&server)).client("n2");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    node.take_seat(Some(seat("other")));
    let error = ask(&client, "lost").await.unwrap_err();
    assert!(
        matches!(&error, CallError::Disconnected { reason } if reason.contains("cluster other")),
        "{error}"
    );
    eventually("the client is out", async || matches!(ask(&client, "hi").await, Err(CallError::Refused(_))))
        .await;
    assert_eq!(echo.seen.lock().unwrap().len(), 1, "only the first request was carried out");
}
