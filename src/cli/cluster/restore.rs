//! `hellojohn cluster snapshot restore`: an archive as the beginning of a new cluster.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::disk::{lines, refused, refused_archive, scratch, state, to_json};
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cluster::offline::{Archive, Disk, restore};
use crate::config::cluster::NodeName;
use crate::domain::rng;

/// Name of a node that runs alone and was given none.
const ALONE: &str = "single";

/// Make an unused data directory that of the only member of a new cluster
///
/// Checks everything before it touches anything. The new cluster has the tenants, clients, scopes and keys of the
/// archive, a cluster id of its own, and one member, which leads as soon as it is started, with CLUSTER_MODE=off or
/// embedded and the master keys of the old cluster. Further nodes start with empty disks. Do not let the old cluster run
/// on for the same people: nothing keeps the two in step.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  hellojohn cluster snapshot restore today.snap --data /var/lib/hellojohn --node node1
  hellojohn cluster snapshot restore --from-dir /mnt/old-disk/raft --data /var/lib/new")]
pub struct Restore {
    /// The archive
    #[arg(value_name = "FILE", required_unless_present = "from_dir", conflicts_with = "from_dir")]
    file: Option<PathBuf>,
    /// A copy of a node's raft/ instead: its newest snapshot and the committed log after it
    #[arg(long, value_name = "DIR")]
    from_dir: Option<PathBuf>,
    /// CONTROL_PLANE_FS_ROOT of the new member; made if absent
    #[arg(long, value_name = "NEW")]
    data: PathBuf,
    /// NODE_ID of the new member [default: NODE_ID of these settings, else single]
    #[arg(long, value_name = "NAME", value_parser = node_name)]
    node: Option<NodeName>,
}

fn node_name(text: &str) -> Result<NodeName, String> {
    NodeName::parse(text)
        .ok_or_else(|| "write 1 to 253 visible ASCII characters without ',' ';' '='".to_owned())
}

impl Restore {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let archive = self.archive(session)?;
        let node = self.node(session)?;
        let data = session.directory.join(&self.data);
        let (cluster_id, now) = (rng::uuid(session.rng.as_ref()), session.clock.now());
        let restored =
            restore(archive, &data, node.as_str(), cluster_id, now).map_err(|error| refused(&error))?;
        let at = data.display().to_string();
        let json = json!({
            "data": at, "node": restored.node, "raft_id": restored.raft_id,
            "cluster_id": restored.cluster_id, "state": to_json(&restored.state)?,
        });
        session.terminal.show(&json, || {
            let mut shown = vec![("restored into", at)];
            shown.extend(state(&restored.state));
            shown.push((
                "next",
                format!(
                    "start it with NODE_ID={node} and the master keys of the old cluster; further nodes start with \
                     empty disks"
                ),
            ));
            lines(&shown)
        })?;
        Ok(Exit::Ok)
    }

    fn archive(&self, session: &Session<'_>) -> Result<Archive, Failure> {
        match (&self.file, &self.from_dir) {
            (Some(file), _) => Archive::read(&session.directory.join(file)).map_err(refused_archive),
            (None, Some(dir)) => Disk::read(&session.directory.join(dir), &scratch(session))
                .and_then(|disk| disk.archive(session.clock.now()))
                .map_err(|error| refused(&error)),
            (None, None) => Err(Failure::usage("name an archive, or a copy of raft/ with --from-dir")),
        }
    }

    /// The name that the node will be started under. The settings need not be complete yet.
    fn node(&self, session: &Session<'_>) -> Result<String, Failure> {
        if let Some(node) = &self.node {
            return Ok(node.to_string());
        }
        if let Ok(loaded) = session.config() {
            return Ok(loaded.config.cluster.node_id.map_or_else(|| ALONE.to_owned(), |id| id.to_string()));
        }
        match session.variables()?.get("NODE_ID") {
            Some(text) => node_name(text)
                .map(|node| node.to_string())
                .map_err(|reason| Failure::usage(format!("NODE_ID: {reason}"))),
            None => Ok(ALONE.to_owned()),
        }
    }
}
