//! The first frame each way: who speaks, to whom, in which cluster and which protocol.
//!
//! Owns the node's own identity towards peers and every check of the other's word. Must never trust the
//! claimed name on TLS connections before [`super::tls::PeerTls::check_peer`] agreed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// The newest protocol this release speaks.
pub const PROTOCOL_VERSION: u32 = 1;

/// The oldest protocol this release still speaks.
pub const PROTOCOL_MIN: u32 = 1;

/// The first frame of each side. Unknown fields are ignored, so that a later release may add some.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The newest protocol version the sender speaks.
    pub v: u32,
    /// The oldest protocol version the sender speaks.
    pub min_v: u32,
    /// Name of the sender (`NODE_ID`).
    pub from: String,
    /// Name of the node the sender means to talk to.
    pub to: String,
    /// The cluster the sender belongs to; none while it has not formed or joined one.
    pub cluster_id: Option<String>,
    /// Its Raft id there. A name that lost its disk comes back under another one.
    #[serde(default)]
    pub raft_id: Option<u64>,
    /// Release of the sender, for people.
    pub software: String,
    /// Versions of the formats the sender writes, by name (`log`, `snapshot`, …).
    pub formats: BTreeMap<String, u32>,
}

/// Why a connection is turned down, by either side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Refusal {
    /// The two belong to different clusters.
    #[error("{node} belongs to cluster {its_cluster}, this peer to cluster {other_cluster}")]
    WrongCluster {
        /// The node that refuses.
        node: String,
        /// Cluster id of the node that refuses.
        its_cluster: String,
        /// Cluster id that the other side named.
        other_cluster: String,
    },
    /// Somebody else listens here: the address book is wrong.
    #[error("this is node {node}, not {meant}; check the address of {meant} in CLUSTER_NODES")]
    WrongRecipient {
        /// Who answers.
        node: String,
        /// Who was meant.
        meant: String,
    },
    /// The node has lost its disk and come back, or is about to: it is not the member that was meant.
    #[error("{node} is {}, not member {meant}", .raft_id.map_or_else(|| "no member".to_owned(), |id| format!("member {id}")))]
    WrongMember {
        /// Who answers.
        node: String,
        /// Its Raft id.
        raft_id: Option<u64>,
        /// The Raft id that was meant.
        meant: u64,
    },
    /// The sender's disk is one that this name had before: it was lost and found, or its node was removed.
    #[error("member {raft_id} of the name {name} {}", .by.map_or_else(|| "was removed from the cluster".to_owned(), |id| format!("was replaced by member {id}")))]
    Superseded {
        /// Name of the sender.
        name: String,
        /// The Raft id that it has.
        raft_id: u64,
        /// The Raft id that its name has now, if any.
        by: Option<u64>,
    },
    /// The sender's disk is an older copy of its own.
    #[error(
        "member {raft_id} ({name}) has acknowledged the log up to entry {acknowledged} and lacks some of it: its disk is an \
         older copy of the one that it had"
    )]
    Reverted {
        /// Name of the sender.
        name: String,
        /// Its Raft id.
        raft_id: u64,
        /// Index of the last entry that it acknowledged.
        acknowledged: u64,
    },
    /// No protocol version in common.
    #[error("{node} speaks peer protocol {min} to {max}, the other side {other_min} to {other_max}")]
    UnsupportedVersion {
        /// The node that refuses.
        node: String,
        /// Oldest version it speaks.
        min: u32,
        /// Newest version it speaks.
        max: u32,
        /// Oldest version of the other side.
        other_min: u32,
        /// Newest version of the other side.
        other_max: u32,
    },
    /// The name is neither a member nor may it ask to join.
    #[error("{name} is not a member of this cluster and may not join it")]
    NotMember {
        /// The claimed name.
        name: String,
    },
    /// The certificate is valid, but for somebody else.
    #[error("the certificate of the peer that calls itself {claimed} has no SAN DNS:{expected}")]
    NameMismatch {
        /// The name in the hello.
        claimed: String,
        /// The DNS name that the certificate must carry.
        expected: String,
    },
    /// The first frame was not a hello.
    #[error("malformed hello: {detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
    /// Too many connections.
    #[error("{node} has as many peer connections as it allows")]
    Busy {
        /// The node that refuses.
        node: String,
    },
    /// A reason that this release does not know.
    #[error("refused for a reason unknown to this release")]
    #[serde(other)]
    Unrecognised,
}

/// Where a node belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The cluster's id.
    pub cluster_id: String,
    /// The node's Raft id in it.
    pub raft_id: u64,
}

/// This node as its peers see it. Its seat is set once the node has formed, promised or joined.
#[derive(Debug)]
pub struct LocalNode {
    name: String,
    software: String,
    formats: BTreeMap<String, u32>,
    seat: ArcSwapOption<Seat>,
    superseded: watch::Sender<Option<Refusal>>,
    /// Peers that are of another cluster, and of which.
    elsewhere: Mutex<BTreeMap<String, String>>,
}

impl LocalNode {
    /// The node `name` (`NODE_ID`), still without a cluster.
    pub fn new(name: &str, software: &str, formats: BTreeMap<String, u32>) -> Self {
        let (superseded, _) = watch::channel(None);
        let (name, software) = (name.to_owned(), software.to_owned());
        let elsewhere = Mutex::default();
        Self { name, software, formats, seat: ArcSwapOption::empty(), superseded, elsewhere }
    }

    /// Notes how a peer turned this node down, if that is for good.
    pub(crate) fn turned_down(&self, refusal: &Refusal) {
        if let Refusal::Superseded { raft_id, .. } | Refusal::Reverted { raft_id, .. } = refusal
            && self.seat().is_some_and(|seat| seat.raft_id == *raft_id)
        {
            self.superseded.send_replace(Some(refusal.clone()));
        }
    }

    /// Notes that the peer `name` is of the cluster `other`, or, with `None`, that it is of this one or of none.
    pub(super) fn met(&self, name: &str, other: Option<&str>) {
        let mut elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match other {
            Some(other) => elsewhere.insert(name.to_owned(), other.to_owned()),
            None => elsewhere.remove(name),
        };
        if let Some(other) = other
            && before.as_deref() != Some(other)
        {
            let ours = self.seat().map(|seat| seat.cluster_id.clone());
            tracing::warn!(peer = name, its_cluster = other, ours, "a peer belongs to another cluster");
        }
    }

    /// Whether most of `nodes`, this one counted, are of one other cluster, and which.
    pub(crate) fn outvoted(&self, nodes: usize) -> Option<String> {
        let seat = self.seat()?;
        let elsewhere = self.elsewhere.lock().unwrap_or_else(PoisonError::into_inner);
        let others: BTreeSet<&String> = elsewhere.values().collect();
        others.into_iter().find_map(|other| {
            let there =
                elsewhere.iter().filter(|(_, cluster)| *cluster == other).map(|(name, _)| name.as_str());
            let there: Vec<&str> = there.collect();
            (*other != seat.cluster_id && there.len() > nodes / 2).then(|| {
                format!(
                    "{} belong to cluster {other}, the disk of this node to {}",
                    there.join(" and "),
                    seat.cluster_id
                )
            })
        })
    }

    /// Why this node's disk can take part no longer, once a peer has said so.
    pub fn superseded(&self) -> watch::Receiver<Option<Refusal>> {
        self.superseded.subscribe()
    }

    /// `NODE_ID`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where this node belongs.
    pub fn seat(&self) -> Option<Arc<Seat>> {
        self.seat.load_full()
    }

    /// Says from now on where this node belongs. Connections made under another identity are replaced before
    /// their next request.
    pub fn take_seat(&self, seat: Option<Seat>) {
        self.seat.store(seat.map(Arc::new));
    }

    /// What this node says first to the node `to`.
    pub(super) fn hello(&self, to: &str) -> Hello {
        Hello {
            v: PROTOCOL_VERSION,
            min_v: PROTOCOL_MIN,
            from: self.name.clone(),
            to: to.to_owned(),
            cluster_id: self.seat().map(|seat| seat.cluster_id.clone()),
            raft_id: self.seat().map(|seat| seat.raft_id),
            software: self.software.clone(),
            formats: self.formats.clone(),
        }
    }

    /// Checks the other side's word: a protocol in common, meant for this node, the same cluster where
    /// both have one.
    pub(super) fn check(&self, peer: &Hello) -> Result<(), Refusal> {
        if peer.v < PROTOCOL_MIN || peer.min_v > PROTOCOL_VERSION {
            return Err(Refusal::UnsupportedVersion {
                node: self.name.clone(),
                min: PROTOCOL_MIN,
                max: PROTOCOL_VERSION,
                other_min: peer.min_v,
                other_max: peer.v,
            });
        }
        if peer.to != self.name {
            return Err(Refusal::WrongRecipient { node: self.name.clone(), meant: peer.to.clone() });
        }
        self.check_cluster(peer)
    }

    /// Checks that the peer's cluster is not another than this node's, as it is now.
    pub(super) fn check_cluster(&self, peer: &Hello) -> Result<(), Refusal> {
        match (self.seat(), &peer.cluster_id) {
            (Some(ours), Some(theirs)) if ours.cluster_id != *theirs => Err(Refusal::WrongCluster {
                node: self.name.clone(),
                its_cluster: ours.cluster_id.clone(),
                other_cluster: theirs.clone(),
            }),
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::super::frame::{Frame, HELLO_LIMIT, Tag, write_frame};
    use super::*;

    fn node(name: &str, cluster: Option<&str>) -> LocalNode {
        let node = LocalNode::new(name, "0.1.0", BTreeMap::from([("log".to_owned(), 1)]));
        node.take_seat(cluster.map(|id| Seat { cluster_id: id.to_owned(), raft_id: 7 }));
        node
    }

    /// Wire format of protocol 1: a released byte never changes.
    #[tokio::test]
    async fn golden_bytes_of_a_hello() {
        let payload = serde_json::to_vec(&node("n1", Some("c-1")).hello("n2")).unwrap();
        let mut bytes = Vec::new();
        let frame = Frame::control(Tag::Hello, Bytes::from(payload));
        write_frame(&mut bytes, frame, HELLO_LIMIT, Duration::from_secs(1)).await.unwrap();
        let golden = b"\0\0\0\x72\x01\0\0\0\0\
            {\"v\":1,\"min_v\":1,\"from\":\"n1\",\"to\":\"n2\",\"cluster_id\":\"c-1\",\"raft_id\":7,\
            \"software\":\"0.1.0\",\"formats\":{\"log\":1}}";
        assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(golden));
    }

    /// The disk of a cluster that is no more: the others were recovered without this node.
    #[test]
    fn a_node_is_outvoted_when_most_are_of_one_other_cluster() {
        let node = node("n3", Some("old"));
        assert_eq!(node.outvoted(3), None);
        node.met("n1", Some("new"));
        assert_eq!(node.outvoted(3), None, "one of three may be the one that is wrong");
        node.met("n2", Some("third"));
        assert_eq!(node.outvoted(3), None, "two that do not agree");
        node.met("n2", Some("new"));
        let why = node.outvoted(3).unwrap();
        assert!(why.contains("n1 and n2") && why.contains("new") && why.contains("old"), "{why}");
        assert_eq!(node.outvoted(5), None);
        node.met("n1", None);
        assert_eq!(node.outvoted(3), None);
        node.met("n1", Some("new"));
        node.take_seat(None);
        assert_eq!(node.outvoted(3), None, "a node of no cluster asks to be let in");
    }

    #[test]
    fn golden_text_of_a_refusal() {
        let refusal = node("n2", Some("a")).check(&node("n1", Some("b")).hello("n2")).unwrap_err();
        assert_eq!(
            serde_json::to_string(&refusal).unwrap(),
            r#"{"reason":"wrong_cluster","node":"n2","its_cluster":"a","other_cluster":"b"}"#
        );
    }

    #[test]
    fn a_hello_and_a_refusal_of_a_later_release_still_decode() {
        let text =
            r#"{"v":2,"min_v":1,"from":"a","to":"b","cluster_id":null,"software":"9","formats":{},"new":[]}"#;
        let hello: Hello = serde_json::from_str(text).unwrap();
        assert_eq!(node("b", Some("c")).check(&hello), Ok(()));
        let refusal: Refusal = serde_json::from_str(r#"{"reason":"full_moon","phase":3}"#).unwrap();
        assert_eq!(refusal, Refusal::Unrecognised);
    }

    #[test]
    fn versions_out_of_reach_are_refused() {
        let mut hello = node("a", None).hello("b");
        hello.min_v = PROTOCOL_VERSION + 1;
        hello.v = PROTOCOL_VERSION + 1;
        assert!(matches!(node("b", None).check(&hello), Err(Refusal::UnsupportedVersion { .. })));
        hello.min_v = 0;
        hello.v = PROTOCOL_MIN - 1;
        assert!(matches!(node("b", None).check(&hello), Err(Refusal::UnsupportedVersion { .. })));
    }

    #[test]
    fn a_foreign_cluster_is_refused_and_both_are_named() {
        let refusal = node("b", Some("one")).check(&node("a", Some("two")).hello("b")).unwrap_err();
        assert_eq!(refusal.to_string(), "b belongs to cluster one, this peer to cluster two");
    }

    #[test]
    fn a_node_without_cluster_talks_to_any() {
        assert_eq!(node("b", None).check(&node("a", Some("two")).hello("b")), Ok(()));
        assert_eq!(node("b", Some("one")).check(&node("a", None).hello("b")), Ok(()));
    }

    #[test]
    fn a_call_for_somebody_else_names_both() {
        let refusal = node("b", None).check(&node("a", None).hello("c")).unwrap_err();
        assert!(refusal.to_string().starts_with("this is node b, not c"), "{refusal}");
    }
}
