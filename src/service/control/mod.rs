//! Use cases of the control plane: what an administrator may do to tenants, clients, scopes and keys.
//!
//! Owns validation that needs more than the document itself, the making of keys and secrets before a proposal,
//! and the words in which a refusal is told. The replicated machine has the last word on every document.

mod archive;
mod audit_copy;
mod cleanup;
mod clients;
mod each_database;
mod errors;
mod gate;
mod keys;
mod members;
mod scope_use;
mod scopes;
mod sweep;
mod tenant_rules;
mod tenants;

pub use archive::Saved;
pub use audit_copy::AuditCopy;
pub use cleanup::{Cleanup, Deleted, TokenRevoker};
pub use clients::PutClient;
pub use keys::{Activate, Rotated, Rotation};
pub use members::Settled;
pub use scope_use::ConsentedScopes;
pub use tenants::TenantInput;

use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::{Command, Idempotency, Outcome, Sealed, Slug, TenantEntry};
use tokio::sync::Semaphore;

use crate::cluster::{ControlPlane, Origin, ProposeError, Sealing, Written};
use crate::service::write_context::Precondition;
use crate::service::{Code, Error, Result, WriteContext};

/// What the use cases need of the configuration.
#[derive(Debug, Clone)]
pub struct Defaults {
    /// `KEY_ROTATION_GRACE_SECONDS`, unless the request says otherwise.
    pub grace_seconds: u32,
    /// How long to wait before a write is tried again elsewhere.
    pub retry_after: Duration,
    /// `ADMIN_TENANTS`: their people may administer, so they have no database of their own.
    pub admin_tenants: Arc<[Slug]>,
    /// How long security events are kept in the databases (`AUDIT_RETENTION`); `None`: for ever.
    pub keep_events: Option<Duration>,
}

/// The use cases of the control plane. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlService {
    plane: ControlPlane,
    sealing: Sealing,
    defaults: Defaults,
    /// Rotations wait for their new key to be seen everywhere; one at a time, so that two callers get two
    /// rotations instead of one refusal.
    rotations: Arc<Semaphore>,
    /// One key is made at a time: finding one takes a core.
    minting: Arc<Semaphore>,
    // Reads that wait for an index.
    waiting: Arc<Semaphore>,
    /// One archive is made or sent at a time.
    archives: Arc<Semaphore>,
}

/// Reads that may wait for an index at a time. Anybody can ask a public read to wait, so those who do may never
/// take the places of all the others (S115).
pub const MAX_WAITING_READS: usize = 128;

impl ControlService {
    /// The use cases on `plane`.
    pub fn new(plane: ControlPlane, sealing: Sealing, defaults: Defaults) -> Self {
        Self {
            plane,
            sealing,
            defaults,
            rotations: Arc::new(Semaphore::new(1)),
            minting: Arc::new(Semaphore::new(1)),
            waiting: Arc::new(Semaphore::new(MAX_WAITING_READS)),
            archives: Arc::new(Semaphore::new(1)),
        }
    }

    /// The control plane, for reads.
    pub fn plane(&self) -> &ControlPlane {
        &self.plane
    }

    /// The tenant of that slug in the newest view.
    ///
    /// # Errors
    /// `tenant_not_found`.
    pub fn tenant(&self, slug: &Slug) -> Result<Arc<TenantEntry>> {
        self.plane.view().tenant(slug).cloned().ok_or_else(|| Error::new(Code::TenantNotFound))
    }

    /// Waits until this node has applied `index`, at most `within`; whether it has. Where too many wait already,
    /// what is not there yet is answered at once.
    pub async fn wait_applied(&self, index: u64, within: Duration) -> bool {
        if self.plane.view().applied_index() >= index {
            return true;
        }
        let Ok(_place) = self.waiting.try_acquire() else { return false };
        self.plane.wait_applied(index, within).await
    }

    /// Waits until this node may answer a read that sees every acknowledged write, at most `within`.
    ///
    /// # Errors
    /// `no_leader`; `busy` where too many wait already.
    pub async fn linearize(&self, within: Duration) -> Result<()> {
        let Ok(_place) = self.waiting.try_acquire() else { return Err(Error::new(Code::Busy)) };
        self.plane.linearize(within).await.map_err(|error| self.refused(error))
    }

    /// Whether the request is a repetition of one that was done, so that what holds now is no reason to refuse it.
    fn was_done(&self, context: &WriteContext) -> bool {
        let actor = context.principal.actor();
        asked(context).is_some_and(|asked| self.plane.view().was_done(&actor, &asked, self.plane.now()))
    }

    /// Proposes what a request asks for, known by the key that it carries, if any.
    async fn write(
        &self,
        context: &WriteContext,
        command: Command,
    ) -> std::result::Result<Written, ProposeError> {
        self.write_with(context, None, command).await
    }

    /// As [`Self::write`], with the sealed secret that the answer will show.
    async fn write_with(
        &self,
        context: &WriteContext,
        secret: Option<Sealed>,
        command: Command,
    ) -> std::result::Result<Written, ProposeError> {
        let idempotency = asked(context).map(|asked| Idempotency { secret, ..asked });
        let written = self.propose(&Origin { idempotency, ..origin(context) }, command).await?;
        if let Some(asked) = context.idempotency.as_ref().filter(|_| written.replayed) {
            asked.note_replayed();
        }
        Ok(written)
    }

    async fn propose(&self, origin: &Origin, command: Command) -> std::result::Result<Written, ProposeError> {
        self.plane.propose(origin, command).await
    }

    fn refused(&self, error: ProposeError) -> Error {
        errors::refused(error, self.defaults.retry_after)
    }
}

/// The key of the request, in the terms of the control plane.
fn asked(context: &WriteContext) -> Option<Idempotency> {
    context.idempotency.as_ref().map(|asked| Idempotency {
        key: asked.key.clone(),
        method: asked.method.clone(),
        path: asked.path.clone(),
        body_hash: asked.body_hash.clone(),
        secret: None,
    })
}

/// Who asks, in the terms of the control plane.
fn origin(context: &WriteContext) -> Origin {
    Origin {
        actor: context.principal.actor(),
        request_id: context.request_id.clone(),
        ip: Some(context.client_ip),
        precondition: match context.precondition {
            Precondition::None | Precondition::Any => None,
            Precondition::Revision(revision) => {
                Some(hellojohn_control::Precondition::Revision(vec![revision]))
            }
            Precondition::Absent => Some(hellojohn_control::Precondition::Absent),
        },
        idempotency: None,
    }
}

/// The machine answered a command with the outcome of another one.
fn unexpected(outcome: &Outcome) -> Error {
    Error::internal(format!("unexpected outcome of a command: {outcome:?}"))
}
