//! What the commands that work on disks and archives share: how a refusal ends, and how a state is shown.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cli::terminal::pairs;
use crate::cluster::offline::{ArchiveError, OfflineError, Summary};

/// Where copies of what is only read go for a moment.
pub(super) fn scratch(session: &Session<'_>) -> PathBuf {
    let named = session.env.get("TMPDIR").map(|dir| dir.trim()).filter(|dir| !dir.is_empty());
    session.directory.join(named.unwrap_or("/tmp"))
}

/// How a refusal ends the command. The texts name file and remedy themselves.
pub(super) fn refused(error: &OfflineError) -> Failure {
    let exit = match error {
        OfflineError::NoNode { .. } | OfflineError::NoLog { .. } => Exit::Usage,
        OfflineError::Occupied { .. }
        | OfflineError::NotTheOwner { .. }
        | OfflineError::WrongCluster { .. }
        | OfflineError::NotAMember { .. }
        | OfflineError::Replaced { .. }
        | OfflineError::Formed { .. }
        | OfflineError::Identity(_)
        | OfflineError::Archive(ArchiveError::Exists { .. }) => Exit::Conflict,
        OfflineError::Archive(_)
        | OfflineError::Log(_)
        | OfflineError::Snapshots(_)
        | OfflineError::Io { .. }
        | OfflineError::Hole { .. }
        | OfflineError::Apply { .. }
        | OfflineError::Image(_)
        | OfflineError::Refound(_) => Exit::Failed,
    };
    Failure::new(exit, error.to_string())
}

/// The same for an archive.
pub(super) fn refused_archive(error: ArchiveError) -> Failure {
    refused(&error.into())
}

/// As JSON.
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value).map_err(|error| Failure::failed(format!("cannot write the output: {error}")))
}

/// A state, for people.
pub(super) fn state(state: &Summary) -> Vec<(&'static str, String)> {
    let members: Vec<String> = state
        .members
        .iter()
        .map(|member| match member.raft_id {
            Some(raft_id) => {
                let learner = if member.voter { "" } else { ", no vote" };
                format!("{} (Raft id {raft_id}{learner})", member.name)
            }
            None => format!("{} (expected)", member.name),
        })
        .collect();
    vec![
        ("cluster", state.cluster_id.clone().unwrap_or_default()),
        ("index", format!("{} (term {})", state.index, state.term)),
        ("members", members.join(", ")),
        ("holds", format!("{} tenants, {} clients, {} keys", state.tenants, state.clients, state.keys)),
        ("state hash", state.state_hash.clone()),
    ]
}

/// Names and values in aligned lines.
pub(super) fn lines(lines: &[(&str, String)]) -> String {
    pairs(lines)
}

/// What was written where.
pub(super) fn wrote(file: &str, size: usize, summary: &Summary) -> Result<(Value, String), Failure> {
    let mut shown = vec![("wrote", file.to_owned()), ("size", format!("{size} bytes"))];
    shown.extend(state(summary));
    Ok((json!({ "file": file, "size": size, "state": to_json(summary)? }), lines(&shown)))
}
