//! Real sockets against real limits; every wait has a deadline. S115.

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Extension;
use axum::routing::get;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use super::*;
use crate::boot::tls::ServerTls;
use crate::config::Secret;
use crate::config::value::net::Host;
use crate::http::edge::Connection;

const DEADLINE: Duration = Duration::from_secs(20);
const IDLE: Duration = Duration::from_secs(60);
const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

struct Running {
    addr: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

async fn start(router: Router, limits: Limits, tls: Option<Arc<rustls::ServerConfig>>) -> Running {
    let settings = ListenerSettings { setting: "SERVER_ADDR", addr: ListenAddr::loopback(0), tls, limits };
    let listener = Listener::bind(settings).await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = Shutdown::default();
    let task = tokio::spawn(listener.serve(router, shutdown.clone()));
    Running { addr, shutdown, task }
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    async fn stop(self) {
        self.shutdown.soft.cancel();
        timeout(DEADLINE, self.task).await.unwrap().unwrap();
    }
}

fn hello() -> Router {
    Router::new().route("/", get(async || "hello"))
}

async fn to_end<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut all = Vec::new();
    // A reset is an end too.
    let _ = timeout(DEADLINE, stream.read_to_end(&mut all)).await.expect("the connection stays open");
    String::from_utf8_lossy(&all).into_owned()
}

async fn until<S: AsyncRead + Unpin>(stream: &mut S, wanted: &str) -> String {
    let mut seen = Vec::new();
    timeout(DEADLINE, async {
        while !String::from_utf8_lossy(&seen).contains(wanted) {
            let read = stream.read_buf(&mut seen).await.unwrap();
            assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&seen));
        }
    })
    .await
    .unwrap();
    String::from_utf8_lossy(&seen).into_owned()
}

#[tokio::test]
async fn requests_are_served_on_one_connection_and_know_their_peer() {
    let who = async |Extension(connection): Extension<Connection>| format!("{connection:?}");
    let server = start(Router::new().route("/", get(who)), Limits::default(), None).await;
    let mut stream = server.connect().await;
    let expected = format!("{:?}", Connection { peer: stream.local_addr().unwrap(), tls: false });
    for _ in 0..2 {
        stream.write_all(GET).await.unwrap();
        until(&mut stream, &expected).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off_at_the_header_time_out() {
    let limits =
        Limits { header_timeout: Duration::from_millis(200), idle_timeout: IDLE, ..Limits::default() };
    let server = start(hello(), limits, None).await;
    let started = Instant::now();
    for begin in [&b""[..], b"G", b"PRI * HT", b"GET / HTTP/1.1\r\nHost: x\r\nA: b"] {
        let mut stream = server.connect().await;
        stream.write_all(begin).await.unwrap();
        assert_eq!(to_end(&mut stream).await, "", "{begin:?}");
    }
    // The second request of a connection is watched like the first, from its first byte on.
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    until(&mut stream, "hello").await;
    stream.write_all(b"GET / HT").await.unwrap();
    assert_eq!(to_end(&mut stream).await, "");
    assert!(started.elapsed() < IDLE, "cut by the idle time-out instead");
    server.stop().await;
}

/// A byte now and then does not extend the time for a head.
#[tokio::test]
async fn a_slow_loris_cannot_hold_a_connection_by_sending_a_little() {
    let limits = Limits { header_timeout: Duration::from_millis(300), ..Limits::default() };
    let server = start(hello(), limits, None).await;
    let (mut read, mut write) = server.connect().await.into_split();
    let drip = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        write.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        while write.write_all(b"X: y\r\n").await.is_ok() {
            ticks.tick().await;
        }
    });
    assert!(!to_end(&mut read).await.contains("200 OK"));
    // Writing to a closed connection fails sooner or later; that is the drip's end.
    timeout(DEADLINE, drip).await.unwrap().unwrap();
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_one_with_a_request_in_work_is_not() {
    let release = Arc::new(Notify::new());
    let slow = {
        let release = Arc::clone(&release);
        async move || {
            release.notified().await;
            "done"
        }
    };
    let limits = Limits { idle_timeout: Duration::from_millis(100), ..Limits::default() };
    let server = start(hello().route("/slow", get(slow)), limits, None).await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut idle = server.connect().await;
    idle.write_all(GET).await.unwrap();
    assert!(to_end(&mut idle).await.ends_with("hello"));
    // The idle one has been closed, so by now the busy one is older than the idle time-out as well.
    release.notify_one();
    assert!(to_end(&mut busy).await.ends_with("done"));
    server.stop().await;
}

#[tokio::test]
async fn a_head_over_the_limit_is_431() {
    let limits = Limits { max_header_bytes: 8 * 1024, ..Limits::default() };
    let server = start(hello(), limits, None).await;
    for (bytes, status) in [(4 * 1024, "HTTP/1.1 200"), (16 * 1024, "HTTP/1.1 431")] {
        let mut stream = server.connect().await;
        let head =
            format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX: {}\r\n\r\n", "a".repeat(bytes));
        // The server may answer and close before it has taken everything.
        let _ = stream.write_all(head.as_bytes()).await;
        until(&mut stream, status).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn at_the_soft_signal_requests_in_work_are_finished_and_new_connections_refused() {
    let (entered, release) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let slow = {
        let (entered, release) = (Arc::clone(&entered), Arc::clone(&release));
        async move || {
            entered.notify_one();
            release.notified().await;
            "done"
        }
    };
    let server = start(hello().route("/slow", get(slow)), Limits::default(), None).await;
    let mut idle = server.connect().await;
    idle.write_all(GET).await.unwrap();
    until(&mut idle, "hello").await;
    let mut next = server.connect().await;
    next.write_all(GET).await.unwrap();
    until(&mut next, "hello").await;
    let mut busy = server.connect().await;
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    timeout(DEADLINE, entered.notified()).await.unwrap();

    server.shutdown.soft.cancel();
    // Whoever was about to ask is answered once more, and told that this was the last answer.
    next.write_all(GET).await.unwrap();
    let last = to_end(&mut next).await;
    assert!(last.ends_with("hello") && last.contains("connection: close"), "{last}");
    assert_eq!(to_end(&mut idle).await, "", "an idle connection is closed");
    let refused = async { while TcpStream::connect(server.addr).await.is_ok() {} };
    timeout(DEADLINE, refused).await.expect("new connections are still accepted");
    assert!(!server.task.is_finished());
    release.notify_one();
    assert!(to_end(&mut busy).await.ends_with("done"));
    server.stop().await;
}

#[tokio::test]
async fn at_the_hard_signal_what_is_left_is_cut_off() {
    let entered = Arc::new(Notify::new());
    let stuck = {
        let entered = Arc::clone(&entered);
        async move || {
            entered.notify_one();
            std::future::pending::<String>().await
        }
    };
    let server = start(Router::new().route("/", get(stuck)), Limits::default(), None).await;
    let mut stream = server.connect().await;
    stream.write_all(GET).await.unwrap();
    timeout(DEADLINE, entered.notified()).await.unwrap();
    server.shutdown.soft.cancel();
    server.shutdown.hard.cancel();
    assert_eq!(to_end(&mut stream).await, "");
    server.stop().await;
}

#[tokio::test]
async fn beyond_the_cap_connections_wait_until_one_closes() {
    let limits = Limits { max_connections: 1, ..Limits::default() };
    let server = start(hello(), limits, None).await;
    let mut first = server.connect().await;
    first.write_all(GET).await.unwrap();
    until(&mut first, "hello").await;
    let mut second = server.connect().await;
    second.write_all(GET).await.unwrap();
    let mut byte = [0];
    let early = timeout(Duration::from_millis(200), second.read(&mut byte)).await;
    assert!(early.is_err(), "served beyond the cap");
    drop(first);
    until(&mut second, "hello").await;
    server.stop().await;
}

#[tokio::test]
async fn a_port_in_use_or_an_address_of_another_machine_names_the_setting_and_the_remedy() {
    let server = start(hello(), Limits::default(), None).await;
    let bind = async |addr: ListenAddr| {
        let settings =
            ListenerSettings { setting: "SERVER_ADDR", addr, tls: None, limits: Limits::default() };
        Listener::bind(settings).await.map(drop).unwrap_err().to_string()
    };
    for host in [Some(Host::Ip([127, 0, 0, 1].into())), Some(Host::Name("localhost".into())), None] {
        let text = bind(ListenAddr { host, port: server.addr.port() }).await;
        assert!(text.contains("SERVER_ADDR") && text.contains("in use"), "{text}");
        assert!(text.contains("free port"), "{text}");
    }
    let text = bind(ListenAddr { host: Some(Host::Ip([192, 0, 2, 1].into())), port: 0 }).await;
    assert!(text.starts_with("SERVER_ADDR: cannot listen on 192.0.2.1:0"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn a_bare_port_listens_on_ipv4_too() {
    let settings = ListenerSettings {
        setting: "SERVER_ADDR",
        addr: ListenAddr { host: None, port: 0 },
        tls: None,
        limits: Limits::default(),
    };
    let listener = Listener::bind(settings).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
}

fn certificate() -> (Arc<rustls::ServerConfig>, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (Secret::new(made.cert.pem()), Secret::new(made.signing_key.serialize_pem()));
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (ServerTls::new(&cert, &key).unwrap().config(), TlsConnector::from(Arc::new(client)))
}

#[tokio::test]
async fn tls_is_spoken_and_a_handshake_that_stalls_is_given_up() {
    let (config, client) = certificate();
    let who = async |Extension(connection): Extension<Connection>| format!("tls={}", connection.tls);
    let limits = Limits { handshake_timeout: Duration::from_millis(200), ..Limits::default() };
    let server = start(Router::new().route("/", get(who)), limits, Some(config)).await;
    let name = ServerName::try_from("localhost").unwrap();
    let mut stream = client.connect(name, server.connect().await).await.unwrap();
    stream.write_all(GET).await.unwrap();
    until(&mut stream, "tls=true").await;

    let mut silent = server.connect().await;
    assert_eq!(to_end(&mut silent).await, "");
    let mut plain = server.connect().await;
    plain.write_all(GET).await.unwrap();
    assert!(!to_end(&mut plain).await.contains("HTTP/1.1 200"));
    server.stop().await;
}

#[tokio::test]
async fn http_2_is_answered_with_our_limits() {
    let server = start(hello(), Limits { max_streams: 7, ..Limits::default() }, None).await;
    let mut stream = server.connect().await;
    // The preface and an empty SETTINGS frame (RFC 9113 §3.4).
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    timeout(DEADLINE, stream.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(head[3], 4, "SETTINGS comes first");
    let mut settings = vec![0; usize::from(head[2])];
    timeout(DEADLINE, stream.read_exact(&mut settings)).await.unwrap().unwrap();
    drop(stream);
    // SETTINGS_MAX_CONCURRENT_STREAMS is 3.
    assert!(settings.chunks(6).any(|s| s == [0, 3, 0, 0, 0, 7]), "{settings:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_listener_is_a_task_of_the_process() {
    use crate::boot::lifecycle::{Exit, Lifecycle};
    let settings = ListenerSettings {
        setting: "SERVER_ADDR",
        addr: ListenAddr::loopback(0),
        tls: None,
        limits: Limits::default(),
    };
    let listener = Listener::bind(settings).await.unwrap();
    let life = Lifecycle::new(DEADLINE);
    let serving = listener.serve(hello(), life.shutdown().clone());
    life.spawn("http", async move {
        serving.await;
        Ok::<_, Infallible>(())
    });
    assert_eq!(life.drain(std::future::pending()).await, Exit::Clean);
}
