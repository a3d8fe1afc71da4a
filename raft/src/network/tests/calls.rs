//! Deadlines, lost links and changes under a client.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::frame::{Frame, ReadTimes, Tag, read_frame, write_frame};
use super::*;

const SHORT: Duration = Duration::from_millis(60);

async fn brief(client: &PeerClient, text: &'static str) -> Result<Bytes, CallError> {
    client.call(RpcKind::Probe, Bytes::from_static(text.as_bytes()), SHORT).await
}

fn dialer_with(addresses: &AddressBook, limits: ClientLimits) -> Arc<Dialer> {
    Dialer::new(local("n1", Some("c")), Security::PlainLoopback, addresses.clone(), limits)
}

#[tokio::test]
async fn json_bodies_and_remote_failures_come_back_typed() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let client = dialer(Security::PlainLoopback, &book(&server)).client("n2");
    let back: Vec<u64> = client.call_json(RpcKind::AppliedIndex, &[1, 2], LONG).await.unwrap();
    assert_eq!(back, [1, 2]);
    let wrong = client.call_json::<_, bool>(RpcKind::AppliedIndex, &[1], LONG).await.unwrap_err();
    assert!(matches!(wrong, CallError::BadAnswer(_)), "{wrong}");
    let failed = ask(&client, "fail").await.unwrap_err();
    assert_eq!(failed, CallError::Remote(RpcFailure::Unavailable { detail: "as asked".to_owned() }));
    assert_eq!(echo.admitted(), 1, "a failure is an answer and does not cost the connection");
}

#[tokio::test]
async fn a_request_too_large_is_refused_before_it_is_sent() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let client = dialer(Security::PlainLoopback, &book(&server)).client("n2");
    let error = client.call(RpcKind::Append, Bytes::from(vec![0; MAX_FRAME]), LONG).await.unwrap_err();
    assert!(matches!(error, CallError::TooLarge { .. }), "{error}");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    assert!(!echo.seen.lock().unwrap().iter().any(|(_, kind)| *kind == RpcKind::Append));
}

#[tokio::test]
async fn a_late_answer_costs_the_call_and_not_the_connection() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let limits = ClientLimits { stall: LONG, ..ClientLimits::default() };
    let client = dialer_with(&book(&server), limits).client("n2");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    let before = tokio::time::Instant::now();
    assert_eq!(brief(&client, "wait").await.unwrap_err(), CallError::Timeout);
    assert!(before.elapsed() < LONG / 2);
    echo.release.notify_one();
    assert_eq!(ask(&client, "again").await.unwrap(), "again");
    assert_eq!(echo.admitted(), 1);
}

#[tokio::test]
async fn a_silent_connection_is_cut_and_made_anew() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let limits = ClientLimits { stall: SHORT / 2, ..ClientLimits::default() };
    let client = dialer_with(&book(&server), limits).client("n2");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    assert_eq!(brief(&client, "wait").await.unwrap_err(), CallError::Timeout);
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    assert_eq!(echo.admitted(), 2);
}

#[tokio::test]
async fn a_dropped_call_leaves_the_connection_to_others() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let client = dialer(Security::PlainLoopback, &book(&server)).client("n2");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    assert!(tokio::time::timeout(SHORT, ask(&client, "wait")).await.is_err());
    echo.release.notify_one();
    assert_eq!(ask(&client, "again").await.unwrap(), "again");
    assert_eq!(echo.admitted(), 1);
}

#[tokio::test]
async fn two_clients_of_one_peer_do_not_wait_for_each_other() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let dialer = dialer(Security::PlainLoopback, &book(&server));
    let (busy, free) = (dialer.client("n2"), dialer.client("n2"));
    let waiting = tokio::spawn(async move { ask(&busy, "wait").await });
    eventually("the first request runs", async || echo.running() == 1).await;
    assert_eq!(ask(&free, "hi").await.unwrap(), "hi");
    echo.release.notify_one();
    assert_eq!(waiting.await.unwrap().unwrap(), "wait");
}

#[tokio::test]
async fn a_restarted_peer_is_reached_again() {
    let (ca, echo) = (Authority::new(), Arc::new(Echo::default()));
    let pem = ca.issue("n2");
    let server = serve(pem.security("n2").0, &echo).await;
    let addr = server.local_addr().to_string();
    let client = dialer(ca.issue("n1").security("n1").0, &book(&server)).client("n2");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    server.shutdown(LONG).await;
    eventually("the peer is unreachable", async || {
        matches!(ask(&client, "hi").await, Err(CallError::Unreachable { .. }))
    })
    .await;
    let handler: Arc<dyn PeerHandler> = Arc::<Echo>::clone(&echo);
    let security = pem.security("n2").0;
    let node = local("n2", Some("c"));
    let _server = PeerServer::bind(&addr, node, security, handler, ServerLimits::default()).await.unwrap();
    eventually("the peer answers again", async || ask(&client, "hi").await.is_ok()).await;
}

#[tokio::test]
async fn a_connection_lost_in_mid_call_says_that_the_outcome_is_unknown() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let client = dialer(Security::PlainLoopback, &book(&server)).client("n2");
    let waiting = tokio::spawn(async move { ask(&client, "wait").await });
    eventually("the request runs", async || echo.running() == 1).await;
    server.shutdown(Duration::ZERO).await;
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Disconnected { .. }), "{error}");
}

#[tokio::test]
async fn a_dead_peer_is_not_hammered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&accepted);
    let dead = tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::SeqCst);
            drop(tcp);
        }
    });
    let backoff = BackoffPolicy { first: LONG, max: LONG };
    let limits = ClientLimits { backoff, ..ClientLimits::default() };
    let addresses = AddressBook::new(BTreeMap::from([("n2".to_owned(), addr)]));
    let dialer = dialer_with(&addresses, limits);
    for _ in 0..200 {
        // Every call is a new client: the wait belongs to the peer.
        let error = ask(&dialer.client("n2"), "hi").await.unwrap_err();
        assert!(matches!(error, CallError::Unreachable { .. }), "{error}");
    }
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    dead.abort();
}

/// Only the host's own word counts: a process that does not answer may still live.
#[tokio::test]
async fn a_peer_that_has_ended_is_told_from_one_that_is_silent() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let ended = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let book = [("n2", &silent), ("n3", &ended)]
        .map(|(name, listener)| (name.to_owned(), listener.local_addr().unwrap().to_string()));
    let addresses = AddressBook::new(BTreeMap::from(book));
    let dialer = dialer_with(&addresses, ClientLimits::default());
    assert!(!dialer.host_refuses("n3", LONG).await, "it listens");
    drop(ended);
    eventually("the host says that nothing listens", async || dialer.host_refuses("n3", LONG).await).await;
    assert!(!dialer.host_refuses("n2", LONG).await, "it listens and says nothing");
    assert!(!dialer.host_refuses("n4", LONG).await, "nobody knows where it is");
}

/// F8: a link whose round trips are longer than a call's deadline still comes up.
#[tokio::test]
async fn a_connection_outlives_the_call_that_asked_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let go = Arc::new(Notify::new());
    let gate = Arc::clone(&go);
    let slow = tokio::spawn(async move {
        let times = ReadTimes { idle: LONG, whole: LONG };
        let (mut tcp, _) = listener.accept().await.unwrap();
        read_frame(&mut tcp, HELLO_LIMIT, times).await.unwrap();
        gate.notified().await;
        let hello = serde_json::to_vec(&local("n2", Some("c")).hello("n1")).unwrap();
        let frame = Frame::control(Tag::Hello, hello.into());
        write_frame(&mut tcp, frame, HELLO_LIMIT, LONG).await.unwrap();
        let asked = read_frame(&mut tcp, HELLO_LIMIT, times).await.unwrap();
        let answer = Frame { tag: Tag::Answer, ..asked };
        write_frame(&mut tcp, answer, HELLO_LIMIT, LONG).await.unwrap();
        tcp.read_u8().await.unwrap_err();
    });
    let addresses = AddressBook::new(BTreeMap::from([("n2".to_owned(), addr)]));
    let limits = ClientLimits { connect: LONG, ..ClientLimits::default() };
    let dialer = dialer_with(&addresses, limits);
    let client = dialer.client("n2");
    for _ in 0..3 {
        assert_eq!(brief(&client, "hi").await.unwrap_err(), CallError::Timeout);
    }
    go.notify_one();
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    assert!(dialer.shutdown(LONG).await);
    slow.await.unwrap();
}

#[tokio::test]
async fn a_frame_out_of_turn_ends_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let rude = tokio::spawn(async move {
        let times = ReadTimes { idle: LONG, whole: LONG };
        let (mut tcp, _) = listener.accept().await.unwrap();
        read_frame(&mut tcp, HELLO_LIMIT, times).await.unwrap();
        let hello = serde_json::to_vec(&local("n2", Some("c")).hello("n1")).unwrap();
        write_frame(&mut tcp, Frame::control(Tag::Hello, hello.into()), HELLO_LIMIT, LONG).await.unwrap();
        let asked = read_frame(&mut tcp, HELLO_LIMIT, times).await.unwrap();
        let answer = Frame { tag: Tag::Answer, id: asked.id + 1, payload: asked.payload };
        write_frame(&mut tcp, answer, HELLO_LIMIT, LONG).await.unwrap();
        let mut rest = Vec::new();
        tcp.read_to_end(&mut rest).await.unwrap();
        tcp.shutdown().await.unwrap();
    });
    let addresses = AddressBook::new(BTreeMap::from([("n2".to_owned(), addr)]));
    let error = ask(&dialer(Security::PlainLoopback, &addresses).client("n2"), "hi").await.unwrap_err();
    assert!(
        matches!(&error, CallError::Disconnected { reason } if reason.contains("broke the protocol")),
        "{error}"
    );
    rude.await.unwrap();
}

#[tokio::test]
async fn a_node_may_move_by_configuration() {
    let (here, there) = (Arc::new(Echo::default()), Arc::new(Echo::default()));
    let old = serve(Security::PlainLoopback, &here).await;
    let new = serve(Security::PlainLoopback, &there).await;
    let addresses = book(&old);
    let client = dialer(Security::PlainLoopback, &addresses).client("n2");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    addresses.replace(book(&new).entries().as_ref().clone());
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    assert_eq!((here.admitted(), there.admitted()), (1, 1));
    addresses.replace(BTreeMap::new());
    let error = ask(&client, "hi").await.unwrap_err().to_string();
    assert!(error.contains("n2") && error.contains("CLUSTER_NODES"), "{error}");
}

/// spec §3.2: certificates rotate without restart, even to another CA.
#[tokio::test]
async fn certificates_rotate_without_a_restart() {
    let (old, new, echo) = (Authority::new(), Authority::new(), Arc::new(Echo::default()));
    let (server_security, server_tls) = old.issue("n2").security("n2");
    let (client_security, client_tls) = old.issue("n1").security("n1");
    let server = serve(server_security, &echo).await;
    let client = dialer(client_security, &book(&server)).client("n2");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    server_tls.swap(new.issue("n2").material()).unwrap();
    client_tls.swap(new.issue("n1").material()).unwrap();
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    assert_eq!(echo.admitted(), 2);
}

#[tokio::test]
async fn a_server_ends_connections_made_under_an_older_certificate() {
    let (old, new, echo) = (Authority::new(), Authority::new(), Arc::new(Echo::default()));
    let (server_security, server_tls) = old.issue("n2").security("n2");
    let server = serve(server_security, &echo).await;
    let client = dialer(old.issue("n1").security("n1").0, &book(&server)).client("n2");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    let served = echo.seen.lock().unwrap().len();
    server_tls.swap(new.issue("n2").material()).unwrap();
    assert!(ask(&client, "hi").await.is_err(), "not one more request after its CA was withdrawn");
    eventually("the client is out", async || {
        matches!(ask(&client, "hi").await, Err(CallError::Unreachable { .. }))
    })
    .await;
    assert_eq!((echo.admitted(), echo.seen.lock().unwrap().len()), (1, served));
}

#[tokio::test]
async fn a_request_under_a_ca_that_stays_is_answered_before_the_connection_is_made_anew() {
    let (old, new, echo) = (Authority::new(), Authority::new(), Arc::new(Echo::default()));
    let (server_security, server_tls) = old.issue("n2").security("n2");
    let server = serve(server_security, &echo).await;
    let client = dialer(old.issue("n1").security("n1").0, &book(&server)).client("n2");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");
    let both = Pem { ca: format!("{}{}", old.pem, new.pem), ..old.issue("n2") };
    server_tls.swap(both.material()).unwrap();
    assert_eq!(
        ask(&client, "one more on the old connection").await.unwrap(),
        "one more on the old connection"
    );
    eventually("a new connection", async || ask(&client, "hi").await.is_ok() && echo.admitted() == 2).await;
}

#[tokio::test]
async fn after_shutdown_no_task_is_left_and_no_call_is_made() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let dialer = dialer(Security::PlainLoopback, &book(&server));
    let client = Arc::new(dialer.client("n2"));
    let caller = Arc::clone(&client);
    let waiting = tokio::spawn(async move { ask(&caller, "wait").await });
    eventually("the request runs", async || echo.running() == 1).await;
    assert!(dialer.shutdown(LONG).await, "a task was left");
    assert!(matches!(waiting.await.unwrap(), Err(CallError::Disconnected { .. })));
    assert!(matches!(ask(&client, "hi").await, Err(CallError::Unreachable { .. })));
}
