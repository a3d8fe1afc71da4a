//! The handle onto the control plane that services and the edge hold.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hellojohn_control::audit::SYSTEM;
use hellojohn_control::{
    Command, Envelope, Idempotency, Outcome, Precondition, Sealed, Slug, Timestamp, View,
};
use hellojohn_raft::archive::ArchiveError;
use hellojohn_raft::{
    ForwardError, Forwarded, HandOver, HandOverError, MemberRefusal, MemberStatus, Node, PeerPem,
    ProposeError as ProposeFailure, Status,
};
use tokio::sync::watch;

use super::ProposeError;
use crate::domain::clock::Clock;

/// Who asks for a change, from where, and under which condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Subject of the token, or `system`.
    pub actor: String,
    /// Id of the request.
    pub request_id: String,
    /// Address of the caller.
    pub ip: Option<IpAddr>,
    /// Condition on the document.
    pub precondition: Option<Precondition>,
    /// What makes a repetition of the request known.
    pub idempotency: Option<Idempotency>,
}

impl Origin {
    /// A job of hellojohn's own.
    pub fn system(request_id: impl Into<String>) -> Self {
        Self {
            actor: SYSTEM.to_owned(),
            request_id: request_id.into(),
            ip: None,
            precondition: None,
            idempotency: None,
        }
    }
}

/// A change that was made.
#[derive(Debug, Clone)]
pub struct Written {
    /// Log index of the change (`X-Applied-Index`).
    pub index: u64,
    /// What it did.
    pub outcome: Outcome,
    /// Whether it was done before, under the same idempotency key, and nothing was done now.
    pub replayed: bool,
    /// The secret that its answer showed then, sealed.
    pub secret: Option<Sealed>,
}

impl Written {
    fn new(index: u64, outcome: Outcome) -> Self {
        match outcome {
            Outcome::Replayed { outcome, secret } => {
                Self { index, outcome: *outcome, replayed: true, secret }
            }
            outcome => Self { index, outcome, replayed: false, secret: None },
        }
    }
}

/// The replicated control plane as this node sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ControlPlane {
    node: Node,
    clock: Arc<dyn Clock>,
}

impl ControlPlane {
    /// The control plane behind `node`.
    pub fn new(node: Node, clock: Arc<dyn Clock>) -> Self {
        Self { node, clock }
    }

    /// The newest view. Lock-free.
    pub fn view(&self) -> Arc<View> {
        self.node.view()
    }

    /// `NODE_ID` of this node.
    pub fn node_id(&self) -> &str {
        self.node.name()
    }

    /// Sees the newest view each time it changes.
    pub fn views(&self) -> watch::Receiver<Arc<View>> {
        self.node.views()
    }

    /// The time that proposals are stamped with.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Resolves with the reason when the node has failed and the process must end.
    pub async fn failed(&self) -> String {
        self.node.failed().await
    }

    /// Proposes a command, stamped with this node's time, and waits for its outcome.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn propose(&self, origin: &Origin, command: Command) -> Result<Written, ProposeError> {
        let action = command.action();
        let (tenant, object) = (command.tenant().cloned(), command.object().map(str::to_owned));
        let envelope = Envelope {
            at: self.clock.now(),
            actor: origin.actor.clone(),
            request_id: origin.request_id.clone(),
            ip: origin.ip,
            precondition: origin.precondition.clone(),
            idempotency: origin.idempotency.clone(),
            command,
        };
        let result = self.node.propose(envelope).await;
        let outcome = match &result {
            Ok(written) if matches!(written.outcome, Outcome::Replayed { .. }) => "replayed",
            Ok(_) => "ok",
            // It may have been done all the same.
            Err(ProposeFailure::OutcomeUnknown) => "unknown",
            Err(_) => "refused",
        };
        tracing::info!(
            target: "audit",
            action,
            outcome,
            tenant = tenant.as_ref().map(Slug::as_str),
            object,
            actor = origin.actor,
            request_id = origin.request_id,
            ip = origin.ip.map(tracing::field::display),
            "control plane write"
        );
        let written = result?;
        Ok(Written::new(written.index, written.outcome))
    }

    /// Lets the records of writes up to number `through` go, which were copied. No write of anybody, so it has no line and no
    /// record.
    ///
    /// # Errors
    /// See [`ProposeError`].
    pub async fn trim_audit(&self, through: u64) -> Result<(), ProposeError> {
        let envelope = Envelope {
            at: self.clock.now(),
            actor: SYSTEM.to_owned(),
            request_id: format!("trim-audit-{through}"),
            ip: None,
            precondition: None,
            idempotency: None,
            command: Command::TrimAudit { through },
        };
        self.node.propose(envelope).await?;
        Ok(())
    }

    /// Whether this node knows at least what its disk knew to be committed when it started.
    pub fn caught_up(&self) -> bool {
        self.node.caught_up()
    }

    /// Whether this node takes writes now.
    ///
    /// # Errors
    /// [`ProposeError::NotLeader`] or [`ProposeError::Unavailable`].
    pub fn may_write(&self) -> Result<(), ProposeError> {
        Ok(self.node.may_lead()?)
    }

    /// Whether this node takes writes, now or as soon as its quorum, which is late, answers it again; bounded by the
    /// longest election timeout.
    ///
    /// # Errors
    /// [`ProposeError::NotLeader`] or [`ProposeError::Unavailable`].
    pub async fn let_write(&self) -> Result<(), ProposeError> {
        Ok(self.node.let_write().await?)
    }

    /// Waits until this node has applied `index`; `false` when it has not within the time.
    pub async fn wait_applied(&self, index: u64, within: Duration) -> bool {
        self.node.wait_applied(index, within).await
    }

    /// Waits until every voter that answers has applied `index`, at most `within` (spec §13.3).
    pub async fn wait_applied_everywhere(&self, index: u64, within: Duration) {
        self.node.wait_applied_everywhere(index, within).await;
    }

    /// Waits until this node may answer a read that sees every write which was acknowledged before, at most `within`.
    ///
    /// # Errors
    /// [`ProposeError::Unavailable`] when no leader with a quorum was found in time.
    pub async fn linearize(&self, within: Duration) -> Result<(), ProposeError> {
        Ok(self.node.linearize(within).await?)
    }

    /// Uses these certificates for the peer connections from now on; gives the end of the own one.
    ///
    /// # Errors
    /// Why they cannot be used; the old ones stay.
    pub fn renew_certificates(&self, pem: &PeerPem) -> Result<Timestamp, hellojohn_raft::network::TlsError> {
        self.node.renew_certificates(pem)
    }

    /// When the own certificate for the peer connections ends; none without TLS.
    pub fn certificate_ends(&self) -> Option<Timestamp> {
        self.node.certificate_ends()
    }

    /// Whether this node's disk says which master keys it is for.
    pub fn master_keys_kept(&self) -> bool {
        self.node.master_keys_kept()
    }

    /// Notes on this node's disk, once, that it is for the master keys that the node was started with.
    ///
    /// # Errors
    /// A text when it cannot be written.
    pub async fn keep_master_keys(&self) -> Result<(), String> {
        self.node.keep_master_keys().await
    }

    /// Says who answers what other nodes pass on.
    pub fn serve_forwarded(&self, handler: Arc<dyn Forwarded>) {
        self.node.serve_forwarded(handler);
    }

    /// Passes a request on to the node `leader`, and waits at most `within` for its answer.
    ///
    /// # Errors
    /// See [`ForwardError`].
    pub async fn forward(
        &self,
        leader: &str,
        request: Bytes,
        within: Duration,
    ) -> Result<Bytes, ForwardError> {
        self.node.forward(leader, request, within).await
    }

    /// The members, and those that are on their way out.
    pub fn members(&self) -> Vec<MemberStatus> {
        self.node.members()
    }

    /// Whether a node of this name could come.
    ///
    /// # Errors
    /// [`MemberRefusal`] says what is missing.
    pub async fn may_add(&self, name: &str) -> Result<(), MemberRefusal> {
        self.node.may_add(name).await
    }

    /// Whether this learner may become a voter now.
    ///
    /// # Errors
    /// [`MemberRefusal`] says what is missing.
    pub async fn may_promote(&self, name: &str) -> Result<(), MemberRefusal> {
        self.node.may_promote(name).await
    }

    /// Whether the cluster could do without this member now.
    ///
    /// # Errors
    /// [`MemberRefusal`] says what would be missing.
    pub async fn may_remove(&self, name: &str) -> Result<(), MemberRefusal> {
        self.node.may_remove(name).await
    }

    /// Waits until the Raft membership says of this name what the state says, at most `within`; whether it does.
    pub async fn member_settled(&self, name: &str, within: Duration) -> bool {
        self.node.member_settled(name, within).await
    }

    /// Hands the leadership over to `to`, or to the voter that has most of the log.
    ///
    /// # Errors
    /// See [`HandOverError`].
    pub async fn hand_over(&self, to: Option<&str>) -> Result<HandOver, HandOverError> {
        self.node.hand_over(to).await
    }

    /// What the node says about itself.
    pub async fn status(&self) -> Status {
        self.node.status().await
    }

    /// The state that this node has applied, as an archive, with the index it was taken at.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn archive(&self) -> Result<(u64, Vec<u8>), ArchiveError> {
        self.node.archive().await
    }

    /// SHA-256 of the state, with the index it was taken at.
    ///
    /// # Errors
    /// A text when the state cannot be encoded.
    pub fn state_hash(&self) -> Result<(u64, String), String> {
        self.node.state_hash()
    }
}
