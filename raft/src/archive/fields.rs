//! What a snapshot file says about itself, from and into openraft's words.

use hellojohn_control::Timestamp;

use crate::snapshot::{SnapshotLogId, SnapshotMetaFields};
use crate::types::{LogId, SnapshotMeta, StoredMembership};

/// What names a snapshot of the state after that entry.
pub(crate) fn meta(last_log_id: Option<LogId>, last_membership: StoredMembership) -> SnapshotMeta {
    let (term, index) = last_log_id.map_or((0, 0), |id| (id.leader_id.term, id.index));
    SnapshotMeta { last_log_id, last_membership, snapshot_id: format!("{term}-{index}") }
}

/// Into the fields of a header.
pub(crate) fn to_fields(
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

/// From the fields of a header.
pub(crate) fn from_fields(fields: &SnapshotMetaFields) -> serde_json::Result<SnapshotMeta> {
    Ok(SnapshotMeta {
        snapshot_id: fields.snapshot_id.clone(),
        last_log_id: fields
            .last_log_id
            .map(|id| LogId::new(openraft::LeaderId::new(id.term, id.leader), id.index)),
        last_membership: serde_json::from_value(fields.membership.clone())?,
    })
}
