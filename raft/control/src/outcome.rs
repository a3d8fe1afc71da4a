//! Results of commands. A rejected command is data: its entry counts as applied (architecture rule 6).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::documents::{Alg, Client, ScopeCatalogue, SigningKey, Tenant};
use crate::sealed::Sealed;
use crate::validate::FieldError;
use crate::{ClientId, Kid, ScopeName, Timestamp};

/// What a command did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// The cluster exists.
    ClusterFormed,
    /// The node may join under this Raft id.
    NodeAdmitted {
        /// Its new Raft id; never given to anybody before.
        raft_id: u64,
        /// How often the name has been admitted.
        incarnation: u64,
    },
    /// The member is as asked.
    Member {
        /// Whether it is new.
        created: bool,
    },
    /// The member is gone.
    MemberRemoved,
    /// The cluster writes this format.
    FormatRaised {
        /// See [`crate::format`].
        format: u16,
    },
    /// Records that were copied are gone.
    AuditTrimmed {
        /// How many wait still.
        waiting: u64,
    },
    /// The tenant is as asked.
    Tenant {
        /// Whether it is new.
        created: bool,
        /// The document after the command.
        tenant: Arc<Tenant>,
    },
    /// The tenant is gone.
    TenantDeleted,
    /// The client is as asked.
    Client {
        /// Whether it is new.
        created: bool,
        /// The document after the command.
        client: Arc<Client>,
        /// Whether the secret that came with the command is now one of the client's.
        secret_taken: bool,
    },
    /// The client is gone.
    ClientDeleted {
        /// Its id, to which old tokens are bound.
        id: uuid::Uuid,
    },
    /// The catalogue is as asked.
    Scopes {
        /// The catalogue after the command.
        scopes: Arc<ScopeCatalogue>,
    },
    /// The request was done before; nothing was done now.
    Replayed {
        /// What it did.
        outcome: Box<Outcome>,
        /// The secret that its answer showed, sealed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        secret: Option<Sealed>,
    },
    /// The keys are as asked.
    Keys {
        /// The key that the command was about, where it was about one.
        key: Option<Arc<SigningKey>>,
        /// The keys of its set that are retiring.
        retiring: Vec<Arc<SigningKey>>,
    },
}

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Reject {
    /// No such tenant.
    #[error("the tenant does not exist")]
    TenantNotFound,
    /// No such client.
    #[error("the client does not exist")]
    ClientNotFound,
    /// No such key.
    #[error("the key does not exist")]
    KeyNotFound,
    /// The document is not what the caller said it was.
    #[error("the document has changed or is not there")]
    PreconditionFailed {
        /// Its revision now, if it exists.
        current: Option<u64>,
    },
    /// The resulting document would not be valid.
    #[error("the document is not valid")]
    Invalid {
        /// Everything that is wrong.
        errors: Vec<FieldError>,
    },
    /// A scope that would go is still given to a client.
    #[error("scope {scope} is in use by client {client_id}")]
    ScopeInUse {
        /// The scope.
        scope: ScopeName,
        /// The first client that has it.
        client_id: ClientId,
    },
    /// The catalogue is full.
    #[error("there can be at most {limit} {what}")]
    LimitReached {
        /// What there are too many of.
        what: String,
        /// How many there may be.
        limit: u64,
    },
    /// Another rotation of the same set and algorithm has not finished.
    #[error("key {kid} is still waiting to become active")]
    RotationPending {
        /// The key that waits.
        kid: Kid,
    },
    /// The tenant has no keys of its own.
    #[error("the tenant uses the global issuer and has no keys of its own")]
    IssuerModeGlobal,
    /// The tenant needs a key that did not come with the command; the leader makes one and tries again.
    #[error("a key for {} is needed", .alg.as_str())]
    KeyNeeded {
        /// Of which algorithm.
        alg: Alg,
    },
    /// The client cannot keep a secret.
    #[error("a public client has no secret")]
    PublicClient,
    /// The key may not become active, or retire, yet.
    #[error("not before {until}")]
    NotDue {
        /// When it may.
        until: Timestamp,
    },
    /// No such member.
    #[error("the node is no member of the cluster")]
    NodeNotFound,
    /// Without this member the cluster would have nobody left who votes.
    #[error("the last voter cannot leave the cluster")]
    LastVoter,
    /// A learner that never came cannot vote.
    #[error("the node has not joined the cluster yet")]
    NotJoined,
    /// Some member runs a release that could not read it.
    #[error(
        "it needs format {needed} and the cluster writes format {format}, which is raised once every node is upgraded"
    )]
    UpgradePending {
        /// The format that has the command.
        needed: u16,
        /// The format that the cluster writes.
        format: u16,
    },
    /// The node could not read what the cluster writes.
    #[error(
        "its release knows formats up to {knows} and the cluster writes format {format}; upgrade the node"
    )]
    ReleaseTooOld {
        /// The newest format that the node knows.
        knows: u16,
        /// The format that the cluster writes.
        format: u16,
    },
    /// Somebody came or went meanwhile.
    #[error("the members have changed")]
    MembersChanged,
    /// The idempotency key came with another request before.
    #[error("the idempotency key was used for another body")]
    IdempotencyKeyReused,
    /// The cluster was formed already.
    #[error("the cluster was formed already")]
    AlreadyFormed,
}

impl Reject {
    /// The stable name of the refusal, as audit records and the log tell it.
    pub fn code(&self) -> &'static str {
        match self {
            Reject::TenantNotFound => "tenant_not_found",
            Reject::ClientNotFound => "client_not_found",
            Reject::KeyNotFound => "key_not_found",
            Reject::PreconditionFailed { .. } => "precondition_failed",
            Reject::Invalid { .. } => "invalid",
            Reject::ScopeInUse { .. } => "scope_in_use",
            Reject::LimitReached { .. } => "limit_reached",
            Reject::RotationPending { .. } => "rotation_pending",
            Reject::IssuerModeGlobal => "issuer_mode_global",
            Reject::KeyNeeded { .. } => "key_needed",
            Reject::PublicClient => "public_client",
            Reject::NotDue { .. } => "not_due",
            Reject::NodeNotFound => "node_not_found",
            Reject::LastVoter => "last_voter",
            Reject::NotJoined => "not_joined",
            Reject::UpgradePending { .. } => "upgrade_pending",
            Reject::ReleaseTooOld { .. } => "release_too_old",
            Reject::MembersChanged => "members_changed",
            Reject::IdempotencyKeyReused => "idempotency_key_reused",
            Reject::AlreadyFormed => "already_formed",
        }
    }
}
