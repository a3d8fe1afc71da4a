//! `hellojohn cluster recover`: what is left after the permanent loss of a quorum goes on as a new cluster.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::disk::{lines, refused, scratch, state, to_json};
use super::inspect::{disk, tail};
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::cluster::offline::{Recovered, recover};
use crate::domain::rng;

/// Go on with one surviving member after the others are lost for good
///
/// For a stopped node, when a majority of the members can never come back. Choose the survivor with the newest log (see
/// 'cluster snapshot inspect'). Its disk becomes that of the only member of a new cluster, with all that is on it; the
/// old raft/ is moved aside. What the lost members acknowledged after its last entry is lost. Make sure that they cannot
/// come back: together they would go on as the old cluster. Without --i-accept-data-loss it tells all this and changes
/// nothing.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  hellojohn cluster snapshot inspect /var/lib/hellojohn    # on each disk that is left
  hellojohn cluster recover --data /var/lib/hellojohn --cluster-id 6f1c…
  hellojohn cluster recover --data /var/lib/hellojohn --cluster-id 6f1c… --i-accept-data-loss")]
pub struct Recover {
    /// CONTROL_PLANE_FS_ROOT of the survivor
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Id of the cluster that lost its quorum, typed to be sure of the disk
    #[arg(long, value_name = "ID")]
    cluster_id: String,
    /// Do it; without this it is only told
    #[arg(long)]
    i_accept_data_loss: bool,
}

impl Recover {
    pub(super) fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let data = session.directory.join(&self.data);
        let (cluster_id, now) = (rng::uuid(session.rng.as_ref()), session.clock.now());
        let done = self.i_accept_data_loss;
        let recovered = recover(&data, self.cluster_id.trim(), cluster_id, &scratch(session), now, done)
            .map_err(|error| refused(&error))?;
        let json = json!({
            "changed": done,
            "before": to_json(&recovered.before)?,
            "node": recovered.node,
            "raft_id": recovered.raft_id,
            "cluster_id": done.then_some(recovered.cluster_id),
            "state": to_json(&recovered.state)?,
            "aside": done.then(|| recovered.aside.display().to_string()),
        });
        session.terminal.show(&json, || told(&recovered, done))?;
        if done {
            return Ok(Exit::Ok);
        }
        Err(Failure::usage("nothing was changed: --i-accept-data-loss is not given")
            .remedy("make sure that the other members can never come back, then repeat it with the flag"))
    }
}

fn told(recovered: &Recovered, done: bool) -> String {
    let before = &recovered.before;
    let mut survivor = disk(before);
    survivor.push((
        "lost",
        format!(
            "whatever the other members acknowledged after entry {} of term {}; nobody can tell from here whether there \
             was anything",
            before.log.last_index, before.log.last_term
        ),
    ));
    let kept = match tail(&before.log.uncommitted) {
        none if none.is_empty() => none,
        tail => format!("kept: {tail}"),
    };
    let mut after = Vec::new();
    if done {
        after.extend(state(&recovered.state));
        after.push(("old raft/", recovered.aside.display().to_string()));
        after.push((
            "next",
            format!(
                "start {}; empty the disks of the other nodes before any of them is started again",
                recovered.node
            ),
        ));
    }
    format!("{}{kept}{}", lines(&survivor), lines(&after))
}
