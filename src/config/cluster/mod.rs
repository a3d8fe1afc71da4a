//! `cluster`: membership, redirects, timers and protection of the replicated control plane (spec §3.1).
//!
//! What belongs to cluster mode only is in [`Embedded`], so that nothing can use half a cluster.

mod nodes;
mod security;
mod settings;
mod timers;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use nodes::NodeName;
pub use security::{RaftTls, Security};
pub use settings::ClusterSettings;
pub use timers::Timers;

use super::intake::Intake;
use super::setting::Raw;
use super::value::net::{HostPort, ListenAddr};
use super::value::url::{BaseUrl, HostPattern};
use super::value::{Invalid, quoted};

/// Whether this node is a member of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A single node: a one-member Raft without a Raft listener.
    Off,
    /// A member.
    Embedded,
}

/// What a follower does with a control-plane write (spec §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// 409 with the leader's name; 307 for those who ask.
    Reject,
    /// 307 without being asked, 409 where the leader is not mapped.
    Redirect,
    /// The follower passes the write on to the leader and the answer back.
    Forward,
}

/// The cluster as configured.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// This node's name; always there in cluster mode.
    pub node_id: Option<NodeName>,
    /// `None` for a single node.
    pub embedded: Option<Embedded>,
    /// What a follower does with a write.
    pub write_mode: WriteMode,
    /// After this a write is answered as of unknown outcome.
    pub write_timeout: Duration,
    /// Heartbeat and election times.
    pub timers: Timers,
    /// Log entries after which a snapshot is taken.
    pub snapshot_every: u64,
    /// Bytes of log after which a snapshot is taken.
    pub max_log_bytes: u64,
}

/// What a member of a cluster needs beyond a single node.
#[derive(Debug, Clone)]
pub struct Embedded {
    /// This node's name, a key of `nodes`.
    pub node_id: NodeName,
    /// Where the Raft listener binds; already loopback where the plaintext rule wants it so.
    pub raft_addr: ListenAddr,
    /// All nodes and their addresses, this one too.
    pub nodes: BTreeMap<NodeName, HostPort>,
    /// Where administrators reach a node.
    pub leader_redirects: BTreeMap<NodeName, BaseUrl>,
    /// Hosts that a redirect may name; empty allows those of `leader_redirects`.
    pub allowed_hosts: Vec<HostPattern>,
    /// True on the node that forms a new cluster.
    pub bootstrap: bool,
    /// Protection of the connections between nodes.
    pub security: Security,
}

impl Embedded {
    /// Where a client may be sent for the leader `id`: mapped, and its host allowed (spec §3.3, S109).
    pub fn redirect_to(&self, id: &NodeName) -> Option<&BaseUrl> {
        let target = self.leader_redirects.get(id)?;
        let allowed = self.allowed_hosts.is_empty()
            || self.allowed_hosts.iter().any(|pattern| pattern.matches(target.url()));
        allowed.then_some(target)
    }
}

impl Cluster {
    /// True in cluster mode.
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// Checks the settings together; `None` when a problem was reported.
    pub(super) fn check(settings: ClusterSettings, intake: &mut Intake<'_>) -> Option<Self> {
        let timers = Timers::check(&settings, intake);
        let embedded = match settings.mode {
            Mode::Off => {
                warn_when_off(&settings, intake);
                None
            }
            Mode::Embedded => Some(check_embedded(&settings, intake)?),
        };
        Some(Self {
            node_id: settings.node_id,
            embedded,
            write_mode: settings.write_mode,
            write_timeout: settings.write_timeout_ms,
            timers,
            snapshot_every: settings.raft_snapshot_every,
            max_log_bytes: settings.raft_max_log_mb << 20,
        })
    }
}

/// The nodes and addresses of a `LEADER_REDIRECTS` text, for programs that are no node.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_leader_redirects(text: &str) -> Result<BTreeMap<NodeName, BaseUrl>, Invalid> {
    nodes::redirects(&Raw::Text(text.to_owned()))
}

fn warn_when_off(settings: &ClusterSettings, intake: &mut Intake<'_>) {
    if settings.nodes.len() > 1 {
        intake.warn(
            "cluster.nodes",
            "names several nodes, but this one is alone because cluster.mode is off; set CLUSTER_MODE=embedded",
        );
    }
}

fn check_embedded(settings: &ClusterSettings, intake: &mut Intake<'_>) -> Option<Embedded> {
    if settings.nodes.is_empty() {
        intake.missing(
            "cluster.nodes",
            "is empty, and cluster mode needs it",
            "name every node, this one too: CLUSTER_NODES=n1=10.0.0.1:8201,n2=10.0.0.2:8201,n3=10.0.0.3:8201",
        );
    }
    let Some(node_id) = &settings.node_id else {
        intake.missing(
            "cluster.node_id",
            "is not set, and cluster mode needs it",
            format!("set NODE_ID to one of: {}", names(settings)),
        );
        return None;
    };
    warn_about_redirects(settings, intake);
    let Some(own) = settings.nodes.get(node_id) else {
        intake.conflict(
            &["cluster.node_id", "cluster.nodes"],
            format!("{} is not in CLUSTER_NODES", quoted(node_id.as_str())),
            format!("set NODE_ID to one of: {}; or add this node to CLUSTER_NODES", names(settings)),
        );
        return None;
    };
    let bind = security::bind_address(settings, own);
    let (security, raft_addr) = security::decide(settings, node_id, bind, intake)?;
    Some(Embedded {
        node_id: node_id.clone(),
        raft_addr,
        nodes: settings.nodes.clone(),
        leader_redirects: settings.leader_redirects.clone(),
        allowed_hosts: settings.leader_redirect_allowed_hosts.clone(),
        bootstrap: settings.bootstrap,
        security,
    })
}

fn names(settings: &ClusterSettings) -> String {
    settings.nodes.keys().map(NodeName::as_str).collect::<Vec<_>>().join(", ")
}

fn warn_about_redirects(settings: &ClusterSettings, intake: &mut Intake<'_>) {
    const KEY: &str = "cluster.leader_redirects";
    for (id, target) in &settings.leader_redirects {
        // Members may be added while running, so this is no error.
        if !settings.nodes.contains_key(id) {
            intake.warn(KEY, format!("{id} is not in CLUSTER_NODES"));
        }
        let hosts = &settings.leader_redirect_allowed_hosts;
        if !hosts.is_empty() && !hosts.iter().any(|pattern| pattern.matches(target.url())) {
            intake.warn(KEY, format!("the host of {id} is not in LEADER_REDIRECT_ALLOWED_HOSTS"));
        }
    }
    if settings.write_mode == WriteMode::Redirect && settings.leader_redirects.is_empty() {
        intake.warn("cluster.write_mode", "redirect without LEADER_REDIRECTS redirects nobody");
    }
}

fn mode(raw: &Raw) -> Result<Mode, Invalid> {
    match raw.text()? {
        "embedded" | "on" | "1" | "true" => Ok(Mode::Embedded),
        "" | "off" | "0" | "false" => Ok(Mode::Off),
        other => {
            Err(Invalid::new(format!("{} is not a cluster mode", quoted(other)), "write embedded or off"))
        }
    }
}

fn write_mode(raw: &Raw) -> Result<WriteMode, Invalid> {
    match raw.text()? {
        "reject" => Ok(WriteMode::Reject),
        "redirect" => Ok(WriteMode::Redirect),
        "forward" => Ok(WriteMode::Forward),
        other => {
            let what = format!("{} is not a write mode", quoted(other));
            Err(Invalid::new(what, "write reject, redirect or forward"))
        }
    }
}
