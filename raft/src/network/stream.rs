//! One byte stream between two nodes, with TLS or without.

use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::tls::PeerTls;

/// How peers are protected.
#[derive(Debug, Clone)]
pub enum Security {
    /// Mutual TLS.
    Tls(Arc<PeerTls>),
    /// Plain TCP, and only on loopback addresses (S110).
    PlainLoopback,
    /// Plain TCP on any address: the operator said `RAFT_ALLOW_PLAINTEXT=1`.
    PlainAnywhere,
}

impl Security {
    pub(super) fn tls(&self) -> Option<&Arc<PeerTls>> {
        match self {
            Self::Tls(tls) => Some(tls),
            Self::PlainLoopback | Self::PlainAnywhere => None,
        }
    }

    /// Whether peers may be spoken to over this address (S110).
    pub(super) fn allows(&self, ip: IpAddr) -> bool {
        match self {
            Self::Tls(_) | Self::PlainAnywhere => true,
            Self::PlainLoopback => ip.is_loopback(),
        }
    }
}

/// What both TLS and TCP streams can do.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// A stream with the certificates that the other side showed; none without TLS.
pub(super) struct PeerStream {
    pub(super) io: Box<dyn Io>,
    pub(super) certificates: Option<Vec<CertificateDer<'static>>>,
}

/// Server side of the handshake.
pub(super) async fn accept(security: &Security, tcp: TcpStream) -> std::io::Result<PeerStream> {
    let Some(tls) = security.tls() else {
        return Ok(PeerStream { io: Box::new(tcp), certificates: None });
    };
    let acceptor = TlsAcceptor::from(tls.material().server_config());
    let stream = acceptor.accept(tcp).await?;
    let certificates = owned(stream.get_ref().1.peer_certificates());
    Ok(PeerStream { io: Box::new(stream), certificates })
}

/// Client side of the handshake, with the node `name`.
pub(super) async fn connect(security: &Security, tcp: TcpStream, name: &str) -> std::io::Result<PeerStream> {
    let Some(tls) = security.tls() else {
        return Ok(PeerStream { io: Box::new(tcp), certificates: None });
    };
    let dialled = tls.dialled_name(name).map_err(std::io::Error::other)?;
    let connector = TlsConnector::from(tls.material().client_config());
    let stream = connector.connect(dialled, tcp).await?;
    let certificates = owned(stream.get_ref().1.peer_certificates());
    Ok(PeerStream { io: Box::new(stream), certificates })
}

fn owned(certificates: Option<&[CertificateDer<'_>]>) -> Option<Vec<CertificateDer<'static>>> {
    certificates.map(|all| all.iter().map(|one| one.clone().into_owned()).collect())
}
