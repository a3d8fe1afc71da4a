//! How the nodes' connections are protected (spec §3.2).

use super::nodes::NodeName;
use super::settings::ClusterSettings;
use crate::config::intake::Intake;
use crate::config::value::net::{Host, HostPort, ListenAddr};
use crate::config::value::pem::{Pem, PemKind, PemSource};

/// Protection of the connections between nodes.
#[derive(Debug, Clone)]
pub enum Security {
    /// Mutual TLS.
    Tls(Box<RaftTls>),
    /// In clear, because no packet leaves this machine.
    LoopbackPlaintext,
    /// In clear over a network, because the operator insists; to be logged at every start.
    AllowedPlaintext,
}

/// Material for mutual TLS.
#[derive(Debug, Clone)]
pub struct RaftTls {
    /// This node's chain.
    pub cert: Pem,
    /// This node's key.
    pub key: Pem,
    /// The cluster's CA.
    pub ca: Pem,
    /// The DNS name that every certificate carries; `None` where it is each node's name.
    pub server_name: Option<String>,
}

/// The protection, and the address to bind under it.
pub(super) fn decide(
    settings: &ClusterSettings,
    node_id: &NodeName,
    bind: ListenAddr,
    intake: &mut Intake<'_>,
) -> Option<(Security, ListenAddr)> {
    if settings.raft_tls_enable {
        check_names(settings, node_id, intake);
        return tls(settings, intake).map(|tls| (Security::Tls(Box::new(tls)), bind));
    }
    if let Some(key) = MATERIAL.into_iter().find(|key| intake.is_given(key)) {
        intake.warn(key, "is given but not used, because raft_tls_enable is off");
    }
    let peers_are_local = settings.nodes.values().all(|peer| peer.host.is_loopback());
    let bind = match bind.host {
        None if peers_are_local => ListenAddr::loopback(bind.port),
        None | Some(_) => bind,
    };
    if peers_are_local && bind.is_loopback() {
        return Some((Security::LoopbackPlaintext, bind));
    }
    if settings.raft_allow_plaintext {
        intake.warn(
            "cluster.raft_allow_plaintext",
            "the nodes talk in clear: anybody on their network can join and write; use raft_tls_enable",
        );
        return Some((Security::AllowedPlaintext, bind));
    }
    let reason = match settings.nodes.iter().find(|(_, peer)| !peer.host.is_loopback()) {
        Some((id, peer)) => format!("is off, and {id} at {peer} is on a network"),
        None => format!("is off, and the Raft listener would bind {bind} beyond this machine"),
    };
    intake.conflict(
        &["cluster.raft_tls_enable", "cluster.nodes", "cluster.raft_addr", "cluster.raft_allow_plaintext"],
        reason,
        "set RAFT_TLS_ENABLE=1 with certificates ('hellojohn cluster certs' makes some for development), or \
         RAFT_ALLOW_PLAINTEXT=1 on a network that you trust",
    );
    None
}

const MATERIAL: [&str; 3] = ["cluster.raft_tls_cert", "cluster.raft_tls_key", "cluster.raft_tls_ca"];

/// Without a common server name each node's name must be one that a certificate can carry.
fn check_names(settings: &ClusterSettings, node_id: &NodeName, intake: &mut Intake<'_>) {
    if settings.raft_tls_server_name.is_some() {
        return;
    }
    let names = std::iter::once(node_id).chain(settings.nodes.keys());
    let unfit = names.into_iter().find(|name| !matches!(Host::parse(name.as_str()), Some(Host::Name(_))));
    if let Some(name) = unfit {
        intake.conflict(
            &["cluster.raft_tls_server_name", "cluster.nodes"],
            format!("is not set, and the node name {name} cannot stand in a certificate as DNS name"),
            "name the nodes like hosts, or set RAFT_TLS_SERVER_NAME to the name in all certificates",
        );
    }
}

fn tls(settings: &ClusterSettings, intake: &mut Intake<'_>) -> Option<RaftTls> {
    let cert = load(MATERIAL[0], settings.raft_tls_cert.as_ref(), PemKind::Certificates, intake);
    let key = load(MATERIAL[1], settings.raft_tls_key.as_ref(), PemKind::PrivateKey, intake);
    let ca = load(MATERIAL[2], settings.raft_tls_ca.as_ref(), PemKind::Certificates, intake);
    let server_name = settings.raft_tls_server_name.as_ref().map(Host::to_string);
    Some(RaftTls { cert: cert?, key: key?, ca: ca?, server_name })
}

fn load(
    key: &'static str,
    source: Option<&PemSource>,
    kind: PemKind,
    intake: &mut Intake<'_>,
) -> Option<Pem> {
    let Some(source) = source else {
        intake.missing(
            key,
            "is not set, and raft_tls_enable is on",
            "give a path or PEM text; 'hellojohn cluster certs' makes certificates for development",
        );
        return None;
    };
    match source.load(kind) {
        Ok(pem) => Some(pem),
        Err(invalid) => {
            intake.unusable(key, invalid);
            None
        }
    }
}

/// The address to bind: as given, else the port under which the others know this node.
pub(super) fn bind_address(settings: &ClusterSettings, own: &HostPort) -> ListenAddr {
    settings.raft_addr.clone().unwrap_or(ListenAddr { host: None, port: own.port })
}
