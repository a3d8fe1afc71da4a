//! From the configuration to the settings of the replicated control plane.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;

use hellojohn_control::Issuer;
use hellojohn_raft::{
    EmbeddedSettings, FLUSH_PATIENCE, KeyFingerprints, Mode, NowFn, PeerPem, Settings, Timers,
};

use super::BootError;
use crate::config::Config;
use crate::config::cluster::{Embedded, Security};
use crate::config::value::net::ListenAddr;
use crate::crypto::sealed::Sealer;
use crate::domain::clock::Clock;

/// Name of a node that runs alone and was given none.
const ALONE: &str = "single";

/// The settings of this node.
pub(super) async fn settings(
    config: &Config,
    signing: &Sealer,
    secretbox: &Sealer,
    clock: Arc<dyn Clock>,
) -> Result<Settings, BootError> {
    let cluster = &config.cluster;
    let mode = match &cluster.embedded {
        None => Mode::Single,
        Some(embedded) => Mode::Embedded(member(embedded).await?),
    };
    Ok(Settings {
        name: cluster.node_id.as_ref().map_or_else(|| ALONE.to_owned(), ToString::to_string),
        mode,
        root: config.control_plane.fs_root.clone(),
        issuer: Issuer::new(config.jwt.issuer.as_str()),
        fingerprints: KeyFingerprints { signing: signing.fingerprint(), secretbox: secretbox.fingerprint() },
        timers: Timers {
            heartbeat: cluster.timers.heartbeat,
            election_min: cluster.timers.election_min,
            election_max: cluster.timers.election_max,
        },
        snapshot_every: cluster.snapshot_every,
        max_log_bytes: cluster.max_log_bytes,
        write_timeout: cluster.write_timeout,
        flush_patience: FLUSH_PATIENCE,
        scan_interval: config.control_plane.fs_scan_interval,
        now: NowFn(Arc::new(move || clock.now())),
    })
}

async fn member(embedded: &Embedded) -> Result<EmbeddedSettings, BootError> {
    let (tls, allow_plaintext) = match &embedded.security {
        Security::Tls(tls) => {
            let pem = PeerPem {
                cert_pem: tls.cert.text.expose().to_owned(),
                key_pem: tls.key.text.expose().to_owned(),
                ca_pem: tls.ca.text.expose().to_owned(),
                server_name: tls.server_name.clone(),
            };
            (Some(pem), false)
        }
        Security::LoopbackPlaintext => (None, false),
        Security::AllowedPlaintext => {
            tracing::warn!(
                "RAFT_ALLOW_PLAINTEXT: the nodes talk in clear; anybody on their network can join"
            );
            (None, true)
        }
    };
    Ok(EmbeddedSettings {
        bind: bind_address(&embedded.raft_addr).await?,
        nodes: embedded.nodes.iter().map(|(name, addr)| (name.to_string(), addr.to_string())).collect(),
        bootstrap: embedded.bootstrap,
        allow_plaintext,
        tls,
    })
}

async fn bind_address(addr: &ListenAddr) -> Result<SocketAddr, BootError> {
    if addr.host.is_none() {
        // Every interface: IPv6, which takes IPv4 too, where the machine has it.
        let v6 = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let has_v6 = TcpListener::bind((v6, 0)).is_ok();
        let ip = if has_v6 { v6 } else { IpAddr::V4(Ipv4Addr::UNSPECIFIED) };
        return Ok(SocketAddr::new(ip, addr.port));
    }
    let text = addr.to_string();
    let refused = |reason: String| BootError::RaftAddr { addr: text.clone(), reason };
    let mut found = tokio::net::lookup_host(&text).await.map_err(|error| refused(error.to_string()))?;
    found.next().ok_or_else(|| refused("the name has no address".to_owned()))
}
