//! F15: a member is taken out, comes back with an empty disk, and is given its vote again, all under load.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::crashes::BREATH;
use crate::cluster::PATIENCE;
use crate::cluster::settings::name;
use crate::net::NODES;
use crate::run::{Run, Setup};
use crate::waiting::until;

const MEMBERS: &str = "/v1/admin/cluster/members";

/// A call may wait for a change of the membership.
const CALL: Duration = Duration::from_secs(15);

/// Snapshots in short order, so that there is one to begin with.
#[expect(clippy::unnecessary_wraps, reason = "one of several functions of one type")]
pub(super) fn prepare(setup: &mut Setup) -> Result<(), String> {
    setup.settings.set("RAFT_SNAPSHOT_EVERY", "200");
    Ok(())
}

/// Twice, so that the second time the old place of the first is another's.
pub(super) fn replace(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        for turn in 0..2 {
            let leader = run.leader().await?;
            let gone = (leader + 1 + turn) % NODES;
            let path = format!("{MEMBERS}/{}", name(gone));
            asked(run, &Method::DELETE, &path, None).await?;
            let status = run.cluster.ended(gone, PATIENCE).await?;
            run.expect(
                !status.success(),
                &format!("the removed node ends with a failing code, not {status}"),
            );
            run.load.flows(50).await?;
            let root = run.cluster.root(gone);
            let failed = |error: std::io::Error| format!("{}: {error}", root.display());
            std::fs::rename(&root, root.with_extension(format!("removed-{turn}"))).map_err(failed)?;
            std::fs::create_dir_all(&root).map_err(failed)?;
            asked(run, &Method::POST, MEMBERS, Some(json!({ "name": name(gone) }))).await?;
            run.cluster.start_node(gone)?;
            run.cluster.healthy().await?;
            asked(run, &Method::POST, &format!("{path}/promote"), Some(json!({}))).await?;
            until("its vote", PATIENCE, async || {
                let said = run.cluster.directory.readyz(gone).await?;
                (said.pointer("/cluster/voter") == Some(&Value::Bool(true))).then_some(())
            })
            .await?;
            run.load.flows(50).await?;
            sleep(BREATH).await;
        }
        let elections = run.elections();
        run.expect(elections == 0, &format!("no election by a change of members, not {elections}"));
        Ok(())
    }
    .boxed_local()
}

/// Asks whoever leads until it agrees.
async fn asked(run: &Run, method: &Method, path: &str, body: Option<Value>) -> Result<(), String> {
    let mut last = String::new();
    until(&format!("{method} {path}"), PATIENCE, async || {
        let leader = run.cluster.leader(PATIENCE).await.ok()?;
        let directory = &run.cluster.directory;
        match directory.send_within(CALL, leader, method.clone(), path, &[], body.as_ref()).await {
            Ok(answer) if (200..300).contains(&answer.status) => Some(()),
            Ok(answer) => {
                last = format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body));
                None
            }
            Err(silence) => {
                last = format!("{silence:?}");
                None
            }
        }
    })
    .await
    .map_err(|error| format!("{error}; last {last}"))
}
