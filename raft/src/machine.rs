//! The shell that openraft drives around the pure machine: applies entries, builds and installs snapshots,
//! publishes views. Applying changes memory only; the log and the snapshots are what is durable.

use std::io::Cursor;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hellojohn_control::{Image, Issuer, Machine, Timestamp, View};
use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, RaftSnapshotBuilder};
use tokio::sync::watch;

use crate::settings::NowFn;
use crate::snapshot::{SnapshotLogId, SnapshotMetaFields, SnapshotStore};
use crate::types::{
    Applied, Entry, LogId, Snapshot, SnapshotMeta, StorageError, StorageIOError, StoredMembership, TypeConfig,
};

/// The newest view, for readers without a lock and for those who wait.
#[derive(Debug, Clone)]
pub struct Views {
    current: Arc<ArcSwap<View>>,
    changes: Arc<watch::Sender<Arc<View>>>,
    members: Arc<ArcSwap<StoredMembership>>,
}

impl Views {
    /// Starts with the view of an empty machine.
    pub fn empty(issuer: Issuer) -> Self {
        let first = Arc::new(Machine::new(issuer).view(0));
        let (changes, _) = watch::channel(Arc::clone(&first));
        let members = Arc::new(ArcSwap::from_pointee(StoredMembership::default()));
        Self { current: Arc::new(ArcSwap::new(first)), changes: Arc::new(changes), members }
    }

    /// The membership that was agreed last, as far as this node has applied the log.
    pub fn members(&self) -> Arc<StoredMembership> {
        self.members.load_full()
    }

    /// The newest view.
    pub fn load(&self) -> Arc<View> {
        self.current.load_full()
    }

    /// A receiver that sees the newest view each time it changes.
    pub fn subscribe(&self) -> watch::Receiver<Arc<View>> {
        self.changes.subscribe()
    }

    fn publish(&self, view: View) {
        let view = Arc::new(view);
        self.current.store(Arc::clone(&view));
        self.changes.send_replace(view);
    }
}

/// The state machine of one node.
#[derive(Debug)]
pub struct StateMachine {
    machine: Machine,
    views: Views,
    writer: SnapshotWriter,
    last_applied: Option<LogId>,
    membership: StoredMembership,
}

impl StateMachine {
    /// Starts from the newest valid snapshot, or empty; publishes to `views` from then on.
    ///
    /// # Errors
    /// A snapshot that is there but cannot be used is an error, never an empty state.
    pub fn open(issuer: Issuer, writer: SnapshotWriter, views: Views) -> Result<Self, StorageError> {
        let machine = Machine::new(issuer);
        let mut shell =
            Self { machine, views, writer, last_applied: None, membership: StoredMembership::default() };
        if let Some((meta, payload)) = newest(&shell.writer.store)? {
            shell.install(&meta, decode(&meta, &payload)?)?;
        }
        Ok(shell)
    }

    /// The last entry that the state contains.
    pub fn last_applied(&self) -> Option<LogId> {
        self.last_applied
    }

    fn install(&mut self, meta: &SnapshotMeta, image: Image) -> Result<(), StorageError> {
        self.machine.install(image).map_err(|e| StorageIOError::read_snapshot(Some(meta.signature()), &e))?;
        self.last_applied = meta.last_log_id;
        self.settle_members(meta.last_membership.clone());
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        self.views.publish(self.machine.view(self.last_applied.map_or(0, |id| id.index)));
    }

    fn settle_members(&mut self, membership: StoredMembership) {
        self.views.members.store(Arc::new(membership.clone()));
        self.membership = membership;
    }

    fn apply_entry(&mut self, entry: &Entry) -> Result<Applied, StorageError> {
        let applied = match &entry.payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Membership(membership) => {
                self.settle_members(StoredMembership::new(Some(entry.log_id), membership.clone()));
                Vec::new()
            }
            EntryPayload::Normal(batch) => {
                self.machine.apply(batch).map_err(|e| StorageIOError::apply(entry.log_id, &e))?
            }
        };
        self.last_applied = Some(entry.log_id);
        Ok(applied)
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Applied>, StorageError>
    where
        I: IntoIterator<Item = Entry> + openraft::OptionalSend,
        I::IntoIter: openraft::OptionalSend,
    {
        let mut results = Vec::new();
        for entry in entries {
            results.push(self.apply_entry(&entry)?);
        }
        // Before the results go back: whoever hears of a write can read it here.
        self.publish();
        Ok(results)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder {
            image: self.machine.image(),
            last_applied: self.last_applied,
            membership: self.membership.clone(),
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
        let (term, index) = self.last_applied.map_or((0, 0), |id| (id.leader_id.term, id.index));
        let meta = SnapshotMeta {
            last_log_id: self.last_applied,
            last_membership: self.membership.clone(),
            snapshot_id: format!("{term}-{index}"),
        };
        let image = self.image.clone();
        let payload = tokio::task::spawn_blocking(move || image.encode())
            .await
            .map_err(|e| StorageIOError::write_snapshot(None, &e))?
            .map_err(|e| StorageIOError::write_snapshot(None, &e))?;
        self.writer.save(&meta, &self.image, payload.clone()).await?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(payload)) })
    }
}

/// What a snapshot file says about itself, from openraft's words.
fn to_fields(
    meta: &SnapshotMeta,
    cluster_id: Option<String>,
    at: Timestamp,
) -> serde_json::Result<SnapshotMetaFields> {
    Ok(SnapshotMetaFields {
        snapshot_id: meta.snapshot_id.clone(),
        last_log_id: meta.last_log_id.map(|id| SnapshotLogId {
            index: id.index,
            term: id.leader_id.term,
            leader: id.leader_id.node_id,
        }),
        membership: serde_json::to_value(&meta.last_membership)?,
        cluster_id,
        created_at_ms: at.millis(),
    })
}

fn from_fields(fields: &SnapshotMetaFields) -> serde_json::Result<SnapshotMeta> {
    Ok(SnapshotMeta {
        snapshot_id: fields.snapshot_id.clone(),
        last_log_id: fields
            .last_log_id
            .map(|id| LogId::new(openraft::LeaderId::new(id.term, id.leader), id.index)),
        last_membership: serde_json::from_value(fields.membership.clone())?,
    })
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
