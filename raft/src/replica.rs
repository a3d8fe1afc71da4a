//! The pure machine together with where in the log it stands: the one place that knows how an entry is applied.
//!
//! A running node and the tools that work on a stopped node's disk both replay a log through it, so that they cannot
//! come to different states.

use hellojohn_control::{Image, ImageError, Issuer, Machine, View};
use openraft::EntryPayload;

use crate::types::{Applied, Entry, LogId, SnapshotMeta, StoredMembership};

/// A state and its place in the log.
#[derive(Debug)]
pub(crate) struct Replica {
    machine: Machine,
    last_applied: Option<LogId>,
    membership: StoredMembership,
}

impl Replica {
    /// The state before any entry.
    pub(crate) fn new(issuer: Issuer) -> Self {
        Self { machine: Machine::new(issuer), last_applied: None, membership: StoredMembership::default() }
    }

    /// Replaces the state by that of a snapshot. Nothing has changed after an error.
    pub(crate) fn install(&mut self, meta: &SnapshotMeta, image: Image) -> Result<(), ImageError> {
        self.machine.install(image)?;
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        Ok(())
    }

    /// Applies the entry that follows [`Self::last_applied`].
    ///
    /// # Errors
    /// When this release cannot understand it; nothing has changed then.
    pub(crate) fn apply(&mut self, entry: &Entry) -> Result<Applied, hellojohn_control::Fatal> {
        let applied = match &entry.payload {
            EntryPayload::Blank => Vec::new(),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership.clone());
                Vec::new()
            }
            EntryPayload::Normal(batch) => self.machine.apply(batch)?,
        };
        self.last_applied = Some(entry.log_id);
        Ok(applied)
    }

    /// The last entry that the state contains.
    pub(crate) fn last_applied(&self) -> Option<LogId> {
        self.last_applied
    }

    /// The membership as of that entry.
    pub(crate) fn membership(&self) -> &StoredMembership {
        &self.membership
    }

    /// A read model of the state. Cheap.
    pub(crate) fn view(&self) -> View {
        self.machine.view(self.last_applied.map_or(0, |id| id.index))
    }

    /// What a snapshot of the state holds. Cheap.
    pub(crate) fn image(&self) -> Image {
        self.machine.image()
    }
}
