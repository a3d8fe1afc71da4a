//! One accepted stream: handshake, hello, then requests answered in order.

use std::sync::Arc;

use bytes::Bytes;
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::frame::{Frame, FrameError, HELLO_LIMIT, MAX_FRAME, ReadTimes, Tag, read_frame, write_frame};
use super::hello::{Hello, LocalNode, Refusal};
use super::metrics::count_refused_connection;
use super::rpc::{PeerHandler, RpcFailure, RpcKind};
use super::server::ServerLimits;
use super::stream::{self, PeerStream, Security};
use super::tls::TlsMaterial;

/// What every session of a server shares.
pub(super) struct Host {
    pub(super) local: Arc<LocalNode>,
    pub(super) security: Security,
    pub(super) handler: Arc<dyn PeerHandler>,
    pub(super) limits: ServerLimits,
    /// Room for admitted peers; strangers never take it.
    pub(super) admitted: Arc<Semaphore>,
    pub(super) stop: CancellationToken,
}

/// A peer that was let in.
struct Admitted {
    stream: PeerStream,
    peer: Hello,
    material: Option<Arc<TlsMaterial>>,
    _room: OwnedSemaphorePermit,
}

/// Serves one connection to its end. `handshaking` is given back as soon as the peer is admitted.
pub(super) async fn serve(host: Arc<Host>, tcp: TcpStream, handshaking: OwnedSemaphorePermit) {
    let from = tcp.peer_addr().map_or_else(|_| "unknown".to_owned(), |addr| addr.to_string());
    let admitted = tokio::select! {
        admitted = timeout(host.limits.handshake, admit(&host, tcp)) => admitted,
        () = host.stop.cancelled() => return,
    };
    drop(handshaking);
    let admitted = match admitted {
        Ok(Ok(Some(admitted))) => admitted,
        Ok(Ok(None)) => {
            tracing::debug!(from, "a connection ended before its first byte");
            return;
        }
        Ok(Err(reason)) => {
            count_refused_connection("handshake");
            tracing::warn!(from, reason, "peer connection refused");
            return;
        }
        Err(_elapsed) => {
            count_refused_connection("handshake_timeout");
            tracing::warn!(from, within = ?host.limits.handshake, "peer handshake timed out");
            return;
        }
    };
    let peer = admitted.peer.from.clone();
    let ended = converse(&host, admitted).await;
    match ended {
        Ok(()) | Err(FrameError::Closed) => tracing::debug!(peer, from, "peer connection ended"),
        Err(error) => tracing::debug!(peer, from, %error, "peer connection failed"),
    }
}

/// The peer, if it said who it is; `None` where somebody only looked whether anybody listens here, as peers do that
/// miss their leader.
async fn admit(host: &Host, tcp: TcpStream) -> Result<Option<Admitted>, String> {
    if tcp.peek(&mut [0]).await.is_ok_and(|bytes| bytes == 0) {
        return Ok(None);
    }
    tcp.set_nodelay(true).map_err(|error| error.to_string())?;
    let material = host.security.tls().map(|tls| tls.material());
    let mut stream = stream::accept(&host.security, tcp).await.map_err(|error| format!("TLS: {error}"))?;
    let times = ReadTimes { idle: host.limits.handshake, whole: host.limits.handshake };
    let frame = read_frame(&mut stream.io, HELLO_LIMIT, times).await.map_err(|error| error.to_string())?;

    match examine(host, &frame, &stream) {
        Ok((peer, room)) => {
            let hello = host.local.hello(&peer.from);
            reply(host, &mut stream, Tag::Hello, &hello).await?;
            tracing::debug!(peer = peer.from, software = peer.software, "peer admitted");
            Ok(Some(Admitted { stream, peer, material, _room: room }))
        }
        Err(refusal) => {
            reply(host, &mut stream, Tag::Refusal, &refusal).await?;
            stream.io.shutdown().await.map_err(|error| error.to_string())?;
            Err(refusal.to_string())
        }
    }
}

/// The certificate comes first: whoever shows none for its name learns nothing about this node.
fn examine(
    host: &Host,
    frame: &Frame,
    stream: &PeerStream,
) -> Result<(Hello, OwnedSemaphorePermit), Refusal> {
    if frame.tag != Tag::Hello {
        return Err(Refusal::Malformed { detail: "the first frame is not a hello".to_owned() });
    }
    let peer: Hello = serde_json::from_slice(&frame.payload)
        .map_err(|error| Refusal::Malformed { detail: error.to_string() })?;
    if let Some(tls) = host.security.tls() {
        tls.check_peer(stream.certificates.as_deref(), &peer.from)?;
    }
    host.local.check(&peer)?;
    host.handler.admit(&peer)?;
    let room = Arc::clone(&host.admitted)
        .try_acquire_owned()
        .map_err(|_| Refusal::Busy { node: host.local.name().to_owned() })?;
    Ok((peer, room))
}

async fn reply<T: Serialize>(host: &Host, stream: &mut PeerStream, tag: Tag, body: &T) -> Result<(), String> {
    let payload = serde_json::to_vec(body).map_err(|error| error.to_string())?;
    let frame = Frame::control(tag, Bytes::from(payload));
    write_frame(&mut stream.io, frame, HELLO_LIMIT, host.limits.handshake)
        .await
        .map_err(|error| error.to_string())
}

async fn converse(host: &Host, admitted: Admitted) -> Result<(), FrameError> {
    let Admitted { stream: PeerStream { io, certificates }, peer, material, _room } = admitted;
    let (reader, mut writer) = tokio::io::split(io);
    let mut reader = BufReader::new(reader);
    let times = ReadTimes { idle: host.limits.idle, whole: host.limits.frame };
    loop {
        let frame = tokio::select! {
            frame = read_frame(&mut reader, MAX_FRAME, times) => frame?,
            () = host.stop.cancelled() => break,
        };
        let Tag::Request(kind) = frame.tag else {
            return Err(FrameError::Malformed("not a request"));
        };
        if !still_trusted(host, material.as_ref(), certificates.as_deref()) {
            tracing::warn!(
                peer = peer.from,
                "peer connection ended: its certificate has expired, or is not of the CA that is in use now"
            );
            break;
        }
        // The answers may have changed since the hello: this node may have joined a cluster, and the peer may have been
        // replaced or removed.
        if let Err(refusal) = host.local.check_cluster(&peer).and_then(|()| host.handler.keep(&peer)) {
            tracing::warn!(peer = peer.from, %refusal, "peer connection ended");
            let payload = serde_json::to_vec(&refusal).unwrap_or_default();
            let frame = Frame::control(Tag::Refusal, Bytes::from(payload));
            write_frame(&mut writer, frame, MAX_FRAME, host.limits.frame).await?;
            break;
        }
        let answer = match answer(host, &peer, kind, frame.payload).await {
            Ok(payload) => Frame { tag: Tag::Answer, id: frame.id, payload },
            Err(failure) => failed(frame.id, &failure),
        };
        let answer = fitting(answer);
        write_frame(&mut writer, answer, MAX_FRAME, host.limits.frame).await?;
        if host.stop.is_cancelled() || material_changed(host, material.as_ref()) {
            break;
        }
    }
    writer.shutdown().await?;
    Ok(())
}

async fn answer(host: &Host, peer: &Hello, kind: u8, payload: Bytes) -> Result<Bytes, RpcFailure> {
    let kind = RpcKind::from_number(kind).ok_or(RpcFailure::UnknownKind { kind })?;
    if kind.needs_cluster_id() && peer.cluster_id.is_none() {
        return Err(RpcFailure::NoClusterId);
    }
    timeout(host.limits.handler, host.handler.call(peer, kind, payload))
        .await
        .unwrap_or(Err(RpcFailure::TimedOut))
}

fn failed(id: u32, failure: &RpcFailure) -> Frame {
    let payload = serde_json::to_vec(failure).unwrap_or_default();
    Frame { tag: Tag::Failure, id, payload: Bytes::from(payload) }
}

/// An answer too large for a frame becomes a failure, so that the caller learns it at once.
fn fitting(answer: Frame) -> Frame {
    if answer.payload.len() <= MAX_FRAME - super::frame::HEAD {
        return answer;
    }
    let detail = format!("the answer has {} bytes, more than a frame holds", answer.payload.len());
    failed(answer.id, &RpcFailure::Internal { detail })
}

/// Whether the peer would be let in today. Asked once at most: what is made under older certificates ends with the next
/// answer.
fn still_trusted(
    host: &Host,
    at_hello: Option<&Arc<TlsMaterial>>,
    certificates: Option<&[CertificateDer<'_>]>,
) -> bool {
    let Some(tls) = host.security.tls().filter(|_| material_changed(host, at_hello)) else { return true };
    certificates.is_some_and(|certificates| tls.material().issued(certificates))
}

fn material_changed(host: &Host, at_hello: Option<&Arc<TlsMaterial>>) -> bool {
    match (host.security.tls(), at_hello) {
        (Some(tls), Some(then)) => !Arc::ptr_eq(&tls.material(), then),
        (Some(_) | None, Some(_) | None) => false,
    }
}
