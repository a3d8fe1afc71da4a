//! The shell that openraft drives around the pure machine: applies entries, builds and installs snapshots,
//! publishes views. Applying changes memory only; the log and the snapshots are what is durable.

use std::io::Cursor;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hellojohn_control::{Image, Issuer, Machine, View};
use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, RaftSnapshotBuilder};
use tokio::sync::watch;

use crate::snapshot::SnapshotStore;
use crate::types::{
    Applied, Entry, LogId, Snapshot, SnapshotMeta, StorageError, StorageIOError, StoredMembership, TypeConfig,
};

/// The newest view, for readers without a lock and for those who wait.
#[derive(Debug, Clone)]
pub struct Views {
    current: Arc<ArcSwap<View>>,
    changes: Arc<watch::Sender<Arc<View>>>,
}

impl Views {
    /// Starts with the view of an empty machine.
    pub fn empty(issuer: Issuer) -> Self {
        let first = Arc::new(Machine::new(issuer).view(0));
        let (changes, _) = watch::channel(Arc::clone(&first));
        Self { current: Arc::new(ArcSwap::new(first)), changes: Arc::new(changes) }
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
    snapshots: Arc<SnapshotStore>,
    last_applied: Option<LogId>,
    membership: StoredMembership,
}

impl StateMachine {
    /// Starts from the newest valid snapshot, or empty; publishes to `views` from then on.
    ///
    /// # Errors
    /// A snapshot that is there but cannot be used is an error, never an empty state.
    pub fn open(issuer: Issuer, snapshots: Arc<SnapshotStore>, views: Views) -> Result<Self, StorageError> {
        let machine = Machine::new(issuer);
        let mut shell =
            Self { machine, views, snapshots, last_applied: None, membership: StoredMembership::default() };
        if let Some((meta, payload)) = shell.newest()? {
            shell.install(&meta, &payload)?;
        }
        Ok(shell)
    }

    /// The last entry that the state contains.
    pub fn last_applied(&self) -> Option<LogId> {
        self.last_applied
    }

    fn newest(&self) -> Result<Option<(SnapshotMeta, Vec<u8>)>, StorageError> {
        let newest =
            self.snapshots.load_newest_valid().map_err(|e| StorageIOError::read_snapshot(None, &e))?;
        newest
            .map(|found| {
                let meta: SnapshotMeta = serde_json::from_str(&found.meta_json)
                    .map_err(|e| StorageIOError::read_snapshot(None, &e))?;
                Ok((meta, found.payload))
            })
            .transpose()
    }

    fn install(&mut self, meta: &SnapshotMeta, payload: &[u8]) -> Result<(), StorageError> {
        let unusable =
            |e: hellojohn_control::ImageError| StorageIOError::read_snapshot(Some(meta.signature()), &e);
        let image = Image::decode(payload).map_err(unusable)?;
        self.machine.install(image).map_err(unusable)?;
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.publish();
        Ok(())
    }

    fn publish(&self) {
        self.views.publish(self.machine.view(self.last_applied.map_or(0, |id| id.index)));
    }

    fn apply_entry(&mut self, entry: &Entry) -> Result<Applied, StorageError> {
        let applied = match &entry.payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
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
            snapshots: Arc::clone(&self.snapshots),
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
        // Decoded before it is kept: a snapshot that this node cannot read must not replace one it can.
        Image::decode(&payload).map_err(|e| StorageIOError::read_snapshot(Some(meta.signature()), &e))?;
        save(Arc::clone(&self.snapshots), meta.clone(), payload.clone()).await?;
        self.install(meta, &payload)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let newest = self.newest()?;
        Ok(newest.map(|(meta, payload)| Snapshot { meta, snapshot: Box::new(Cursor::new(payload)) }))
    }
}

/// Builds a snapshot beside the running machine: it holds a cheap copy of the state.
#[derive(Debug)]
pub struct Builder {
    image: Image,
    last_applied: Option<LogId>,
    membership: StoredMembership,
    snapshots: Arc<SnapshotStore>,
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
        save(Arc::clone(&self.snapshots), meta.clone(), payload.clone()).await?;
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(payload)) })
    }
}

async fn save(store: Arc<SnapshotStore>, meta: SnapshotMeta, payload: Vec<u8>) -> Result<(), StorageError> {
    let signature = meta.signature();
    let written = tokio::task::spawn_blocking(move || {
        let meta_json = serde_json::to_string(&meta)
            .map_err(|e| StorageIOError::write_snapshot(Some(meta.signature()), &e))?;
        store
            .save(&meta_json, &payload)
            .map_err(|e| StorageIOError::write_snapshot(Some(meta.signature()), &e))?;
        Ok::<_, StorageIOError>(())
    })
    .await
    .map_err(|e| StorageIOError::write_snapshot(Some(signature), &e))?;
    Ok(written?)
}
