//! What a node needs to know to take part: who it is, who the others are, and its timers.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::{Issuer, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::network::raft_network::FRESH_PART;
use crate::network::{TlsError, TlsMaterial};

/// A patience that no disk which works at all exhausts.
pub const FLUSH_PATIENCE: Duration = Duration::from_secs(10);

/// Where the node gets the time from.
#[derive(Clone)]
pub struct NowFn(pub Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl NowFn {
    /// The current time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for NowFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NowFn")
    }
}

/// Keyed fingerprints of the master keys: equal on all nodes of a cluster, and useless to anybody who does
/// not know the keys (spec §13.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFingerprints {
    /// Of `SIGNING_MASTER_KEY`.
    pub signing: String,
    /// Of `SECRETBOX_MASTER_KEY`.
    pub secretbox: String,
}

/// How a node takes part.
#[derive(Debug, Clone)]
pub enum Mode {
    /// One-member Raft without a listener (`CLUSTER_MODE=off`).
    Single,
    /// A member of a cluster (`CLUSTER_MODE=embedded`).
    Embedded(EmbeddedSettings),
}

/// What only a member of a cluster needs.
#[derive(Debug, Clone)]
pub struct EmbeddedSettings {
    /// Where the peer listener binds.
    pub bind: SocketAddr,
    /// Address (`host:port`) of every node by name, this one included.
    pub nodes: BTreeMap<String, String>,
    /// Whether this node is the one that forms the cluster (`CLUSTER_BOOTSTRAP`).
    pub bootstrap: bool,
    /// Whether plain TCP may leave this machine (`RAFT_ALLOW_PLAINTEXT`).
    pub allow_plaintext: bool,
    /// Certificates; `None` speaks plain TCP.
    pub tls: Option<PeerPem>,
}

/// PEM texts of the peer certificates.
#[derive(Clone)]
pub struct PeerPem {
    /// This node's certificate chain.
    pub cert_pem: String,
    /// Its private key.
    pub key_pem: String,
    /// The cluster's CA.
    pub ca_pem: String,
    /// Name that all certificates carry instead of the node's (`RAFT_TLS_SERVER_NAME`).
    pub server_name: Option<String>,
}

impl PeerPem {
    /// Checks the texts and makes them ready for connections.
    pub(crate) fn parse(&self, now: Timestamp) -> Result<TlsMaterial, TlsError> {
        TlsMaterial::parse(self.cert_pem.as_bytes(), self.key_pem.as_bytes(), self.ca_pem.as_bytes(), now)
    }
}

impl fmt::Debug for PeerPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerPem").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

/// Everything a node needs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `NODE_ID`.
    pub name: String,
    /// How the node takes part.
    pub mode: Mode,
    /// `CONTROL_PLANE_FS_ROOT`.
    pub root: PathBuf,
    /// Issuer that rendered documents name.
    pub issuer: Issuer,
    /// Fingerprints of this node's master keys.
    pub fingerprints: KeyFingerprints,
    /// Heartbeat and election times.
    pub timers: Timers,
    /// Entries between snapshots (`RAFT_SNAPSHOT_EVERY`).
    pub snapshot_every: u64,
    /// Bytes of log that make a snapshot due (`RAFT_MAX_LOG_MB`).
    pub max_log_bytes: u64,
    /// How long a proposal waits for its outcome (`CLUSTER_WRITE_TIMEOUT_MS`).
    pub write_timeout: Duration,
    /// How long one write of the log may run before the disk counts as hung and the process ends; see
    /// [`FLUSH_PATIENCE`].
    pub flush_patience: Duration,
    /// How often the files are compared with the state (`FS_SCAN_INTERVAL`).
    pub scan_interval: Duration,
    /// The clock.
    pub now: NowFn,
}

impl Settings {
    /// Names of all nodes, this one included, in order.
    pub fn names(&self) -> Vec<String> {
        match &self.mode {
            Mode::Single => vec![self.name.clone()],
            Mode::Embedded(embedded) => embedded.nodes.keys().cloned().collect(),
        }
    }

    /// Names of the other nodes, in order.
    pub fn peers(&self) -> Vec<String> {
        self.names().into_iter().filter(|name| *name != self.name).collect()
    }

    /// Address (`host:port`) of the node of this name, where it is configured.
    pub fn address(&self, name: &str) -> Option<String> {
        match &self.mode {
            Mode::Single => None,
            Mode::Embedded(embedded) => embedded.nodes.get(name).cloned(),
        }
    }

    /// Whether a node of this name is another one of [`Self::names`].
    pub fn is_peer(&self, name: &str) -> bool {
        match &self.mode {
            Mode::Single => false,
            Mode::Embedded(embedded) => name != self.name && embedded.nodes.contains_key(name),
        }
    }

    /// SHA-256 of the normalised node list: nodes that form a cluster together must agree on it.
    pub fn nodes_hash(&self) -> String {
        let mut hash = Sha256::new();
        if let Mode::Embedded(embedded) = &self.mode {
            for (name, address) in &embedded.nodes {
                hash.update(format!("{name}={address}\n"));
            }
        }
        hash.finalize().iter().fold(String::with_capacity(64), |hex, byte| hex + &format!("{byte:02x}"))
    }
}

/// Heartbeat and election times of the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// How often a leader says that it is there.
    pub heartbeat: Duration,
    /// Shortest election timeout of any node.
    pub election_min: Duration,
    /// Longest election timeout of any node, as long as elections succeed.
    pub election_max: Duration,
}

/// The part of the election window that belongs to one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Shortest election timeout, in milliseconds.
    pub min_ms: u64,
    /// Longest election timeout, in milliseconds.
    pub max_ms: u64,
}

impl Timers {
    /// Cuts `[election_min, election_max)` into one slice a node, by the order of their names: disjoint slices
    /// keep two nodes from standing at the same moment and taking each other's votes.
    pub fn window(&self, name: &str, names: &[String]) -> Window {
        let count = u64::try_from(names.len().max(1)).unwrap_or(1);
        let rank = names.iter().position(|other| other == name).unwrap_or(0);
        let rank = u64::try_from(rank).unwrap_or(0);
        let min = millis(self.election_min);
        let width = (millis(self.election_max).saturating_sub(min) / count).max(1);
        let min_ms = min + rank * width;
        Window { min_ms, max_ms: min_ms + width }
    }

    /// How long a voter that heard from a leader votes for nobody else, whatever became of that leader. Half of
    /// what a silent leader is given, because one whose process has ended need not be waited for (see
    /// [`crate::election`]). openraft keeps the time limits of votes and appends below it.
    pub fn lease(&self) -> Duration {
        self.election_min / 2
    }

    /// How long a leader that hears nothing from a quorum goes on calling itself leader, and how long a
    /// follower that hears nothing from a leader goes on naming it to others. A leader counts from when it sent
    /// what was acknowledged, or from [`FRESH_PART`] of the lease later, so it ends before any voter votes for another.
    pub fn leader_silence(&self) -> Duration {
        self.lease() - self.lease() / FRESH_PART
    }

    /// How long a host has to refuse a connection, and how often it is asked for one.
    pub fn probe(&self) -> Duration {
        self.election_min / 6
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn election_windows_of_the_nodes_are_disjoint_and_cover_the_range() {
        let timers = Timers {
            heartbeat: Duration::from_millis(50),
            election_min: Duration::from_millis(150),
            election_max: Duration::from_millis(300),
        };
        let names: Vec<String> = ["n1", "n2", "n3"].map(str::to_owned).to_vec();
        let windows: Vec<Window> = names.iter().map(|name| timers.window(name, &names)).collect();
        assert_eq!(windows.first().unwrap().min_ms, 150);
        assert_eq!(windows.last().unwrap().max_ms, 300);
        for pair in windows.windows(2) {
            assert_eq!(pair[0].max_ms, pair[1].min_ms);
        }
    }
}
