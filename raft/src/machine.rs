//! The shell that openraft drives around the pure machine: applies entries, builds and installs snapshots,
//! publishes views. Applying changes memory only; the log and the snapshots are what is durable.

mod snapshots;

pub use snapshots::{Builder, SnapshotWriter};

use std::io::Cursor;
use std::sync::Arc;

use arc_swap::ArcSwap;
use hellojohn_control::{Image, Issuer, View};
use openraft::storage::RaftStateMachine;
use tokio::sync::watch;

use crate::background::Place;
use crate::replica::Replica;
use crate::types::{
    Applied, Entry, LogId, Snapshot, SnapshotMeta, StorageError, StorageIOError, StoredMembership, TypeConfig,
};
use snapshots::{decode, newest};

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
        if let Some((meta, payload)) = newest(&shell.writer.store)?.snapshot {
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
        Builder { standing: standing(&self.replica), writer: self.writer.clone() }
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
        let (writer, described) = (self.writer.clone(), meta.clone());
        let image = self
            .writer
            .off_thread(Place::WithRequests, move || {
                // Decoded before it is kept: a snapshot that this node cannot read must not replace one it can.
                let image = decode(&described, &payload)?;
                writer.write(&described, &image, &payload, Place::WithRequests)?;
                Ok(image)
            })
            .await?;
        self.install(meta, image)
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let store = Arc::clone(&self.writer.store);
        let found = self.writer.off_thread(Place::WithRequests, move || newest(&store)).await?;
        if found.passed_over {
            // An older one may end before the log begins, and a follower would be sent it again and again.
            tracing::warn!("the newest snapshot cannot be used; another is made in its place");
            match (self.writer.build(&standing(&self.replica), Place::WithRequests).await, &found.snapshot) {
                (Ok(made), _) => return Ok(Some(made)),
                (Err(error), None) => return Err(error),
                (Err(error), Some(_)) => {
                    tracing::error!(%error, "no snapshot could be made; the older one is given");
                }
            }
        }
        Ok(found.snapshot.map(|(meta, payload)| Snapshot { meta, snapshot: Box::new(Cursor::new(payload)) }))
    }
}
