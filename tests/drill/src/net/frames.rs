//! A proxy that understands the messages of a Raft link and lets some of them vanish.
//!
//! Bytes inside TLS cannot be left out without ending the connection, so this one stands in the middle with the
//! certificates of both nodes, which the drill made. The first frame each way is the hello and always passes.
//! Layout of a frame: four bytes of length, then so many bytes (`raft/src/network/frame.rs`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::links::Links;
use super::proxy::{Link, Proxy, Way, connect, delay};
use crate::dice::Dice;

const HANDSHAKE: Duration = Duration::from_secs(5);
/// The protocol that both ends insist on.
const ALPN: &[u8] = b"hellojohn-peer/1";
/// As large as the product's own limit.
const MAX_FRAME: usize = 64 * 1024 * 1024;

/// Both ends of TLS in the middle.
#[derive(Clone)]
struct Ends {
    near: TlsAcceptor,
    far: TlsConnector,
    name: ServerName<'static>,
}

/// A proxy that counts messages. `certificates` is the directory with the certificates of all nodes.
///
/// # Errors
/// When the certificates cannot be used or the proxy cannot listen.
pub async fn proxy(link: &Link, links: &Links, certificates: &Path, seed: u64) -> Result<Proxy, String> {
    let ends = ends(link, certificates)?;
    let (links, link_of) = (links.clone(), link.clone());
    let mut connection = seed;
    Proxy::start(link, move |stream| {
        connection = connection.wrapping_add(1);
        carry(stream, link_of.clone(), links.clone(), ends.clone(), connection)
    })
    .await
}

fn ends(link: &Link, certificates: &Path) -> Result<Ends, String> {
    let node = |number: usize| format!("node{}", number + 1);
    let failed = |what: &str, error: String| format!("{what} in {}: {error}", certificates.display());
    let read = |name: String| {
        let (cert, key) =
            (certificates.join(format!("{name}.pem")), certificates.join(format!("{name}-key.pem")));
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_file_iter(cert).and_then(Iterator::collect);
        let chain = chain.map_err(|error| failed(&name, error.to_string()))?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(&name, error.to_string()))?;
        Ok::<_, String>((chain, key))
    };
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(certificates.join("ca.pem"))
        .map_err(|error| failed("ca.pem", error.to_string()))?;
    roots.add(ca).map_err(|error| failed("ca.pem", error.to_string()))?;
    // Towards the dialling node this is the dialled one, and the other way round.
    let (chain, key) = read(node(link.to))?;
    let mut near = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| failed(&node(link.to), error.to_string()))?;
    let (chain, key) = read(node(link.from))?;
    let mut far = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .map_err(|error| failed(&node(link.from), error.to_string()))?;
    near.alpn_protocols = vec![ALPN.to_vec()];
    far.alpn_protocols = vec![ALPN.to_vec()];
    let name = ServerName::try_from(node(link.to)).map_err(|error| error.to_string())?;
    Ok(Ends { near: TlsAcceptor::from(Arc::new(near)), far: TlsConnector::from(Arc::new(far)), name })
}

async fn carry(near: TcpStream, link: Link, links: Links, ends: Ends, seed: u64) {
    let _as_it_is = near.set_nodelay(true);
    let Some(far) = connect(&link, &links).await else { return };
    let Ok(Ok(far)) = timeout(HANDSHAKE, ends.far.connect(ends.name, far)).await else { return };
    let Ok(Ok(near)) = timeout(HANDSHAKE, ends.near.accept(near)).await else { return };
    let (near_in, near_out) = tokio::io::split(near);
    let (far_in, far_out) = tokio::io::split(far);
    let there = Way { links: links.clone(), from: link.from, to: link.to, dialled: true };
    let back = Way { links, from: link.to, to: link.from, dialled: false };
    tokio::select! {
        () = pump(near_in, far_out, there, Dice::new(seed)) => {}
        () = pump(far_in, near_out, back, Dice::new(!seed)) => {}
    }
}

async fn pump<R, W>(mut from: R, mut to: W, way: Way, mut dice: Dice)
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut is_hello = true;
    while let Some(frame) = read_frame(&mut from).await {
        let state = way.links.now();
        let lost = !is_hello && dice.chance(state.lost_messages(way.dialled));
        is_hello = false;
        if lost {
            way.links.strike();
            continue;
        }
        sleep(delay(state.delay, &mut dice)).await;
        way.links.open(way.from, way.to).await;
        if to.write_all(&frame).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

async fn read_frame<R: AsyncRead + Unpin>(from: &mut R) -> Option<Vec<u8>> {
    let length = from.read_u32().await.ok()?;
    let body = usize::try_from(length).ok().filter(|body| *body <= MAX_FRAME)?;
    let mut frame = length.to_be_bytes().to_vec();
    frame.resize(4 + body, 0);
    from.read_exact(frame.get_mut(4..)?).await.ok()?;
    Some(frame)
}
