//! Who is asking, and the three questions the HTTP edge puts to the services before a handler runs.

use std::fmt::Debug;
use std::future::ready;

use futures::future::BoxFuture;
use hellojohn_control::Timestamp;

use super::error::Result;

/// The verified holder of an access token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// `sub`.
    pub subject: String,
    /// `tid`: the tenant's slug, or `_system` for break-glass tokens.
    pub tenant: String,
    /// `client_id`; break-glass tokens have none.
    pub client_id: Option<String>,
    /// `sid`, where the token belongs to a session.
    pub session_id: Option<String>,
    /// `jti`, the name under which the token can be denied.
    pub token_id: String,
    /// `scope`, split.
    pub scopes: Vec<String>,
    /// `exp`.
    pub expires_at: Timestamp,
}

impl Principal {
    /// Whether the token carries `scope`.
    pub fn has_scope(&self, scope: &str) -> bool {
        self.scopes.iter().any(|held| held == scope)
    }

    /// How the envelope and the audit name this principal: `tenant/subject`.
    pub fn actor(&self) -> String {
        format!("{}/{}", self.tenant, self.subject)
    }
}

/// Decides whether a bearer token is an administrator's (spec §6 "Admin authorisation").
pub trait AdminAuthorizer: Send + Sync + Debug {
    /// # Errors
    /// `invalid_token` for a token that is not valid here, `forbidden` for one that is but is no
    /// administrator's, `storage_unavailable` when the deny-list cannot be read.
    fn authorize<'a>(&'a self, bearer: &'a str) -> BoxFuture<'a, Result<Principal>>;
}

/// Decides whether a bearer token is a live access token of a user.
pub trait UserAuthorizer: Send + Sync + Debug {
    /// # Errors
    /// `invalid_token` for everything that is not a live access token, `storage_unavailable` when the
    /// deny-list cannot be read (a look-up that fails refuses).
    fn authenticate<'a>(&'a self, bearer: &'a str) -> BoxFuture<'a, Result<Principal>>;
}

/// Whether this node may take control-plane writes now. An optimisation: `ProposeError::NotLeader` of
/// the cluster port is the truth (architecture rule 8), and both end in the same mapper.
pub trait LeaderGate: Send + Sync + Debug {
    /// # Errors
    /// `follower_conflict` naming the leader, or `no_leader` when none is known or this leader has no
    /// recent quorum acknowledgement (spec §3.3). Build them with [`super::Error::not_leader`].
    fn check(&self) -> Result<()>;

    /// As [`Self::check`], but a leader whose quorum is late for a moment lets the caller wait for it.
    ///
    /// # Errors
    /// As [`Self::check`].
    fn let_in(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(ready(self.check()))
    }

    /// Whether this node knows the catalogue at all: one that has just started would call every token invalid
    /// and every tenant unknown, and clients would believe it.
    ///
    /// # Errors
    /// `cluster_not_formed`.
    fn check_knows(&self) -> Result<()>;

    /// The log index that this node has applied.
    fn applied_index(&self) -> u64;
}
