//! What the listener bears and how it ends.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

/// Whether the server ended the connection, whatever way the kernel reports it.
async fn ended(tcp: &mut TcpStream) -> bool {
    let mut rest = Vec::new();
    timeout(LONG, tcp.read_to_end(&mut rest)).await.is_ok()
}

/// S110: oversized frame, before and after the hello.
#[tokio::test]
async fn an_oversized_frame_ends_the_connection_and_nothing_else() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let client = dialer(Security::PlainLoopback, &book(&server)).client("n2");
    assert_eq!(ask(&client, "hi").await.unwrap(), "hi");

    let mut stranger = TcpStream::connect(server.local_addr()).await.unwrap();
    stranger.write_u32(u32::try_from(HELLO_LIMIT + 1).unwrap()).await.unwrap();
    assert!(ended(&mut stranger).await);

    let mut peer = TcpStream::connect(server.local_addr()).await.unwrap();
    let hello = serde_json::to_vec(&local("n3", Some("c")).hello("n2")).unwrap();
    peer.write_u32(u32::try_from(hello.len() + 5).unwrap()).await.unwrap();
    peer.write_all(&[1, 0, 0, 0, 0]).await.unwrap();
    peer.write_all(&hello).await.unwrap();
    eventually("the peer is admitted", async || echo.admitted() == 2).await;
    peer.write_u32(u32::try_from(MAX_FRAME + 1).unwrap()).await.unwrap();
    assert!(ended(&mut peer).await);

    assert_eq!(ask(&client, "still here").await.unwrap(), "still here");
}

#[tokio::test]
async fn who_dawdles_in_the_handshake_is_dropped() {
    let (ca, echo) = (Authority::new(), Arc::new(Echo::default()));
    let limits =
        ServerLimits { handshake: Duration::from_millis(500), max_handshakes: 1, ..ServerLimits::default() };
    let server = serve_with(ca.issue("n2").security("n2").0, &echo, limits).await;
    let mut silent = TcpStream::connect(server.local_addr()).await.unwrap();
    // The first byte of a TLS record, and then nothing.
    silent.write_u8(0x16).await.unwrap();
    // The only place is taken, so that the next one is turned away at once.
    let mut second = TcpStream::connect(server.local_addr()).await.unwrap();
    assert!(ended(&mut second).await);
    assert!(ended(&mut silent).await);
    let client = dialer(ca.issue("n1").security("n1").0, &book(&server)).client("n2");
    eventually("the place is free again", async || ask(&client, "hi").await.is_ok()).await;
}

#[tokio::test]
async fn more_peers_than_allowed_are_told_that_it_is_busy() {
    let echo = Arc::new(Echo::default());
    let limits = ServerLimits { max_connections: 1, ..ServerLimits::default() };
    let server = serve_with(Security::PlainLoopback, &echo, limits).await;
    let dialer = dialer(Security::PlainLoopback, &book(&server));
    let first = dialer.client("n2");
    assert_eq!(ask(&first, "hi").await.unwrap(), "hi");
    let error = ask(&dialer.client("n2"), "hi").await.unwrap_err();
    assert_eq!(error, CallError::Refused(Refusal::Busy { node: "n2".to_owned() }));
    drop(first);
    let third = dialer.client("n2");
    eventually("the place is free again", async || ask(&third, "hi").await.is_ok()).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let echo = Arc::new(Echo::default());
    let limits = ServerLimits { idle: Duration::from_millis(50), ..ServerLimits::default() };
    let server = serve_with(Security::PlainLoopback, &echo, limits).await;
    let mut peer = TcpStream::connect(server.local_addr()).await.unwrap();
    let hello = serde_json::to_vec(&local("n3", Some("c")).hello("n2")).unwrap();
    peer.write_u32(u32::try_from(hello.len() + 5).unwrap()).await.unwrap();
    peer.write_all(&[1, 0, 0, 0, 0]).await.unwrap();
    peer.write_all(&hello).await.unwrap();
    assert!(ended(&mut peer).await);
    assert_eq!(echo.admitted(), 1);
}

#[tokio::test]
async fn a_handler_that_hangs_is_bounded() {
    let echo = Arc::new(Echo::default());
    let limits = ServerLimits { handler: Duration::from_millis(50), ..ServerLimits::default() };
    let server = serve_with(Security::PlainLoopback, &echo, limits).await;
    let client = dialer(Security::PlainLoopback, &book(&server)).client("n2");
    assert_eq!(ask(&client, "wait").await.unwrap_err(), CallError::Remote(RpcFailure::TimedOut));
    assert_eq!(echo.running(), 0);
}

#[tokio::test]
async fn shutdown_lets_a_request_finish() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let client = dialer(Security::PlainLoopback, &book(&server)).client("n2");
    let waiting = tokio::spawn(async move { ask(&client, "wait").await });
    eventually("the request runs", async || echo.running() == 1).await;
    let ending = tokio::spawn(server.shutdown(LONG));
    echo.release.notify_one();
    assert_eq!(waiting.await.unwrap().unwrap(), "wait");
    timeout(LONG, ending).await.unwrap().unwrap();
}

#[tokio::test]
async fn shutdown_joins_every_task_even_those_that_hang() {
    let (ca, echo) = (Authority::new(), Arc::new(Echo::default()));
    let server = serve(ca.issue("n2").security("n2").0, &echo).await;
    let addr = server.local_addr();
    let dialer = dialer(ca.issue("n1").security("n1").0, &book(&server));
    let mut hanging = Vec::new();
    for _ in 0..3 {
        let client = dialer.client("n2");
        hanging.push(tokio::spawn(async move { ask(&client, "wait").await }));
    }
    let _silent = TcpStream::connect(addr).await.unwrap();
    eventually("three requests hang", async || echo.running() == 3).await;
    timeout(LONG, server.shutdown(Duration::from_millis(20))).await.unwrap();
    assert_eq!(echo.running(), 0);
    assert_eq!(Arc::strong_count(&echo), 1, "a task still holds the handler");
    for call in hanging {
        assert!(call.await.unwrap().is_err());
    }
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let addr = server.local_addr().to_string();
    let handler: Arc<dyn PeerHandler> = Arc::<Echo>::clone(&echo);
    let node = local("n2", None);
    let again =
        PeerServer::bind(&addr, node, Security::PlainLoopback, handler, ServerLimits::default()).await;
    let error = again.unwrap_err().to_string();
    assert!(error.contains(&addr) && error.contains("in use"), "{error}");
}

/// S110: without mTLS only loopback is bound.
#[tokio::test]
async fn plain_tcp_stays_on_loopback_unless_allowed() {
    for (security, bound) in [(Security::PlainLoopback, false), (Security::PlainAnywhere, true)] {
        let handler: Arc<dyn PeerHandler> = Arc::new(Echo::default());
        let server =
            PeerServer::bind("0.0.0.0:0", local("n2", None), security, handler, ServerLimits::default());
        assert_eq!(server.await.is_ok(), bound);
    }
}

/// S110, the other direction: nothing is said unprotected to another machine.
#[tokio::test]
async fn plain_tcp_dials_loopback_only() {
    let Some(outside) = address_beyond_loopback() else {
        eprintln!("skipped: this machine has no address beside loopback");
        return;
    };
    let echo = Arc::new(Echo::default());
    let handler: Arc<dyn PeerHandler> = Arc::<Echo>::clone(&echo);
    let (node, limits) = (local("n2", Some("c")), ServerLimits::default());
    let anywhere = Security::PlainAnywhere;
    let server =
        PeerServer::bind(&format!("{outside}:0"), node, anywhere.clone(), handler, limits).await.unwrap();
    let error = ask(&dialer(Security::PlainLoopback, &book(&server)).client("n2"), "hi").await.unwrap_err();
    assert!(error.to_string().contains("RAFT_TLS_ENABLE"), "{error}");
    assert_eq!(echo.admitted(), 0);
    assert_eq!(ask(&dialer(anywhere, &book(&server)).client("n2"), "hi").await.unwrap(), "hi");
}

/// The address from which this machine would reach the outside; nothing is sent.
fn address_beyond_loopback() -> Option<std::net::Ipv4Addr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    match socket.local_addr().ok()? {
        std::net::SocketAddr::V4(v4) if !v4.ip().is_loopback() => Some(*v4.ip()),
        std::net::SocketAddr::V4(_) | std::net::SocketAddr::V6(_) => None,
    }
}

#[tokio::test]
async fn an_unknown_kind_is_a_failure_and_not_an_end() {
    let echo = Arc::new(Echo::default());
    let server = serve(Security::PlainLoopback, &echo).await;
    let mut peer = TcpStream::connect(server.local_addr()).await.unwrap();
    let hello = serde_json::to_vec(&local("n3", Some("c")).hello("n2")).unwrap();
    peer.write_u32(u32::try_from(hello.len() + 5).unwrap()).await.unwrap();
    peer.write_all(&[1, 0, 0, 0, 0]).await.unwrap();
    peer.write_all(&hello).await.unwrap();
    let times = super::frame::ReadTimes { idle: LONG, whole: LONG };
    super::frame::read_frame(&mut peer, HELLO_LIMIT, times).await.unwrap();
    for kind in [0x80 | 99, 0x80 | 4] {
        peer.write_all(&[0, 0, 0, 5, kind, 0, 0, 0, 7]).await.unwrap();
    }
    let failure = super::frame::read_frame(&mut peer, HELLO_LIMIT, times).await.unwrap();
    assert_eq!((failure.tag, failure.id), (super::frame::Tag::Failure, 7));
    assert_eq!(failure.payload, r#"{"code":"unknown_kind","kind":99}"#);
    let answer = super::frame::read_frame(&mut peer, HELLO_LIMIT, times).await.unwrap();
    assert_eq!(answer.tag, super::frame::Tag::Answer);
}
