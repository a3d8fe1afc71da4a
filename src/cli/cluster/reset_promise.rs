//! `hellojohn cluster reset-promise`: a node that waits for a cluster which never forms is free again.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::disk::{refused, scratch};
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cluster::offline::reset_promise;

/// Take back the promise to join a cluster that will never form
///
/// For a stopped node that has promised to found a cluster, when the node that was forming it is lost for good. Refused
/// on a member, and where the cluster has written anything: then it was formed, and goes on without the lost node. The old
/// raft/ is moved aside. Do it on every node that has promised.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  hellojohn cluster reset-promise --data /var/lib/hellojohn")]
pub struct ResetPromise {
    /// CONTROL_PLANE_FS_ROOT of the node
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
}

impl ResetPromise {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let data = session.directory.join(&self.data);
        let aside = reset_promise(&data, &scratch(session), session.clock.now());
        let aside = aside.map_err(|error| refused(&error))?.map(|path| path.display().to_string());
        session.terminal.show(&json!({ "reset": aside.is_some(), "aside": aside }), || match &aside {
            Some(aside) => format!("the promise is taken back; the old raft/ is at {aside}"),
            None => "nothing was promised; nothing was changed".to_owned(),
        })?;
        Ok(Exit::Ok)
    }
}
