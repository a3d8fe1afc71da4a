//! A Raft node that runs on this disk: log, machine, network and proposals put together.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hellojohn_control::View;
use openraft::storage::RaftLogStorage as _;
use openraft::{Config, SnapshotPolicy};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::alive::LastSign;
use crate::archive;
use crate::flush_watchdog::{FlushWatchdog, end_process};
use crate::log::{Durability, LogHandle, LogStore};
use crate::machine::{SnapshotWriter, StateMachine, Views};
use crate::network::raft_network::PeerNetwork;
use crate::propose::Proposals;
use crate::pulse::{self, Pulse};
use crate::read_index::Rounds;
use crate::settings::Settings;
use crate::snapshot::SnapshotStore;
use crate::types::{LogId, Metrics, Raft, TypeConfig};

/// Entries that a follower may lag before it gets a snapshot instead. More than are kept behind a snapshot
/// would make a lagging follower ask for entries that are gone.
const KEEP_BEHIND_SNAPSHOT: u64 = 1_000;

/// How long Raft's core may take to end.
const STOP: Duration = Duration::from_secs(5);

/// As whom a node takes part.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Its Raft id.
    pub(crate) raft_id: u64,
    /// Whether its log must know of a vote: it took part before, so that its log is lost if it does not.
    pub(crate) took_part: bool,
}

/// A running Raft node.
pub(crate) struct Running {
    pub(crate) raft: Raft,
    pub(crate) proposals: Proposals,
    pub(crate) views: Views,
    pub(crate) log: LogHandle,
    /// Commit index that this disk knew when the node started: a node is ready once it has applied it.
    pub(crate) committed_at_start: Option<LogId>,
    caught_up: AtomicBool,
    /// Whether the state is one to serve people from.
    settled: AtomicBool,
    /// Since when Raft's core shows no sign of life.
    pub(crate) pulse: Arc<Pulse>,
    /// When the leader last said that it lives.
    pub(crate) last_sign: Arc<LastSign>,
    /// Questions before reads: to the quorum, or to the leader.
    pub(crate) reads: Rounds,
    flushes: Mutex<Option<FlushWatchdog>>,
    snapshots: SnapshotWriter,
    /// Ends the task that writes proposals.
    gathering: CancellationToken,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("committed_at_start", &self.committed_at_start)
            .finish_non_exhaustive()
    }
}

/// The node could not start on this disk.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log cannot be used.
    #[error(transparent)]
    Log(#[from] crate::log::LogError),
    /// The snapshots cannot be used.
    #[error(transparent)]
    Snapshot(#[from] crate::snapshot::SnapshotError),
    /// The marker says that this disk is not this node's.
    #[error(transparent)]
    Identity(#[from] crate::identity::IdentityError),
    /// The peer listener cannot be opened.
    #[error(transparent)]
    Bind(#[from] crate::network::BindError),
    /// The peer certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] crate::network::TlsError),
    /// A state or vote on disk cannot be used.
    #[error("{0}")]
    Storage(String),
    /// A file or directory cannot be used.
    #[error("CONTROL_PLANE_FS_ROOT: {0}")]
    Io(#[from] std::io::Error),
    /// The timers or sizes do not fit together.
    #[error("{0}")]
    Settings(String),
    /// An operator must decide first.
    #[error("{0}")]
    NeedsOperator(String),
    /// The node took part in a cluster, and its log is gone.
    #[error(
        "{dir}/identity.json says that this node is a member of a cluster, but {dir}/log is empty: the log was lost. \
         Keep the node stopped and see docs/ha.md, \"A node comes back\"."
    )]
    LostLog {
        /// The Raft directory.
        dir: String,
    },
}

impl Running {
    /// Opens log and snapshots below `raft_dir` and starts Raft under `place`. Its tasks run on `tasks` until
    /// [`Self::stop`].
    pub(crate) async fn start(
        settings: &Settings,
        raft_dir: &Path,
        place: Place,
        tasks: &TaskTracker,
        network: PeerNetwork,
        views: Views,
    ) -> Result<Self, StartError> {
        let (mut store, snapshots) = open(raft_dir).await?;
        if place.took_part {
            refuse_amnesia(&mut store, raft_dir).await?;
        }
        store.belongs_to(place.raft_id);
        store.tell(network.ahead());
        let log = store.handle();
        let storage = |e: crate::types::StorageError| StartError::Storage(e.to_string());
        let committed_at_start = store.read_committed().await.map_err(storage)?;
        let writer = SnapshotWriter::new(Arc::new(snapshots), settings.now.clone());
        let machine =
            StateMachine::open(settings.issuer.clone(), writer.clone(), views.clone()).map_err(storage)?;
        check_continuity(&mut store, &machine).await?;
        give_way_to_snapshot(&mut store, &machine).await.map_err(storage)?;
        let config = Arc::new(config(settings)?);
        let raft = Raft::new(place.raft_id, config, network, store, machine)
            .await
            .map_err(|e| StartError::Storage(e.to_string()))?;
        let (pulse, gathering) = (Arc::new(Pulse::new()), CancellationToken::new());
        tasks.spawn(pulse::follow(raft.metrics(), Arc::clone(&pulse), gathering.clone()));
        let (proposals, gather) = Proposals::new(raft.clone(), views.clone(), settings.write_timeout);
        let end = gathering.clone();
        tasks.spawn(async move { end.run_until_cancelled(gather).await });
        let flushes = FlushWatchdog::start(log.clone(), settings.flush_patience, end_process)?;
        let flushes = Mutex::new(Some(flushes));
        let caught_up = AtomicBool::new(false);
        Ok(Self {
            raft,
            proposals,
            views,
            log,
            committed_at_start,
            caught_up,
            settled: AtomicBool::new(false),
            pulse,
            last_sign: Arc::default(),
            reads: Rounds::default(),
            flushes,
            snapshots: writer,
            gathering,
        })
    }

    /// What Raft says about itself now.
    pub(crate) fn metrics(&self) -> Metrics {
        self.raft.metrics().borrow().clone()
    }

    /// The newest view.
    pub(crate) fn view(&self) -> Arc<View> {
        self.views.load()
    }

    /// Whether the state contains everything that this disk knew to be committed when the node started.
    pub(crate) fn caught_up(&self) -> bool {
        // Asked by every request, and never untrue again once it is true.
        if self.caught_up.load(Ordering::Relaxed) {
            return true;
        }
        let applied = self.raft.metrics().borrow().last_applied;
        let caught_up = self
            .committed_at_start
            .is_none_or(|at_start| applied.is_some_and(|id| id.index >= at_start.index));
        self.caught_up.store(caught_up, Ordering::Relaxed);
        caught_up
    }

    /// Says that the state is one to serve people from: it is of the right cluster, and contains all that this disk knew
    /// to be committed and, on a node that was let in, all that the leader had.
    pub(crate) fn settle(&self) {
        self.settled.store(true, Ordering::Relaxed);
    }

    /// Whether [`Self::settle`] was called.
    pub(crate) fn settled(&self) -> bool {
        self.settled.load(Ordering::Relaxed)
    }

    /// Ends Raft and what belongs to it. Bounded: a disk that hangs holds up Raft's core for ever.
    pub(crate) async fn stop(&self) {
        match tokio::time::timeout(STOP, self.raft.shutdown()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "raft did not stop cleanly"),
            Err(_) => tracing::error!("raft did not stop in time; its disk may hang"),
        }
        if tokio::time::timeout(STOP, self.snapshots.close()).await.is_err() {
            tracing::warn!("a snapshot is still being written; the next start sweeps what is left of it");
        }
        self.gathering.cancel();
        // It joins its thread, which ends at once.
        drop(self.flushes.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}

async fn open(raft_dir: &Path) -> Result<(LogStore<TypeConfig>, SnapshotStore), StartError> {
    let dir = raft_dir.to_owned();
    tokio::task::spawn_blocking(move || {
        let snapshots = SnapshotStore::open(&dir.join("snapshots"), archive::MAX_BYTES)?;
        let log = LogStore::open_behind(&dir.join("log"), Durability::Synced, snapshots.covered())?;
        Ok((log, snapshots))
    })
    .await
    .map_err(|e| StartError::Storage(e.to_string()))?
}

/// Every member has voted or followed a vote, and that was on disk before it became one. One that does not
/// know of any has lost its log, and with it its word: it could elect a leader without the writes that it helped
/// to acknowledge.
async fn refuse_amnesia(store: &mut LogStore<TypeConfig>, raft_dir: &Path) -> Result<(), StartError> {
    let vote = store.read_vote().await.map_err(|e| StartError::Storage(e.to_string()))?;
    if vote.is_some() {
        return Ok(());
    }
    Err(StartError::LostLog { dir: raft_dir.display().to_string() })
}

/// A log that begins after the entry that the snapshot ends with has a hole, and nothing may be served.
async fn check_continuity(
    store: &mut LogStore<TypeConfig>,
    machine: &StateMachine,
) -> Result<(), StartError> {
    let state = store.get_log_state().await.map_err(|e| StartError::Storage(e.to_string()))?;
    let purged = state.last_purged_log_id.map(|id| id.index);
    let applied = machine.last_applied().map(|id| id.index);
    if purged > applied {
        return Err(StartError::Storage(format!(
            "raft/log was purged up to entry {} but the newest usable snapshot ends at {}; keep this node \
             stopped and see docs/ha.md, \"A node comes back\"",
            purged.unwrap_or(0),
            applied.map_or_else(|| "nothing".to_owned(), |index| format!("entry {index}")),
        )));
    }
    Ok(())
}

/// A log that ends before the snapshot does goes on behind it: a crash came between the two. Openraft does this by the
/// whole log id, and would take an entry of a later term with a smaller index for the newer one.
async fn give_way_to_snapshot(
    store: &mut LogStore<TypeConfig>,
    machine: &StateMachine,
) -> Result<(), crate::types::StorageError> {
    let last = store.get_log_state().await?.last_log_id;
    match machine.last_applied() {
        Some(applied) if last.is_none_or(|last| last.index < applied.index) => store.purge(applied).await,
        _ => Ok(()),
    }
}

fn config(settings: &Settings) -> Result<Config, StartError> {
    let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
    let lease = millis(settings.timers.lease());
    let config = Config {
        cluster_name: "hellojohn".to_owned(),
        // Heartbeats and elections are asked for by `election`; what is left of these three are the time limit
        // of an append, the time limit of a vote, and how long a voter that heard from a leader refuses to vote.
        heartbeat_interval: lease.saturating_sub(2).max(1),
        election_timeout_min: lease.saturating_sub(1),
        election_timeout_max: lease,
        enable_heartbeat: false,
        enable_elect: false,
        install_snapshot_timeout: 10_000,
        // See `compaction`.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: KEEP_BEHIND_SNAPSHOT,
        replication_lag_threshold: settings.snapshot_every.max(KEEP_BEHIND_SNAPSHOT) * 2,
        max_payload_entries: 64,
        ..Config::default()
    };
    config.validate().map_err(|e| StartError::Settings(format!("RAFT_* timers: {e}")))
}
