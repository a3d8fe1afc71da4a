//! `hellojohn cluster snapshot inspect`: what is in an archive or on a disk, and whether it is whole.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::disk::{lines, refused, refused_archive, scratch, state, to_json};
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cluster::offline::{Archive, Disk, DiskReport, TailEntry};

/// Entries that are shown to people one by one.
const SHOWN: usize = 20;

/// Show what is in an archive or on the disk of a stopped node, and whether it is whole
///
/// Every byte is checked. The exit code is 1 when anything is damaged. Nothing is changed. To choose the survivor after a
/// loss of quorum, compare the last entries of the disks: the higher term wins, with the same term the higher index.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  hellojohn cluster snapshot inspect today.snap
  hellojohn cluster snapshot inspect /var/lib/hellojohn
  hellojohn cluster snapshot inspect today.snap --output json | jq -r .state.state_hash")]
pub struct Inspect {
    /// An archive, a file of raft/snapshots/, a CONTROL_PLANE_FS_ROOT, or a copy of raft/
    #[arg(value_name = "FILE|DIR")]
    path: PathBuf,
}

impl Inspect {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let path = session.directory.join(&self.path);
        if path.is_dir() { of_disk(&path, session) } else { of_file(&path, session) }
    }
}

fn of_file(path: &Path, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let file = Archive::read_file(path).map_err(refused_archive)?;
    let summary = file.archive.summary().map_err(|error| Failure::failed(error.to_string()))?;
    let name = path.display().to_string();
    let json = json!({ "file": name, "size": file.size, "sha256": file.sha256, "state": to_json(&summary)? });
    session.terminal.show(&json, || {
        let mut shown = vec![
            ("file", name),
            ("size", format!("{} bytes", file.size)),
            ("sha256", file.sha256),
            ("format", summary.format_version.to_string()),
            ("created", summary.created_at.to_string()),
        ];
        shown.extend(state(&summary));
        lines(&shown)
    })?;
    Ok(Exit::Ok)
}

fn of_disk(dir: &Path, session: &mut Session<'_>) -> Result<Exit, Failure> {
    let now = session.clock.now();
    let report = Disk::read(dir, &scratch(session)).and_then(|disk| disk.report(now));
    let report = report.map_err(|error| refused(&error))?;
    let mut json = to_json(&report)?;
    if let Value::Object(members) = &mut json {
        members.insert("directory".to_owned(), json!(dir.display().to_string()));
    }
    session.terminal.show(&json, || {
        let mut shown = vec![("directory", dir.display().to_string())];
        shown.extend(disk(&report));
        shown.extend(state(&report.state));
        lines(&shown) + &tail(&report.log.uncommitted)
    })?;
    let damaged = report.snapshots.iter().any(|snapshot| snapshot.damage.is_some());
    Ok(if damaged { Exit::Failed } else { Exit::Ok })
}

/// A disk, for people.
pub(super) fn disk(report: &DiskReport) -> Vec<(&'static str, String)> {
    let node = report.node.as_ref().map_or_else(
        || "unknown: this copy has no identity.json".to_owned(),
        |node| match report.raft_id {
            Some(raft_id) => format!("{node} (Raft id {raft_id})"),
            None => node.clone(),
        },
    );
    let mut shown = vec![("node", node)];
    for snapshot in &report.snapshots {
        shown.push((
            "snapshot",
            match (&snapshot.damage, snapshot.index) {
                (Some(damage), _) => damage.clone(),
                (None, index) => format!("{} (up to entry {})", snapshot.file, index.unwrap_or(0)),
            },
        ));
    }
    let log = &report.log;
    shown.push(("committed", format!("entry {}, as far as this disk knows", log.committed_index)));
    shown.push(("last entry", format!("{} (term {})", log.last_index, log.last_term)));
    shown
}

/// Entries that may or may not be committed, for people.
pub(super) fn tail(entries: &[TailEntry]) -> String {
    if entries.is_empty() {
        return String::new();
    }
    let mut shown: Vec<(&str, String)> = entries
        .iter()
        .take(SHOWN)
        .map(|entry| ("", format!("{} (term {}): {}", entry.index, entry.term, entry.does.join("; "))))
        .collect();
    let more = entries.len().saturating_sub(SHOWN);
    if more > 0 {
        shown.push(("", format!("and {more} more; --output json has them all")));
    }
    format!(
        "{} entries above the committed one, which may or may not be committed:\n{}",
        entries.len(),
        lines(&shown)
    )
}
