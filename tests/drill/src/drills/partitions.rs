//! F6 and F7: nodes that cannot reach each other, while clients reach all of them.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tokio::time::{Instant, sleep};

use super::admin::probe;
use super::crashes::BREATH;
use crate::cluster::PATIENCE;
use crate::net::NODES;
use crate::run::Run;

const PARTED: Duration = Duration::from_secs(6);
/// RAFT_ELECTION_MAX_MS as it ships, and half a second for a busy machine.
const ELECTION: Duration = Duration::from_millis(900 + 500);

fn others(node: usize) -> [usize; 2] {
    [(node + 1) % NODES, (node + 2) % NODES]
}

/// F6: its writes fail within the election time, the majority goes on, and it follows after healing.
pub(super) fn isolated(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let leader = run.leader().await?;
        for other in others(leader) {
            run.cluster.part(leader, other).await?;
        }
        let parted = Instant::now();
        // From the cut on it acknowledges nothing; from the election time on it refuses by itself.
        let mut refused_after = None;
        while parted.elapsed() < PARTED {
            let (said, took) = probe(&run.cluster, leader).await;
            if said.starts_with("20") && parted.elapsed() > Duration::from_millis(300) {
                run.expect(false, "no acknowledgement by a leader that is cut off");
            }
            if said == "503 no_leader" && took < 100 && refused_after.is_none() {
                refused_after = Some(parted.elapsed());
            }
            sleep(Duration::from_millis(50)).await;
        }
        match refused_after {
            Some(after) => {
                run.expect(after < ELECTION, &format!("refusal within the election time, not {after:?}"));
                run.note(format!("cut-off leader refused after {} ms", after.as_millis()));
            }
            None => run.expect(false, "a leader that is cut off refuses writes with no_leader"),
        }
        run.cluster.leader_other_than(Some(leader), PATIENCE).await?;
        run.load.flows(50).await?;
        healed_with_at_most_one_election(run).await?;
        let now = run.leader().await?;
        run.expect(now != leader, "the node that was cut off follows after healing");
        Ok(())
    }
    .boxed_local()
}

/// F7: what one node sends does not reach the leader, in every combination of two nodes.
pub(super) fn one_way(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        for turn in 0..4 {
            let leader = run.leader().await?;
            let [one, other] = others(leader);
            let (from, to) = [(one, leader), (leader, one), (one, other), (other, leader)]
                .get(turn)
                .copied()
                .unwrap_or((0, 1));
            let before = run.elections();
            run.cluster.cut(from, to).await?;
            sleep(PARTED).await;
            let elections = run.elections() - before;
            run.expect(elections <= 2, &format!("no storm of elections in turn {turn}: {elections} in 6 s"));
            run.load.flows(30).await?;
            healed_with_at_most_one_election(run).await?;
        }
        Ok(())
    }
    .boxed_local()
}

/// F7: A-B and B-C only, with the leader at an end and in the middle.
pub(super) fn chain(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        for leader_is_in_the_middle in [false, true] {
            let leader = run.leader().await?;
            let [one, other] = others(leader);
            let before = run.elections();
            if leader_is_in_the_middle {
                run.cluster.part(one, other).await?;
            } else {
                run.cluster.part(leader, other).await?;
            }
            sleep(PARTED).await;
            let elections = run.elections() - before;
            let most = if leader_is_in_the_middle { 0 } else { 2 };
            run.expect(elections <= most, &format!("at most {most} elections in 6 s, not {elections}"));
            run.load.flows(30).await?;
            healed_with_at_most_one_election(run).await?;
        }
        Ok(())
    }
    .boxed_local()
}

async fn healed_with_at_most_one_election(run: &mut Run) -> Result<(), String> {
    let before = run.elections();
    run.cluster.heal().await?;
    run.cluster.healthy().await?;
    sleep(BREATH).await;
    let elections = run.elections() - before;
    run.expect(elections <= 1, &format!("at most one election after healing, not {elections}"));
    Ok(())
}
