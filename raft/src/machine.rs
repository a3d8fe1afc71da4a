//! The shell that openraft drives around the pure machine: applies entries, builds and installs snapshots,
//! publishes views. Applying changes memory only; the log and the snapshots are what is durable.

use std::io::Cursor;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hellojohn_control::{Image, Issuer, View};
use openraft::RaftSnapshotBuilder;
use openraft::storage::RaftStateMachine;
use tokio::sync::watch;

use crate::archive::{self, from_fields, to_fields};
use crate::replica::Replica;
use crate::settings::NowFn;
use crate::snapshot::SnapshotStore;
use crate::types::{
    Applied, Entry, LogId, Snapshot, SnapshotMeta, StorageError, StorageIOError, StoredMembership, TypeConfig,
};

/// A view, and what a snapshot of it must say besides.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) view: Arc<View>,
    /// The last entry that the view contains.
    pub(crate) last_applied: Option<LogId>,
    /// The membership as of that entry.
    pub(crate) membership: StoredMembership,
}

/// The newest view, for readers without a lock and for those who wait.
#[derive(Debug, Clone)]
pub struct Views {
    current: Arc<ArcSwap<Standing>>,
    changes: Arc<watch::Sender<Arc<View>>>,
}

impl Views {
    /// Starts with the view of an empty machine.
    pub fn empty(issuer: Issuer) -> Self {
        let first = standing(&Replica::new(issuer));
        let (changes, _) = watch::channel(Arc::clone(&first.view));
        Self { current: Arc::new(ArcSwap::from_pointee(first)), changes: Arc::new(changes) }
    }

    /// The newest view.
    pub fn load(&self) -> Arc<View> {
        Arc::clone(&self.current.load().view)
    }

    /// The newest view with its place in the log.
    pub(crate) fn standing(&self) -> Arc<Standing> {
        self.current.load_full()
    }

    /// A receiver that sees the newest view each time it changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<View>> {
        self.changes.subscribe()
    }

    fn publish(&self, standing: Standing) {
        let view = Arc::clone(&standing.view);
        self.current.store(Arc::new(standing));
        self.changes.send_replace(view);
    }
}

fn standing(replica: &Replica) -> Standing {
    Standing {
        view: Arc::new(replica.view()),
        last_applied: replica.last_applied(),
        membership: replica.membership().clone(),
    }
}

/// The state machine of one node.
#[derive(Debug)]
pub struct StateMachine {
    replica: Replica,
    views: Views,
    writer: SnapshotWriter,
}

impl StateMachine {
    /// Starts from the newest valid snapshot, or empty; publishes to `views` from then on.
    ///
    /// # Errors
    /// A snapshot that is there but cannot be used is an error, never an empty state.
    pub fn open(issuer: Issuer, writer: SnapshotWriter, views: Views) -> Result<Self, StorageError> {
        let mut shell = Self { replica: Replica::new(issuer), views, writer };
        if let Some((meta, payload)) = newest(&shell.writer.store)? {
            shell.install(&meta, decode(&meta, &payload)?)?;
        }
        Ok(shell)
    }

    /// The last entry that the state contains.
    pub fn last_applied(&self) -> Option<LogId> {
        self.replica.last_applied()
    }

    fn install(&mut self, meta: &SnapshotMeta, image: Image) -> Result<(), StorageError> {
        let installed = self.replica.install(meta, image);
        installed.map_err(|e| StorageIOError::read_snapshot(Some(meta.signature()), &e))?;
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        self.views.publish(standing(&self.replica));
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.replica.last_applied(), self.replica.membership().clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError>
    where
        I: IntoIterator<Item = Entry> + openraft::OptionalSend,
        I::IntoIter: openraft::OptionalSend,
    {
        let mut results = Vec::new();
        for entry in entries {
            let applied = self.replica.apply(&entry);
            results.push(applied.map_err(|e| StorageIOError::apply(entry.log_id, &e))?);
        }
        // Before the results go back: whoever hears of a write can read it here.
        self.publish();
        Ok(results)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            image: self.replica.image(),
            last_applied: self.replica.last_applied(),
            membership: self.replica.membership().clone(),
            writer: self.writer.clone(),
        }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<Cursor<Vec<u8>>>, StorageError> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: Box<Cursor<Vec<u8>>>,
    ) -> Result<(), StorageError> {
        let payload = snapshot.into_inner();
        let described = meta.clone();
        // Decoded before it is kept: a snapshot that this node cannot read must not replace one it can.
        let (image, payload) =
            off_thread(move || decode(&described, &payload).map(|image| (image, payload))).await?;
        self.writer.save(meta, &image, payload).await?;
        self.install(meta, image)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let store = Arc::clone(&self.writer.store);
        let newest = off_thread(move || newest(&store)).await?;
        Ok(newest.map(|(meta, payload)| Snapshot { meta, snapshot: Box::new(Cursor::new(payload)) }))
    }
}

/// Runs what takes long on a thread that no heartbeat waits for.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|e| Err(StorageIOError::read_snapshot(None, &e).into()))
}

fn newest(store: &SnapshotStore) -> Result<Option<(SnapshotMeta, Vec<u8>)>, StorageError> {
    let loaded = store.load_newest_valid().map_err(|e| StorageIOError::read_snapshot(None, &e))?;
    for damaged in &loaded.damaged {
        tracing::error!(error = %damaged, "a snapshot cannot be used; an older one is tried");
    }
    let Some(found) = loaded.snapshot else { return Ok(None) };
    let meta = from_fields(&found.header.meta).map_err(|e| StorageIOError::read_snapshot(None, &e))?;
    Ok(Some((meta, found.payload)))
}

fn decode(meta: &SnapshotMeta, payload: &[u8]) -> Result<Image, StorageError> {
    Image::decode(payload).map_err(|e| StorageIOError::read_snapshot(Some(meta.signature()), &e).into())
}

/// Builds a snapshot beside the running machine: it holds a cheap copy of the state.
#[derive(Debug)]
pub struct Builder {
    image: Image,
    last_applied: Option<LogId>,
    membership: StoredMembership,
    writer: SnapshotWriter,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let meta = archive::meta(self.last_applied, self.membership.clone());
        let image = self.image.clone();
        let payload = tokio::task::spawn_blocking(move || image.encode())
            .await
            .map_err(|e| StorageIOError::write_snapshot(None, &e))?
            .map_err(|e| StorageIOError::write_snapshot(None, &e))?;
        self.writer.save(&meta, &self.image, payload.clone()).await?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(payload)) })
    }
}

/// Writes snapshots, one at a time: one that is being built and one that is being received may meet.
#[derive(Debug, Clone)]
pub struct SnapshotWriter {
    store: Arc<SnapshotStore>,
    turn: Arc<std::sync::Mutex<()>>,
    now: NowFn,
}

impl SnapshotWriter {
    /// Writes to `store`.
    pub fn new(store: Arc<SnapshotStore>, now: NowFn) -> Self {
        Self { store, turn: Arc::new(std::sync::Mutex::new(())), now }
    }

    async fn save(&self, meta: &SnapshotMeta, image: &Image, payload: Vec<u8>) -> Result<(), StorageError> {
        let failed = |e: &(dyn std::error::Error + 'static)| {
            StorageError::from(StorageIOError::write_snapshot(
                Some(meta.signature()),
                openraft::AnyError::from_dyn(e, None),
            ))
        };
        let cluster_id = image.formation.as_ref().map(|formation| formation.cluster_id.to_string());
        let fields = to_fields(meta, cluster_id, self.now.now()).map_err(|e| failed(&e))?;
        let writer = self.clone();
        tokio::task::spawn_blocking(move || {
            let _turn = writer.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            writer.store.save(fields, &payload).map(drop)
        })
        .await
        .map_err(|e| failed(&e))?
        .map_err(|e| failed(&e))
    }
}
