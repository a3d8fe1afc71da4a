//! What a disk tells of itself to people and programs. Never a document of it.

use hellojohn_control::{Command, Envelope, Slug, Timestamp};
use openraft::EntryPayload;
use serde::Serialize;

use super::disk::{Kept, archived};
use super::{Disk, OfflineError};
use crate::archive::{Archive, Summary};
use crate::identity::Standing;
use crate::types::Entry;

/// What is on a disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskReport {
    /// `NODE_ID` of the node that it belongs to; absent in a copy without marker, as is what follows.
    pub node: Option<String>,
    /// How far it is bound: `pristine`, `promised`, `joining` or `member`.
    pub standing: Option<Standing>,
    /// Its Raft id.
    pub raft_id: Option<u64>,
    /// Its cluster, by the marker.
    pub cluster_id: Option<String>,
    /// Its snapshots, newest first.
    pub snapshots: Vec<SnapshotReport>,
    /// Its log.
    pub log: LogReport,
    /// The state that it knows to be committed.
    pub state: Summary,
}

/// A snapshot file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnapshotReport {
    /// Its name.
    pub file: String,
    /// The last entry inside; absent when it is damaged.
    pub index: Option<u64>,
    /// What is wrong with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

/// Where the log begins and ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogReport {
    /// The last entry that is gone from it, because a snapshot contains it.
    pub purged_index: Option<u64>,
    /// The last entry that this disk knows to be committed.
    pub committed_index: u64,
    /// The last entry on this disk.
    pub last_index: u64,
    /// Term of that entry. Of two disks the one with the higher term is ahead, with the same term the one with the higher
    /// index.
    pub last_term: u64,
    /// The term in which it voted last.
    pub vote_term: Option<u64>,
    /// The entries above the committed one.
    pub uncommitted: Vec<TailEntry>,
}

/// An entry of which this disk does not know whether it was committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TailEntry {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// What it does, a text for each command.
    pub does: Vec<String>,
}

impl Disk {
    /// What is on the disk, looked at `now`.
    ///
    /// # Errors
    /// When no state can be made of it.
    pub fn report(&self, now: Timestamp) -> Result<DiskReport, OfflineError> {
        let identity = self.identity.as_ref();
        let committed = self.committed()?;
        let last = self.last();
        Ok(DiskReport {
            node: identity.map(|identity| identity.node_name.clone()),
            standing: identity.map(|identity| identity.state),
            raft_id: identity.and_then(|identity| identity.raft_id),
            cluster_id: identity.and_then(|identity| identity.cluster_id.clone()),
            snapshots: self.snapshots.iter().map(snapshot).collect(),
            log: LogReport {
                purged_index: self.log.last_purged.map(|id| id.index),
                committed_index: committed.map_or(0, |id| id.index),
                last_index: last.map_or(0, |id| id.index),
                last_term: last.map_or(0, |id| id.leader_id.term),
                vote_term: self.log.vote.map(|vote| vote.leader_id().term),
                uncommitted: self.after(committed).map(tail).collect(),
            },
            state: archived(&self.replay(committed)?, now).summary()?,
        })
    }
}

fn snapshot(kept: &Kept) -> SnapshotReport {
    let name = kept.path.file_name().unwrap_or(kept.path.as_os_str());
    SnapshotReport {
        file: name.to_string_lossy().into_owned(),
        index: kept.content.as_ref().ok().map(Archive::index),
        damage: kept.content.as_ref().err().map(ToString::to_string),
    }
}

fn tail(entry: &Entry) -> TailEntry {
    let does = match &entry.payload {
        EntryPayload::Blank => vec!["a leader began its term".to_owned()],
        EntryPayload::Membership(_) => vec!["the members change".to_owned()],
        EntryPayload::Normal(batch) => batch.items().iter().map(named).collect(),
    };
    TailEntry { index: entry.log_id.index, term: entry.log_id.leader_id.term, does }
}

/// What was done, to what, by whom and when; nothing of the document.
fn named(envelope: &Envelope) -> String {
    let command: &Command = &envelope.command;
    let objects = command.tenant().map(Slug::as_str).into_iter().chain(command.object());
    let what: Vec<&str> = std::iter::once(command.action()).chain(objects).collect();
    format!("{} by {} at {}", what.join(" "), envelope.actor, envelope.at)
}
