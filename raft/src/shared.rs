//! What the tasks of a node share: its settings, its marker, its parts that run, and its end.

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::bootstrap::messages::{Probe, PromiseRequest, Standing};
use crate::clocks::Clocks;
use crate::forward::{Forwarded, Lanes};
use crate::identity::{IdentityStore, Promise, master_keys};
use crate::machine::Views;
use crate::network::{Contacts, Dialer, LocalNode, PeerTls, Reverted};
use crate::running::Running;
use crate::settings::{Mode, Settings};
use crate::stage::Stage;

/// What the tasks of a node share.
pub(crate) struct Shared {
    pub(crate) settings: Settings,
    pub(crate) raft_dir: PathBuf,
    pub(crate) local: Arc<LocalNode>,
    pub(crate) dialer: Arc<Dialer>,
    /// Certificates of the peer connections; none without TLS.
    pub(crate) tls: Option<Arc<PeerTls>>,
    pub(crate) contacts: Arc<Contacts>,
    /// Members whose log lacks what they acknowledged.
    pub(crate) reverted: Arc<Reverted>,
    pub(crate) running: ArcSwapOption<Running>,
    pub(crate) stop: CancellationToken,
    /// Wakes the forming task when a promise was made.
    pub(crate) promised: Notify,
    /// Wakes the leader's look at the members.
    pub(crate) members_asked: Notify,
    /// Why the node is not in a cluster yet.
    pub(crate) waiting: ArcSwapOption<String>,
    /// Who answers what other nodes pass on.
    pub(crate) forwarded: OnceLock<Arc<dyn Forwarded>>,
    /// Connections for what this node passes on.
    pub(crate) lanes: Lanes,
    /// What the peers' clocks show, while this node leads.
    pub(crate) clocks: Clocks,
    identity: std::sync::Mutex<IdentityStore>,
    orphaned: bool,
    /// Whether the disk says which master keys it is for.
    keys_kept: AtomicBool,
    pub(crate) views: Views,
    pub(crate) fatal: watch::Sender<Option<String>>,
}

/// What a node is made of before it runs.
pub(crate) struct SharedParts {
    pub(crate) settings: Settings,
    pub(crate) raft_dir: PathBuf,
    pub(crate) local: Arc<LocalNode>,
    pub(crate) dialer: Arc<Dialer>,
    /// Certificates of the peer connections; none without TLS.
    pub(crate) tls: Option<Arc<PeerTls>>,
    pub(crate) contacts: Arc<Contacts>,
    pub(crate) identity: IdentityStore,
    pub(crate) orphaned: bool,
    pub(crate) keys_kept: bool,
    pub(crate) views: Views,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(parts: SharedParts) -> Self {
        let SharedParts {
            settings,
            raft_dir,
            local,
            dialer,
            tls,
            contacts,
            identity,
            orphaned,
            keys_kept,
            views,
        } = parts;
        let (fatal, _) = watch::channel(None);
        Self {
            settings,
            raft_dir,
            local,
            dialer,
            tls,
            contacts,
            reverted: Arc::default(),
            running: ArcSwapOption::empty(),
            stop: CancellationToken::new(),
            promised: Notify::new(),
            members_asked: Notify::new(),
            forwarded: OnceLock::new(),
            lanes: Lanes::default(),
            clocks: Clocks::default(),
            waiting: ArcSwapOption::empty(),
            identity: std::sync::Mutex::new(identity),
            orphaned,
            keys_kept: AtomicBool::new(keys_kept),
            views,
            fatal,
        }
    }

    fn identity(&self) -> std::sync::MutexGuard<'_, IdentityStore> {
        self.identity.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What this disk says that this node is.
    ///
    /// # Errors
    /// A text when the marker does not make sense.
    pub(crate) fn stage(&self) -> Result<Stage, String> {
        Stage::of(self.identity().identity())
    }

    /// What this node says about itself while a cluster forms.
    pub(crate) fn probe(&self) -> Probe {
        let standing = match self.stage() {
            Ok(Stage::Pristine) if !self.orphaned => Standing::Pristine,
            // A marker that makes no sense founds nothing either.
            Ok(Stage::Pristine) | Err(_) => Standing::Orphaned,
            Ok(Stage::Promised(founding)) => Standing::Promised { cluster_id: founding.cluster_id },
            Ok(Stage::Joining { cluster_id, .. }) => Standing::Joining { cluster_id },
            Ok(Stage::Member { cluster_id, .. }) => Standing::Member { cluster_id },
        };
        let bootstrap = match &self.settings.mode {
            Mode::Single => false,
            Mode::Embedded(embedded) => embedded.bootstrap,
        };
        Probe {
            name: self.settings.name.clone(),
            standing,
            bootstrap,
            nodes_hash: self.settings.nodes_hash(),
            fingerprints: self.settings.fingerprints.clone(),
        }
    }

    /// Promises to join exactly this cluster. On disk when this returns `Ok`; doing it twice is doing it once.
    pub(crate) async fn promise(self: &Arc<Self>, request: PromiseRequest) -> Result<(), String> {
        let promise = Promise {
            cluster_id: request.cluster_id.to_string(),
            formed_by: request.former,
            raft_ids: request.members,
        };
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            if shared.orphaned {
                return Err("raft/ is empty but tenants/ or keys/ are not".to_owned());
            }
            shared.identity().promise(promise).map_err(|e| e.to_string())
        })
        .await
        .map_err(|e| e.to_string())??;
        self.local.take_seat(self.stage()?.seat(&self.settings.name));
        self.promised.notify_one();
        Ok(())
    }

    /// Writes down the Raft id that the leader gave this node. On disk when this returns `Ok`.
    pub(crate) async fn join(
        self: &Arc<Self>,
        cluster_id: Uuid,
        raft_id: u64,
        incarnation: u64,
    ) -> Result<(), String> {
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            shared.identity().join(&cluster_id.to_string(), raft_id, incarnation).map_err(|e| e.to_string())
        })
        .await
        .map_err(|e| e.to_string())??;
        self.local.take_seat(self.stage()?.seat(&self.settings.name));
        Ok(())
    }

    /// Gives the Raft id back that the leader gave this node, which has lost what came with it. On disk when this returns
    /// `Ok`.
    pub(crate) async fn give_up_joining(self: &Arc<Self>) -> Result<(), String> {
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || shared.identity().give_up_joining().map_err(|e| e.to_string()))
            .await
            .map_err(|e| e.to_string())??;
        self.local.take_seat(None);
        Ok(())
    }

    /// Writes down that the node is a member of this cluster now. Doing it twice is doing it once.
    pub(crate) async fn become_member(
        self: &Arc<Self>,
        cluster_id: Uuid,
        raft_id: u64,
    ) -> Result<(), String> {
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let mut identity = shared.identity();
            let incarnation = identity.identity().incarnation.max(1);
            identity.become_member(&cluster_id.to_string(), raft_id, incarnation).map_err(|e| e.to_string())
        })
        .await
        .map_err(|e| e.to_string())?
    }

    /// Whether the disk says which master keys it is for.
    pub(crate) fn keys_kept(&self) -> bool {
        self.keys_kept.load(Ordering::Relaxed)
    }

    /// Writes down, once, that the disk is for this node's master keys. On disk when this returns `Ok`.
    pub(crate) async fn keep_master_keys(self: &Arc<Self>) -> Result<(), String> {
        if self.keys_kept() {
            return Ok(());
        }
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            master_keys::keep(&shared.raft_dir, &shared.settings.fingerprints).map_err(|e| e.to_string())
        })
        .await
        .map_err(|e| e.to_string())??;
        self.keys_kept.store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Says that the node must end; the first reason wins.
    pub(crate) fn fail(&self, why: String) {
        self.fatal.send_if_modified(|fatal| {
            let first = fatal.is_none();
            if first {
                tracing::error!(reason = why, "this node cannot go on");
                *fatal = Some(why);
            }
            first
        });
    }

    /// Says why the node waits; logged when it changes.
    pub(crate) fn wait_for(&self, why: Option<String>) {
        let before = self.waiting.swap(why.clone().map(Arc::new));
        match why {
            Some(why) if before.as_deref() != Some(&why) => tracing::warn!(why, "not in a cluster yet"),
            Some(_) | None => {}
        }
    }
}
