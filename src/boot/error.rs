//! Why the process does not start, or ended. Every text names the setting or file and the remedy.

use std::path::PathBuf;

use crate::boot::listeners::BindError;
use crate::boot::tls::TlsError;
use crate::crypto::CipherFailure;
use crate::crypto::hash_pool;
use crate::crypto::password::ParamsError;
use crate::crypto::sealed::MasterKeyError;
use crate::domain::password_policy::BlacklistError;
use crate::http::openapi::Fault;
use crate::http::router::RouteError;
use crate::service::limits::UnusableLimits;
use crate::store::InvalidDsn;

/// Why the process does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// No runtime.
    #[error("the process cannot start its threads: {0}; raise the limit of processes for this user")]
    Runtime(std::io::Error),
    /// The metrics recorder.
    #[error("metrics cannot be recorded: {0}")]
    Metrics(String),
    /// A listener.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// TLS of the public listener.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// A key that is derived from a master key.
    #[error(transparent)]
    Derivation(#[from] CipherFailure),
    /// Password hashing.
    #[error(transparent)]
    HashParams(#[from] ParamsError),
    /// The hash pool.
    #[error(transparent)]
    HashPool(#[from] hash_pool::StartError),
    /// The password blacklist.
    #[error("SECURITY_PASSWORD_BLACKLIST_PATH: {}: {reason}", path.display())]
    Blacklist {
        /// The file.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
    },
    /// Templates of mails.
    #[error(transparent)]
    Templates(#[from] crate::mail::TemplateError),
    /// The authorities of mail servers.
    #[error("SMTP_CA_FILE: {0}")]
    MailAuthorities(String),
    /// The global database.
    #[error("STORAGE_DSN: {0}")]
    Dsn(#[from] InvalidDsn),
    /// The rate limits.
    #[error(transparent)]
    Limits(#[from] UnusableLimits),
    /// The peer listener's address.
    #[error("RAFT_ADDR: {addr} cannot be used: {reason}; give host:port of an address of this machine")]
    RaftAddr {
        /// The address.
        addr: String,
        /// Why.
        reason: String,
    },
    /// The control plane.
    #[error(transparent)]
    Raft(#[from] hellojohn_raft::StartError),
    /// The control plane's task was lost.
    #[error("the control plane did not start: {0}")]
    RaftTask(#[from] tokio::task::JoinError),
    /// A route; a fault of the program.
    #[error("{0}; report this as a fault of the program")]
    Route(#[from] RouteError),
    /// The description of the routes; a fault of the program.
    #[error("openapi: {0}; report this as a fault of the program")]
    OpenApi(#[from] Fault),
    /// The signal handlers.
    #[error("signals cannot be handled: {0}")]
    Signals(std::io::Error),
    /// A task failed and the process ended.
    #[error("{0}")]
    Failed(String),
    /// Tasks did not end by themselves.
    #[error("stopped by force: {}; raise HTTP_SHUTDOWN_GRACE", .0.join(", "))]
    Forced(Vec<String>),
}

impl BootError {
    pub(super) fn blacklist(path: PathBuf, error: &BlacklistError) -> Self {
        Self::Blacklist { path, reason: error.to_string() }
    }
}
