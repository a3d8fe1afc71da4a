//! Snapshots of the machine: made beside it out of a view, written one at a time, read back whole.

use std::io::Cursor;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use hellojohn_control::Image;
use openraft::RaftSnapshotBuilder;
use tokio_util::task::TaskTracker;

use super::Standing;
use crate::archive::{self, cluster_id, from_fields, to_fields};
use crate::background::{self, Place};
use crate::durable::Pace;
use crate::settings::NowFn;
use crate::snapshot::SnapshotStore;
use crate::types::{Snapshot, SnapshotMeta, StorageError, StorageIOError, TypeConfig};

/// The newest snapshot that is whole, and whether a newer one had to be passed over.
pub(super) struct Found {
    pub(super) snapshot: Option<(SnapshotMeta, Vec<u8>)>,
    pub(super) passed_over: bool,
}

/// Looks for the newest snapshot that is whole.
pub(super) fn newest(store: &SnapshotStore) -> Result<Found, StorageError> {
    let loaded = store.load_newest_valid().map_err(|e| StorageIOError::read_snapshot(None, &e))?;
    for damaged in &loaded.damaged {
        tracing::error!(error = %damaged, "a snapshot cannot be used; an older one is tried");
    }
    let passed_over = !loaded.damaged.is_empty();
    let Some(found) = loaded.snapshot else { return Ok(Found { snapshot: None, passed_over }) };
    let meta = from_fields(&found.header.meta).map_err(|e| StorageIOError::read_snapshot(None, &e))?;
    Ok(Found { snapshot: Some((meta, found.payload)), passed_over })
}

/// The state in the payload of a snapshot.
pub(super) fn decode(meta: &SnapshotMeta, payload: &[u8]) -> Result<Image, StorageError> {
    Image::decode(payload).map_err(|e| StorageIOError::read_snapshot(Some(meta.signature()), &e).into())
}

/// Builds a snapshot beside the running machine: it holds a view, which costs nothing to have.
#[derive(Debug)]
pub struct Builder {
    pub(super) standing: Standing,
    pub(super) writer: SnapshotWriter,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        self.writer.build(&self.standing, Place::AfterRequests).await
    }
}

/// Writes snapshots, one at a time: one that is being built and one that is being received may meet.
#[derive(Debug, Clone)]
pub struct SnapshotWriter {
    pub(super) store: Arc<SnapshotStore>,
    turn: Arc<Mutex<()>>,
    under_way: TaskTracker,
    now: NowFn,
}

impl SnapshotWriter {
    /// Writes to `store`.
    pub fn new(store: Arc<SnapshotStore>, now: NowFn) -> Self {
        Self { store, turn: Arc::default(), under_way: TaskTracker::new(), now }
    }

    /// Runs what takes long on a thread that no heartbeat waits for.
    pub(super) async fn off_thread<T: Send + 'static>(
        &self,
        place: Place,
        work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, StorageError> {
        // With the work: whoever asked for it may go away.
        let under_way = self.under_way.token();
        let done = background::run("raft-snapshot", place, move || {
            let _under_way = under_way;
            work()
        });
        done.await.unwrap_or_else(|e| Err(StorageIOError::read_snapshot(None, &e).into()))
    }

    /// Waits until no snapshot is being made or written any more. Raft, which asks for them, must have ended.
    pub(crate) async fn close(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// Makes the snapshot of a state and keeps it.
    pub(super) async fn build(&self, standing: &Standing, place: Place) -> Result<Snapshot, StorageError> {
        let began = Instant::now();
        let meta = archive::meta(standing.last_applied, standing.membership.clone());
        let (writer, view, described) = (self.clone(), Arc::clone(&standing.view), meta.clone());
        let payload = self
            .off_thread(place, move || {
                let image = Image::of_view(&view);
                let payload = image.encode().map_err(|e| failed(&described, &e))?;
                writer.write(&described, &image, &payload, place)?;
                Ok(payload)
            })
            .await?;
        let index = standing.view.applied_index();
        let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::info!(index, bytes = payload.len(), millis, "took a snapshot");
        Ok(Snapshot { meta, snapshot: Box::new(Cursor::new(payload)) })
    }

    /// Keeps the snapshot of `image`, whose bytes are `payload`. Blocks on the disk.
    pub(super) fn write(
        &self,
        meta: &SnapshotMeta,
        image: &Image,
        payload: &[u8],
        place: Place,
    ) -> Result<(), StorageError> {
        let pace = match place {
            Place::WithRequests => Pace::AtOnce,
            Place::AfterRequests => Pace::InPieces,
        };
        let fields = to_fields(meta, cluster_id(image), self.now.now()).map_err(|e| failed(meta, &e))?;
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.store.save_at_pace(fields, payload, pace).map(drop).map_err(|e| failed(meta, &e))
    }
}

fn failed(meta: &SnapshotMeta, error: &(dyn std::error::Error + 'static)) -> StorageError {
    StorageIOError::write_snapshot(Some(meta.signature()), openraft::AnyError::from_dyn(error, None)).into()
}
