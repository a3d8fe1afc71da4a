//! What peers ask of each other: kinds, failures, and the trait that answers.
//!
//! Owns the stable numbers of the kinds. Bodies belong to the callers; this module sees bytes.

use bytes::Bytes;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::hello::{Hello, Refusal};

/// A kind of request. The numbers are on the wire: they are never changed and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RpcKind {
    /// Raft AppendEntries.
    Append,
    /// Raft RequestVote.
    Vote,
    /// Raft InstallSnapshot, one chunk.
    InstallSnapshot,
    /// What do you know of this cluster? (spec §13.2)
    Probe,
    /// Promise to join exactly this cluster id (spec §13.2).
    Promise,
    /// How far have you applied? (spec §13.3)
    AppliedIndex,
    /// Would you vote for me? Asked before an election, changes nothing.
    PreVote,
    /// The leader's process lives, whatever its disk does.
    Alive,
    /// Let this node in (spec §13.4).
    Join,
    /// Stand for election now: the leader hands over (Ongaro's dissertation, section 3.10).
    Stand,
    /// Up to which entry must a read see the log? (Ongaro's dissertation, section 6.4)
    ReadIndex,
    /// A request of the product that a follower passes on (spec §3.3).
    Forward,
    /// The leader tells a follower why it can take part no longer.
    TurnDown,
}

impl RpcKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Append,
        Self::Vote,
        Self::InstallSnapshot,
        Self::Probe,
        Self::Promise,
        Self::AppliedIndex,
        Self::PreVote,
        Self::Alive,
        Self::Join,
        Self::Stand,
        Self::ReadIndex,
        Self::Forward,
        Self::TurnDown,
    ];

    /// The number on the wire, 1 to 127.
    pub fn number(self) -> u8 {
        match self {
            Self::Append => 1,
            Self::Vote => 2,
            Self::InstallSnapshot => 3,
            Self::Probe => 4,
            Self::Promise => 5,
            Self::AppliedIndex => 6,
            Self::PreVote => 7,
            Self::Alive => 8,
            Self::Join => 9,
            Self::Stand => 10,
            Self::ReadIndex => 11,
            Self::Forward => 12,
            Self::TurnDown => 13,
        }
    }

    /// The kind with this number, if this release knows it.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// The value of the `kind` label in metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Append => "append",
            Self::Vote => "vote",
            Self::InstallSnapshot => "install_snapshot",
            Self::Probe => "probe",
            Self::Promise => "promise",
            Self::AppliedIndex => "applied_index",
            Self::PreVote => "pre_vote",
            Self::Alive => "alive",
            Self::Join => "join",
            Self::Stand => "stand",
            Self::ReadIndex => "read_index",
            Self::Forward => "forward",
            Self::TurnDown => "turn_down",
        }
    }

    /// Whether the request is part of a cluster that exists, so that a caller without a cluster id is
    /// refused (spec §3.2: every RPC carries the cluster id).
    pub fn needs_cluster_id(self) -> bool {
        match self {
            Self::Append
            | Self::Vote
            | Self::InstallSnapshot
            | Self::AppliedIndex
            | Self::PreVote
            | Self::Alive
            | Self::Stand
            | Self::ReadIndex
            | Self::Forward
            | Self::TurnDown => true,
            Self::Probe | Self::Promise | Self::Join => false,
        }
    }
}

/// Why a peer did not carry out a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "code", rename_all = "snake_case")]
pub enum RpcFailure {
    /// The peer's release does not know the kind.
    #[error("the peer does not know request kind {kind}")]
    UnknownKind {
        /// The number that was asked for.
        kind: u8,
    },
    /// The body does not decode.
    #[error("the peer could not read the request: {detail}")]
    BadRequest {
        /// What is wrong.
        detail: String,
    },
    /// The caller said hello without a cluster id and asked for something only a member may.
    #[error("the request needs a cluster id and this node's hello carried none")]
    NoClusterId,
    /// The peer cannot do this now; it may later.
    #[error("the peer cannot serve this now: {detail}")]
    Unavailable {
        /// Why.
        detail: String,
    },
    /// The peer gave up on its own bound.
    #[error("the peer did not finish in time")]
    TimedOut,
    /// The peer failed.
    #[error("the peer failed: {detail}")]
    Internal {
        /// What happened; never a secret.
        detail: String,
    },
    /// A failure that this release does not know.
    #[error("the peer answered with a failure unknown to this release")]
    #[serde(other)]
    Unrecognised,
}

/// What a node does with its peers' requests.
pub trait PeerHandler: Send + Sync + 'static {
    /// Whether this peer may talk to us: it is a member, or may be asking to join. Called once a
    /// connection, after TLS, name, version and cluster id were found right. Must not block.
    fn admit(&self, peer: &Hello) -> Result<(), Refusal>;

    /// Whether a peer that was admitted may go on talking. Called before each request. Must not block.
    fn keep(&self, _peer: &Hello) -> Result<(), Refusal> {
        Ok(())
    }

    /// Carries out one request of an admitted peer. The future is dropped when it exceeds the server's
    /// bound or the node shuts down, so it must be safe to drop.
    fn call<'a>(
        &'a self,
        peer: &'a Hello,
        kind: RpcKind,
        payload: Bytes,
    ) -> BoxFuture<'a, Result<Bytes, RpcFailure>>;
}

/// A body as JSON.
pub fn encode_json<T: Serialize>(body: &T) -> Result<Bytes, RpcFailure> {
    serde_json::to_vec(body)
        .map(Bytes::from)
        .map_err(|error| RpcFailure::Internal { detail: format!("body does not encode: {error}") })
}

/// A request body out of JSON; what does not decode is the sender's fault.
pub fn decode_json<T: DeserializeOwned>(payload: &[u8]) -> Result<T, RpcFailure> {
    serde_json::from_slice(payload).map_err(|error| RpcFailure::BadRequest { detail: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_numbers_are_pinned() {
        let numbers: Vec<_> = RpcKind::ALL.iter().map(|kind| (kind.label(), kind.number())).collect();
        assert_eq!(
            numbers,
            [
                ("append", 1),
                ("vote", 2),
                ("install_snapshot", 3),
                ("probe", 4),
                ("promise", 5),
                ("applied_index", 6),
                ("pre_vote", 7),
                ("alive", 8),
                ("join", 9),
                ("stand", 10),
                ("read_index", 11),
                ("forward", 12),
                ("turn_down", 13)
            ]
        );
        assert!(RpcKind::ALL.iter().all(|kind| RpcKind::from_number(kind.number()) == Some(*kind)));
        assert_eq!(RpcKind::from_number(0), None);
        assert_eq!(RpcKind::from_number(127), None);
    }

    #[test]
    fn a_failure_of_a_later_release_still_decodes() {
        let failure: RpcFailure = decode_json(br#"{"code":"from_the_future","x":1}"#).unwrap();
        assert_eq!(failure, RpcFailure::Unrecognised);
    }
}
