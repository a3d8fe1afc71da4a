//! The node: one handle for everything that the product asks of the replicated control plane.
//!
//! Owns the life of the listener, of Raft, of the projector and of the tasks around them. Everything runs on
//! a runtime of its own, so that a busy product never delays a heartbeat.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hellojohn_control::{Envelope, Image, Timestamp, View};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::archive::{self, Archive, ArchiveError};
use crate::bootstrap::messages::AppliedIndex;
use crate::network::{PeerServer, RpcKind, TlsError};
use crate::project::{Projector, ProjectorHandle};
use crate::propose::{ProposeError, Proposed};
use crate::running::{Running, StartError};
use crate::settings::{Mode, PeerPem, Settings};
use crate::shared::Shared;
use crate::stage::Stage;
use crate::status::{self, FsStatus, PeerStatus, RaftStatus, Role, Status};

/// How long peers get to finish what they asked for when this node stops.
const DRAIN: Duration = Duration::from_secs(2);
/// How long a question to Raft's core may take before the answer is given without it.
const CORE_ANSWER: Duration = Duration::from_millis(200);

/// A node of the control plane. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Node {
    pub(crate) shared: Arc<Shared>,
    pub(crate) projector: ProjectorHandle,
    projection: Arc<std::sync::Mutex<Option<Projector>>>,
    server: Arc<std::sync::Mutex<Option<PeerServer>>>,
    pub(crate) tasks: TaskTracker,
}

impl Node {
    /// Starts a node: checks whose disk this is, opens the listener, and begins to form, join or go on.
    /// Must be called inside the runtime that the node is to live on.
    ///
    /// # Errors
    /// [`StartError`] names the setting or file and what to do.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        crate::start::start(settings).await
    }

    pub(crate) fn new(
        shared: Arc<Shared>,
        projector: Projector,
        server: Option<PeerServer>,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            shared,
            projector: projector.handle(),
            projection: Arc::new(std::sync::Mutex::new(Some(projector))),
            server: Arc::new(std::sync::Mutex::new(server)),
            tasks,
        }
    }

    /// `NODE_ID`.
    pub fn name(&self) -> &str {
        &self.shared.settings.name
    }

    /// The newest view. Lock-free.
    pub fn view(&self) -> Arc<View> {
        self.shared.views.load()
    }

    /// A receiver that sees the newest view each time it changes.
    pub fn views(&self) -> watch::Receiver<Arc<View>> {
        self.shared.views.subscribe()
    }

    /// Whether the disk says which master keys it is for.
    pub fn master_keys_kept(&self) -> bool {
        self.shared.keys_kept()
    }

    /// Notes on the disk, once, that it is for the master keys that the node was started with: it refuses to start with others
    /// from then on. To be called when one of them is known to be the cluster's.
    ///
    /// # Errors
    /// A text when it cannot be written.
    pub async fn keep_master_keys(&self) -> Result<(), String> {
        self.shared.keep_master_keys().await
    }

    /// Proposes a command and waits for its outcome.
    ///
    /// # Errors
    /// See [`ProposeError`]. A leader that no quorum has answered recently waits for it a moment, see
    /// [`Self::let_write`], and refuses before it proposes.
    pub async fn propose(&self, envelope: Envelope) -> Result<Proposed, ProposeError> {
        let running = self.shared.running.load_full().ok_or(ProposeError::Unavailable)?;
        self.shared.let_write(&running).await?;
        running.proposals.propose(envelope).await
    }

    /// Whether this node's state is one to serve people from: it has applied at least what its disk knew to be
    /// committed when it started, and after a lost disk what the leader had when it was let back in.
    pub fn caught_up(&self) -> bool {
        self.shared.running.load().as_ref().is_some_and(|running| running.settled())
    }

    /// Whether this node takes writes now.
    ///
    /// # Errors
    /// [`ProposeError::NotLeader`] names the leader if one is known, [`ProposeError::Unavailable`] says that
    /// none is.
    pub fn may_lead(&self) -> Result<(), ProposeError> {
        let running = self.shared.running.load_full().ok_or(ProposeError::Unavailable)?;
        self.shared.check_leader(&running)
    }

    /// Waits until this node takes writes, where that is a matter of moments: it leads, and its quorum is late. At most
    /// until the longest election timeout after the quorum's last answer.
    ///
    /// # Errors
    /// See [`Self::may_lead`].
    pub async fn let_write(&self) -> Result<(), ProposeError> {
        let running = self.shared.running.load_full().ok_or(ProposeError::Unavailable)?;
        self.shared.let_write(&running).await
    }

    /// Waits until this node has applied `index`, at most `within`. `false` when it has not by then.
    pub async fn wait_applied(&self, index: u64, within: Duration) -> bool {
        let mut views = self.views();
        tokio::time::timeout(within, views.wait_for(|view| view.applied_index() >= index))
            .await
            .is_ok_and(|changed| changed.is_ok())
    }

    /// Waits until every voter that answers within a second has applied `index`, at most `within`. A dead
    /// voter does not hold it up (spec §13.3).
    pub async fn wait_applied_everywhere(&self, index: u64, within: Duration) {
        let peers = self.shared.settings.peers();
        let asked = peers.iter().map(|name| self.wait_peer_applied(name, index));
        // Past the limit the slow ones are left behind on purpose: the caller goes on.
        drop(tokio::time::timeout(within, futures::future::join_all(asked)).await);
    }

    async fn wait_peer_applied(&self, name: &str, index: u64) {
        let client = self.shared.dialer.client(name);
        loop {
            let answer =
                client.call_json::<_, AppliedIndex>(RpcKind::AppliedIndex, &(), Duration::from_secs(1)).await;
            match answer {
                Ok(applied) if applied.index >= index => return,
                Ok(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                Err(error) => {
                    tracing::info!(peer = name, %error, "not waiting for this peer");
                    return;
                }
            }
        }
    }

    /// SHA-256 of the state at the applied index (ha.md I4), with that index.
    ///
    /// # Errors
    /// A text when the state cannot be encoded.
    pub fn state_hash(&self) -> Result<(u64, String), String> {
        let view = self.view();
        let hash = Image::of_view(&view).hash().map_err(|e| e.to_string())?;
        Ok((view.applied_index(), hash))
    }

    /// The state that this node has applied, as an archive, with its index. The state is a cheap copy and the rest is
    /// done on a thread that neither writes nor heartbeats wait for; nothing on disk is touched.
    ///
    /// # Errors
    /// When the archive would be larger than one may be.
    pub async fn archive(&self) -> Result<(u64, Vec<u8>), ArchiveError> {
        let (standing, now) = (self.shared.views.standing(), self.shared.settings.now.now());
        let built = tokio::task::spawn_blocking(move || {
            let meta = archive::meta(standing.last_applied, standing.membership.clone());
            let archive = Archive::new(meta, Image::of_view(&standing.view), now);
            let name = format!("{}.snap", archive.index());
            archive.encode(Path::new(&name)).map(|bytes| (archive.index(), bytes))
        });
        built.await.map_err(|error| ArchiveError::Write(std::io::Error::other(error)))?
    }

    /// Resolves with the reason when the node has failed and the process must end.
    pub async fn failed(&self) -> String {
        let mut fatal = self.shared.fatal.subscribe();
        let reason = match fatal.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone(),
            Err(_) => None,
        };
        reason.unwrap_or_else(|| "the node has gone".to_owned())
    }

    /// Compares the files with the state now instead of at the next scan.
    pub fn rescan_files(&self) {
        self.projector.rescan();
    }

    /// Address of the peer listener, if there is one.
    pub fn peer_addr(&self) -> Option<std::net::SocketAddr> {
        let server = self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        server.as_ref().map(PeerServer::local_addr)
    }

    /// Uses these certificates from now on. Connections made with older ones are replaced before their next request. Gives
    /// the end of the own certificate.
    ///
    /// # Errors
    /// [`TlsError`] names the setting; the old ones stay.
    pub fn renew_certificates(&self, pem: &PeerPem) -> Result<Timestamp, TlsError> {
        let Some(tls) = &self.shared.tls else {
            return Err(TlsError::Certificate("the peers of this node speak plain TCP".to_owned()));
        };
        tls.swap(pem.parse(self.shared.settings.now.now())?)?;
        Ok(tls.not_after())
    }

    /// When the own certificate ends; none without TLS.
    pub fn certificate_ends(&self) -> Option<Timestamp> {
        self.shared.tls.as_ref().map(|tls| tls.not_after())
    }

    /// Everything that the node says about itself.
    pub async fn status(&self) -> Status {
        let running = self.shared.running.load_full();
        let settings = &self.shared.settings;
        let projection = self.projector.status();
        let stage = self.shared.stage().unwrap_or(Stage::Pristine);
        let cluster_id = stage.cluster_id();
        let member = matches!(stage, Stage::Member { .. });
        let waiting = self.shared.waiting.load_full().map(|why| why.as_ref().clone());
        let mut status = Status {
            mode: match settings.mode {
                Mode::Single => "off",
                Mode::Embedded(_) => "embedded",
            },
            role: Role::Follower,
            voter: false,
            node_id: settings.name.clone(),
            leader_id: None,
            term: 0,
            peers_configured: settings.names().len(),
            cluster_id: cluster_id.as_ref().map(Uuid::to_string),
            waiting: if member { None } else { waiting.or_else(|| Some("starting".to_owned())) },
            other_cluster: None,
            fs: FsStatus {
                projected_index: projection.projected_index.unwrap_or(0),
                repairs: projection.repairs,
                quarantined: projection.quarantined,
            },
            raft: RaftStatus {
                num_peers: settings.peers().len(),
                state: "Forming",
                applied_index: 0,
                commit_index: 0,
                last_log_index: 0,
                snapshot_index: 0,
                purged_index: 0,
                quorum_ok: false,
                peers: self.peer_statuses(&BTreeMap::new()),
            },
            certificate_ends: self.certificate_ends(),
            caught_up: false,
            fs_degraded: projection.fs_degraded.clone(),
        };
        if let Some(running) = running {
            self.fill(&mut status, &running, member).await;
        }
        // With a quorum of its own it is whole, and the others are the ones that nobody wants to know.
        if !status.raft.quorum_ok {
            status.other_cluster = self.shared.local.outvoted(settings.names().len());
        }
        status
    }

    async fn fill(&self, status: &mut Status, running: &Running, member: bool) {
        let metrics = running.metrics();
        let age = running.pulse.age();
        let leads = status::leads(&metrics, age, self.shared.silence());
        let membership = metrics.membership_config.membership();
        let configs = membership.get_joint_config();
        let votes = !configs.is_empty() && configs.iter().all(|voters| voters.contains(&metrics.id));
        let learner = membership.get_node(&metrics.id).is_some() && !votes;
        let agreed = metrics.membership_config.log_id().is_some_and(|id| Some(id) <= metrics.last_applied);
        status.voter = votes && configs.len() == 1 && agreed;
        status.role = match (&self.shared.settings.mode, leads, learner) {
            (Mode::Single, _, _) => Role::Single,
            (Mode::Embedded(_), true, _) => Role::Leader,
            (Mode::Embedded(_), false, true) => Role::Learner,
            (Mode::Embedded(_), false, false) => Role::Follower,
        };
        status.leader_id = self.shared.current_leader(&metrics, age);
        status.term = metrics.current_term;
        let applied = metrics.last_applied.map_or(0, |id| id.index);
        let asked = running.raft.with_raft_state(|state| state.committed.map_or(0, |id| id.index));
        let committed = match tokio::time::timeout(CORE_ANSWER, asked).await {
            Ok(Ok(index)) => index,
            Ok(Err(_)) | Err(_) => applied,
        };
        let matched = metrics.replication.iter().flatten().filter_map(|(id, matched)| {
            let name = membership.get_node(id)?.name.clone();
            Some((name, matched.map_or(0, |id| id.index)))
        });
        let last_log_index = metrics.last_log_index.unwrap_or(0);
        let mut peers = self.peer_statuses(&matched.collect());
        for peer in &mut peers {
            peer.lag = peer.matched_index.map(|index| last_log_index.saturating_sub(index));
        }
        status.raft = RaftStatus {
            num_peers: membership.nodes().count().saturating_sub(1),
            state: if member { status::state_name(metrics.state) } else { "Forming" },
            applied_index: applied,
            commit_index: committed.max(applied),
            last_log_index,
            snapshot_index: metrics.snapshot.map_or(0, |id| id.index),
            purged_index: metrics.purged.map_or(0, |id| id.index),
            quorum_ok: status.leader_id.is_some(),
            peers,
        };
        status.caught_up = running.settled();
    }

    fn peer_statuses(&self, matched: &BTreeMap<String, u64>) -> Vec<PeerStatus> {
        let Mode::Embedded(embedded) = &self.shared.settings.mode else { return Vec::new() };
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        self.shared
            .settings
            .peers()
            .into_iter()
            .map(|id| PeerStatus {
                addr: embedded.nodes.get(&id).cloned().unwrap_or_default(),
                matched_index: matched.get(&id).copied(),
                lag: None,
                last_contact_ms: self.shared.contacts.age(&id).map(millis),
                clock_ahead_ms: self.shared.clocks.ahead_ms(&id),
                id,
            })
            .collect()
    }

    /// Stops everything in order: no new requests, Raft, files, connections.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        let server = {
            let mut server = self.server.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            server.take()
        };
        if let Some(server) = server {
            server.shutdown(DRAIN).await;
        }
        if let Some(running) = self.shared.running.load_full() {
            running.stop().await;
        }
        let projection = {
            let mut projection = self.projection.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            projection.take()
        };
        if let Some(projection) = projection {
            projection.shutdown().await;
        }
        if !self.shared.dialer.shutdown(DRAIN).await {
            tracing::warn!("peer connections were cut before they ended");
        }
        self.tasks.close();
        if tokio::time::timeout(DRAIN, self.tasks.wait()).await.is_err() {
            tracing::warn!("tasks of the control plane did not end in time");
        }
    }
}
