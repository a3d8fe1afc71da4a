//! F5: a process stands still and goes on.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::crashes::BREATH;
use crate::cluster::PATIENCE;
use crate::run::Run;

const STILL: Duration = Duration::from_secs(5);

/// F5: the others go on, and the old leader finds out that it leads no more.
pub(super) fn leader(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let leader = run.leader().await?;
        run.cluster.signal(leader, Signal::SIGSTOP)?;
        let still = tokio::time::Instant::now() + STILL;
        let followed = async {
            run.cluster.leader_other_than(Some(leader), PATIENCE).await?;
            run.load.flows(50).await
        };
        let followed = followed.await;
        tokio::time::sleep_until(still).await;
        // In any case, or nothing would heal.
        run.cluster.signal(leader, Signal::SIGCONT)?;
        followed?;
        sleep(BREATH).await;
        let elections = run.elections();
        run.expect(elections == 1, &format!("one election, not {elections}"));
        Ok(())
    }
    .boxed_local()
}
