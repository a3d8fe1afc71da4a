//! F6 and F7: nodes that cannot reach each other, while clients reach all of them.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tokio::time::sleep;

use super::admin::probes;
use super::crashes::BREATH;
use crate::cluster::PATIENCE;
use crate::net::NODES;
use crate::run::Run;

const PARTED: Duration = Duration::from_secs(6);
/// RAFT_ELECTION_MAX_MS as it ships, and half a second for a busy machine.
const ELECTION: Duration = Duration::from_millis(900 + 500);

/// CLUSTER_WRITE_TIMEOUT_MS as it ships, and half a second for a busy machine.
const WRITE_TIMEOUT: Duration = Duration::from_millis(1_800 + 500);

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
        let probes = probes(&run.cluster.directory, leader, PARTED).await;
        // What was sent in the first moments may still have been answered by a quorum.
        let late = probes.iter().filter(|probe| probe.sent > Duration::from_millis(300));
        let acknowledged = late.filter(|probe| probe.said.starts_with("20")).count();
        run.expect(acknowledged == 0, "no acknowledgement by a leader that is cut off");
        let refused = probes.iter().find(|probe| probe.said == "503 no_leader");
        match refused {
            Some(first) => {
                let after = first.sent;
                run.expect(after < ELECTION, &format!("refusal within the election time, not {after:?}"));
                run.note(format!("the cut-off leader refuses from {} ms on", after.as_millis()));
            }
            None => run.expect(false, "a leader that is cut off refuses writes with no_leader"),
        }
        let slowest = probes.iter().map(|probe| probe.took).max().unwrap_or_default();
        run.expect(
            slowest < WRITE_TIMEOUT,
            &format!("every answer within {WRITE_TIMEOUT:?}, not {slowest:?}"),
        );
        run.note(format!("its slowest answer took {} ms", slowest.as_millis()));
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
