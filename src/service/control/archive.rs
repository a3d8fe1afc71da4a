//! This node's own state as a file (EP131): a backup that is taken while it runs.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::ControlService;
use crate::service::audit::{AdminAction, AdminEvent, Administrator};
use crate::service::user_store::UserStores;
use crate::service::{Error, Result};

/// When to ask again while another archive is being made.
const RETRY: Duration = Duration::from_secs(2);

/// An archive of the state of this node.
#[derive(Debug)]
pub struct Saved {
    /// The log index that it reflects.
    pub index: u64,
    /// The file.
    pub bytes: Vec<u8>,
    /// The turn, to be kept until the bytes are sent or given up.
    pub turn: OwnedSemaphorePermit,
}

impl ControlService {
    /// The state that this node has applied, as an archive. One at a time, because each is held in memory whole.
    ///
    /// # Errors
    /// `busy` while another one is made or sent.
    pub async fn save_archive(&self, by: &Administrator, stores: &UserStores) -> Result<Saved> {
        // Whoever has the file has the sealed keys of every tenant.
        let event = AdminEvent::of_node(by, AdminAction::SaveSnapshot, self.plane.node_id());
        stores.witnessed(&event, self.saved().await).await
    }

    async fn saved(&self) -> Result<Saved> {
        let turn = Arc::clone(&self.archives).try_acquire_owned();
        let turn = turn.map_err(|_| {
            Error::busy(RETRY)
                .detail("this node is making or sending another snapshot; try again when it is done")
        })?;
        let plane = self.plane.clone();
        // A caller who goes away must not begin a second one beside the first.
        let made = tokio::spawn(async move { plane.archive().await.map(|archive| (archive, turn)) });
        let ((index, bytes), turn) = made.await.map_err(Error::internal)?.map_err(Error::internal)?;
        Ok(Saved { index, bytes, turn })
    }
}
