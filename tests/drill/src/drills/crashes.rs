//! F1 to F4: nodes end.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use reqwest::Method;
use serde_json::json;
use tokio::time::sleep;

use crate::cluster::PATIENCE;
use crate::net::NODES;
use crate::run::{Run, Setup};

/// How long writes go on between two events of a drill.
pub(super) const BREATH: Duration = Duration::from_secs(2);

/// Clients that wait for the answer, which a node that hands over or ends in order gives to everybody.
#[expect(clippy::unnecessary_wraps, reason = "one of several functions of one type")]
pub(super) fn patient(setup: &mut Setup) -> Result<(), String> {
    setup.plan.patience = Duration::from_secs(3);
    Ok(())
}

/// F1: a new leader, and the old one returns.
pub(super) fn leader(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let leader = run.leader().await?;
        run.cluster.kill9(leader).await?;
        run.cluster.leader_other_than(Some(leader), PATIENCE).await?;
        run.load.flows(50).await?;
        run.cluster.start_node(leader)?;
        run.cluster.healthy().await?;
        sleep(BREATH).await;
        Ok(())
    }
    .boxed_local()
}

/// F2: no failed write, and it catches up.
pub(super) fn follower(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let leader = run.leader().await?;
        let before = failed(run);
        let follower = (leader + 1) % NODES;
        run.cluster.kill9(follower).await?;
        sleep(BREATH).await;
        run.cluster.start_node(follower)?;
        run.cluster.healthy().await?;
        sleep(BREATH).await;
        let failed = failed(run) - before;
        run.expect(failed == 0, &format!("no failed write, not {failed}"));
        Ok(())
    }
    .boxed_local()
}

/// Writes that were not acknowledged so far.
fn failed(run: &Run) -> usize {
    let operations = run.load.recorder().operations();
    operations.iter().filter(|o| o.written().is_some() && o.end().is_none()).count()
}

/// F3: everything acknowledged is there.
pub(super) fn all(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        for _ in 0..3 {
            for node in 0..NODES {
                run.cluster.kill9(node).await?;
            }
            run.cluster.start_all()?;
            run.cluster.healthy().await?;
            run.load.flows(50).await?;
        }
        Ok(())
    }
    .boxed_local()
}

/// F4: another node leads when it is asked to, the shortest gap of all, and no write is in doubt.
pub(super) fn step_down(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let before = run.load.in_doubt();
        for _ in 0..5 {
            let leader = run.leader().await?;
            let directory = &run.cluster.directory;
            let (path, within) = ("/v1/admin/cluster/step-down", Duration::from_secs(10));
            let answer = directory
                .send_within(within, leader, Method::POST, path, &[], Some(&json!({})))
                .await
                .map_err(|silence| format!("step-down: {silence:?}"))?;
            let said = answer.json();
            run.expect(answer.status == 200, &format!("a hand-over, not {} {said}", answer.status));
            if let Some(gap) = said.get("gap_ms") {
                run.note(format!("gap of a hand-over {gap} ms"));
            }
            run.cluster.leader_other_than(Some(leader), PATIENCE).await?;
            sleep(BREATH).await;
        }
        let unknown = run.load.in_doubt() - before;
        run.expect(unknown == 0, &format!("no write in doubt, not {unknown}"));
        Ok(())
    }
    .boxed_local()
}

/// F4: a leader that is told to end hands over first, so that no write is in doubt.
pub(super) fn terminate(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let before = run.load.in_doubt();
        for _ in 0..3 {
            let leader = run.leader().await?;
            run.cluster.terminate(leader).await?;
            run.cluster.leader_other_than(Some(leader), PATIENCE).await?;
            run.load.flows(50).await?;
            run.cluster.start_node(leader)?;
            run.cluster.healthy().await?;
            sleep(BREATH).await;
        }
        let unknown = run.load.in_doubt() - before;
        run.expect(unknown == 0, &format!("no write in doubt, not {unknown}"));
        Ok(())
    }
    .boxed_local()
}
