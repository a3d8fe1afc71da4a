//! The settings of §3.1 as they are written; [`super::Cluster`] is what they mean.

use std::collections::BTreeMap;
use std::time::Duration;

use super::nodes::{self, NodeName};
use super::{Mode, WriteMode, mode, timers, write_mode};
use crate::config::setting::section;
use crate::config::value::net::{self, Host, HostPort, ListenAddr};
use crate::config::value::pem::{self, PemSource};
use crate::config::value::url::{self, BaseUrl, HostPattern};
use crate::config::value::{duration, switch, whole};

section! {
    /// Every cluster setting, before the checks between them.
    pub struct ClusterSettings in "cluster" {
        /// embedded (on, 1, true): a member of a cluster. off (0, false): a single node.
        mode: Mode = Literal("off"), env ["CLUSTER_MODE"], Public, mode;
        /// Name of this node; a key of cluster.nodes, and in the certificate as DNS name.
        node_id: Option<NodeName> = Unset("needed in cluster mode"), env ["NODE_ID"], Public, nodes::node_id;
        /// Where the Raft listener binds: host:port or :port.
        raft_addr: Option<ListenAddr> = Unset("the port of this node's own entry in cluster.nodes"),
            env ["RAFT_ADDR"], Public, net::listen_addr;
        /// All nodes, this one too: id=host:port, or a YAML mapping.
        nodes: BTreeMap<NodeName, HostPort> = Literal(""), env ["CLUSTER_NODES"], Public, nodes::nodes;
        /// Where administrators reach each node's API: id=http(s)://host:port, or a YAML mapping.
        leader_redirects: BTreeMap<NodeName, BaseUrl> = Literal(""), env ["LEADER_REDIRECTS"], Public,
            nodes::redirects;
        /// Hosts that a redirect to the leader may name: host or host:port. Empty allows the hosts of
        /// cluster.leader_redirects.
        leader_redirect_allowed_hosts: Vec<HostPattern> = Literal(""), env ["LEADER_REDIRECT_ALLOWED_HOSTS"],
            Public, url::host_patterns;
        /// 1 on the one node that forms a new cluster; without it the smallest node id does.
        bootstrap: bool = Literal("0"), env ["CLUSTER_BOOTSTRAP"], Public, switch;
        /// What a follower does with an admin write: reject (409), redirect (307 where the leader is mapped), forward
        /// (pass it on to the leader over the peer connections).
        write_mode: WriteMode = Literal("reject"), env ["CLUSTER_WRITE_MODE"], Public, write_mode;
        /// Milliseconds after which an admin write is answered as of unknown outcome.
        write_timeout_ms: Duration = Derived("twice raft_election_max_ms, at least 1000", timers::write_timeout),
            env ["CLUSTER_WRITE_TIMEOUT_MS"], Public, duration::millis(100, 300_000);
        /// Log entries after which a snapshot is taken.
        raft_snapshot_every: u64 = Literal("10000"), env ["RAFT_SNAPSHOT_EVERY"], Public, whole(10, 10_000_000);
        /// Megabytes of log after which a snapshot is taken.
        raft_max_log_mb: u64 = Literal("256"), env ["RAFT_MAX_LOG_MB"], Public, whole(1, 65_536);
        /// Milliseconds between two heartbeats of the leader.
        raft_heartbeat_ms: Duration = Literal("50"), env ["RAFT_HEARTBEAT_MS"], Public,
            duration::millis(10, 10_000);
        /// Least milliseconds without a leader before a node stands for election; half where the leader's host says
        /// that its process has ended. For half as long, a node that heard from a leader votes for nobody else.
        raft_election_min_ms: Duration = Literal("600"), env ["RAFT_ELECTION_MIN_MS"], Public,
            duration::millis(20, 60_000);
        /// Most milliseconds without a leader before a node stands for election.
        raft_election_max_ms: Duration = Literal("900"), env ["RAFT_ELECTION_MAX_MS"], Public,
            duration::millis(30, 120_000);
        /// Mutual TLS between the nodes.
        raft_tls_enable: bool = Literal("0"), env ["RAFT_TLS_ENABLE"], Public, switch;
        /// This node's certificate chain, as path or inline PEM.
        raft_tls_cert: Option<PemSource> = Unset("needed with raft_tls_enable"),
            env ["RAFT_TLS_CERT_FILE", "RAFT_TLS_CERT"], PathOrSecret, pem::source;
        /// This node's private key, as path or inline PEM.
        raft_tls_key: Option<PemSource> = Unset("needed with raft_tls_enable"),
            env ["RAFT_TLS_KEY_FILE", "RAFT_TLS_KEY"], PathOrSecret, pem::source;
        /// The cluster's CA certificates, as path or inline PEM.
        raft_tls_ca: Option<PemSource> = Unset("needed with raft_tls_enable"),
            env ["RAFT_TLS_CA_FILE", "RAFT_TLS_CA"], PathOrSecret, pem::source;
        /// The DNS name in every node's certificate, where it is not the node id.
        raft_tls_server_name: Option<Host> = Unset("the node id of each node"), env ["RAFT_TLS_SERVER_NAME"],
            Public, nodes::server_name;
        /// 1 allows the nodes to talk in clear over a network. Signing keys stay sealed, but anybody on that
        /// network could join and write.
        raft_allow_plaintext: bool = Literal("0"), env ["RAFT_ALLOW_PLAINTEXT"], Public, switch;
    }
}
