//! A mail server for tests: takes mails, or refuses, hangs and dies as it is told. Speaks plain SMTP, STARTTLS with a certificate
//! of its own, and AUTH PLAIN.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail the test")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// What the server does with its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Takes every mail.
    Take,
    /// Answers every recipient with this line.
    Refuse(&'static str),
    /// Lets clients connect and never says a word.
    Hang,
}

/// A mail that was taken.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    /// Recipients of the envelope.
    pub(crate) to: Vec<String>,
    /// Sender of the envelope.
    pub(crate) from: String,
    /// Head and body as they came.
    pub(crate) data: String,
    /// Whether it came over TLS.
    pub(crate) tls: bool,
    /// What AUTH PLAIN said, decoded.
    pub(crate) login: Option<String>,
}

#[derive(Debug)]
struct State {
    manner: Mutex<Manner>,
    mails: Mutex<Vec<Received>>,
    connections: AtomicUsize,
}

/// The server. Dies with its owner.
#[derive(Debug)]
pub(crate) struct SmtpSink {
    pub(crate) addr: SocketAddr,
    /// The certificate that STARTTLS shows, to be believed.
    pub(crate) ca_pem: String,
    tls: Arc<ServerConfig>,
    state: Arc<State>,
    task: Option<JoinHandle<()>>,
}

impl SmtpSink {
    pub(crate) async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let state = State {
            manner: Mutex::new(Manner::Take),
            mails: Mutex::default(),
            connections: AtomicUsize::new(0),
        };
        let mut sink = Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 0)),
            ca_pem: made.cert.pem(),
            tls: Arc::new(tls),
            state: Arc::new(state),
            task: None,
        };
        sink.come_back().await;
        sink
    }

    /// Listens again, where it did before.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.addr).await.unwrap();
        self.addr = listener.local_addr().unwrap();
        let (state, tls) = (Arc::clone(&self.state), TlsAcceptor::from(Arc::clone(&self.tls)));
        self.task = Some(tokio::spawn(async move {
            let mut clients = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                state.connections.fetch_add(1, Ordering::Relaxed);
                let (state, tls) = (Arc::clone(&state), tls.clone());
                clients.spawn(async move { drop(serve(stream, &state, &tls).await) });
            }
        }));
    }

    /// Goes away: connections are refused, those that are open are cut.
    pub(crate) async fn die(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            drop(task.await);
        }
    }

    pub(crate) fn behave(&self, manner: Manner) {
        *self.state.manner.lock().unwrap() = manner;
    }

    pub(crate) fn mails(&self) -> Vec<Received> {
        self.state.mails.lock().unwrap().clone()
    }

    /// How often somebody connected.
    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

async fn serve(stream: TcpStream, state: &State, tls: &TlsAcceptor) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    if *state.manner.lock().unwrap() == Manner::Hang {
        return std::future::pending().await;
    }
    stream.write_all(b"220 sink\r\n").await?;
    if talk(&mut stream, state, false).await? {
        let secured = tls.accept(stream.into_inner()).await?;
        talk(&mut BufReader::new(secured), state, true).await?;
    }
    Ok(())
}

/// One client; true when it asks for TLS.
async fn talk<S>(stream: &mut BufReader<S>, state: &State, secured: bool) -> std::io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut from, mut to, mut login) = (String::new(), Vec::new(), None);
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(false);
        }
        let line = line.trim_end();
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let manner = *state.manner.lock().unwrap();
        let answer: String = match verb.as_str() {
            "EHLO" if secured => "250-sink\r\n250 AUTH PLAIN\r\n".into(),
            "EHLO" => "250-sink\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n".into(),
            "STARTTLS" => {
                stream.write_all(b"220 go ahead\r\n").await?;
                return Ok(true);
            }
            "AUTH" => {
                use base64::Engine as _;
                let word = line.rsplit(' ').next().unwrap_or_default();
                let bytes = base64::engine::general_purpose::STANDARD.decode(word).unwrap();
                login = Some(String::from_utf8_lossy(&bytes).replace('\0', ":"));
                "235 ok\r\n".into()
            }
            "MAIL" => {
                from = line.to_owned();
                "250 ok\r\n".into()
            }
            "RCPT" => match manner {
                Manner::Refuse(answer) => format!("{answer}\r\n"),
                Manner::Take | Manner::Hang => {
                    to.push(line.to_owned());
                    "250 ok\r\n".into()
                }
            },
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let data = data(stream).await?;
                let (from, to) = (std::mem::take(&mut from), std::mem::take(&mut to));
                let mail = Received { to, from, data, tls: secured, login: login.clone() };
                state.mails.lock().unwrap().push(mail);
                "250 taken\r\n".into()
            }
            "QUIT" => {
                stream.write_all(b"221 bye\r\n").await?;
                return Ok(false);
            }
            _ => "250 ok\r\n".into(),
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

async fn data<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 || line == ".\r\n" {
            return Ok(text);
        }
        text.push_str(line.strip_prefix("..").map_or(line.clone(), |rest| format!(".{rest}")).as_str());
    }
}

impl Received {
    /// The value of a header, unfolded; it must be there once.
    pub(crate) fn header(&self, name: &str) -> String {
        let head = self.data.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ");
        let prefix = format!("{name}: ");
        let found: Vec<&str> = head.split("\r\n").filter_map(|line| line.strip_prefix(&prefix)).collect();
        assert_eq!(found.len(), 1, "{name} in {head}");
        found[0].to_owned()
    }

    /// The names of the headers, in order.
    pub(crate) fn header_names(&self) -> Vec<&str> {
        let head = self.data.split("\r\n\r\n").next().unwrap();
        let lines = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
        lines.map(|line| line.split_once(':').unwrap().0).collect()
    }

    /// The decoded part of this type.
    pub(crate) fn part(&self, kind: &str) -> String {
        let boundary = self.data.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
        let part = self.data.split(&format!("--{boundary}")).find(|part| {
            part.to_ascii_lowercase().contains(&format!("content-type: {kind}"))
                && !part.contains("multipart/alternative")
        });
        let (head, body) =
            part.unwrap_or_else(|| panic!("no {kind}: {}", self.data)).split_once("\r\n\r\n").unwrap();
        let head = head.to_ascii_lowercase();
        if head.contains("quoted-printable") {
            unquoted(body)
        } else if head.contains("base64") {
            use base64::Engine as _;
            let packed: String = body.split_whitespace().collect();
            String::from_utf8(base64::engine::general_purpose::STANDARD.decode(packed).unwrap()).unwrap()
        } else {
            body.to_owned()
        }
    }

    /// The link in the text; the HTML part must have the same.
    pub(crate) fn link(&self) -> String {
        let text = self.part("text/plain");
        let link = text.split_whitespace().find(|word| word.starts_with("http")).unwrap().to_owned();
        let html = self.part("text/html");
        assert!(html.contains(&format!("href=\"{link}\"")), "{link} in {html}");
        link
    }

    /// The token in the link.
    pub(crate) fn token(&self) -> String {
        self.link().split_once("?token=").unwrap().1.to_owned()
    }
}

/// RFC 2045 §6.7.
fn unquoted(text: &str) -> String {
    let text = text.replace("=\r\n", "");
    let (mut out, mut bytes) = (Vec::new(), text.bytes());
    while let Some(byte) = bytes.next() {
        if byte == b'=' {
            let pair = [bytes.next().unwrap(), bytes.next().unwrap()];
            out.push(u8::from_str_radix(std::str::from_utf8(&pair).unwrap(), 16).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}
