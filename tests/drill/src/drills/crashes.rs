//! F1 to F4: nodes end.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tokio::time::sleep;

use crate::cluster::PATIENCE;
use crate::net::NODES;
use crate::run::Run;

/// How long writes go on between two events of a drill.
pub(super) const BREATH: Duration = Duration::from_secs(2);

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

/// F4: the shortest gap of all. A planned hand-over by command is not built yet.
pub(super) fn terminate(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let leader = run.leader().await?;
        run.cluster.terminate(leader).await?;
        run.cluster.leader_other_than(Some(leader), PATIENCE).await?;
        run.load.flows(50).await?;
        run.cluster.start_node(leader)?;
        run.cluster.healthy().await?;
        sleep(BREATH).await;
        Ok(())
    }
    .boxed_local()
}
