//! F13 and F14: a follower that can only be helped by a snapshot.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tokio::time::sleep;

use super::admin::ballast;
use crate::cluster::Wiring;
use crate::net::NODES;
use crate::run::{Run, Setup};
use crate::waiting::until;

/// RAFT_SNAPSHOT_EVERY of these drills.
const EVERY: u64 = 200;
/// Entries that stay behind a snapshot (`raft/src/running.rs`).
const KEPT: u64 = 1_000;

/// Snapshots in short order, and more load than else.
#[expect(clippy::unnecessary_wraps, reason = "one of several functions of one type")]
pub(super) fn often(setup: &mut Setup) -> Result<(), String> {
    setup.settings.set("RAFT_SNAPSHOT_EVERY", &EVERY.to_string());
    setup.plan.pause = Duration::from_millis(1);
    Ok(())
}

/// The same over links that can be slowed down.
pub(super) fn slow(setup: &mut Setup) -> Result<(), String> {
    often(setup)?;
    setup.wiring = Wiring::Proxied;
    Ok(())
}

/// Kills a follower, and waits until what it would need next is purged at the leader. Gives the follower and how far it was at
/// most.
async fn left_behind(run: &mut Run) -> Result<(usize, u64), String> {
    let leader = run.leader().await?;
    let follower = (leader + 1) % NODES;
    run.cluster.kill9(follower).await?;
    // The leader's, once it is dead: under load it has got further than it could say of itself.
    let status = run.cluster.directory.status(leader).await.ok_or("the leader does not answer")?;
    let has = status.last;
    until("a purge past the follower", Duration::from_secs(180), async || {
        run.cluster.directory.status(leader).await.filter(|status| status.purged > has + 1)
    })
    .await?;
    Ok((follower, has))
}

/// F13: the follower gets the snapshot and equal state.
pub(super) fn away(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let (follower, was_at) = left_behind(run).await?;
        run.cluster.start_node(follower)?;
        run.cluster.healthy().await?;
        let status = run.cluster.directory.status(follower).await.ok_or("the follower does not answer")?;
        run.expect(
            status.snapshot > was_at,
            &format!("a snapshot beyond {was_at} is installed, not only up to {}", status.snapshot),
        );
        run.note(format!("was at {was_at}, came back with a snapshot up to {}", status.snapshot));
        // Two more in short order, with it among the living.
        let next = status.snapshot + EVERY * 2;
        until("two more snapshots", Duration::from_secs(120), async || {
            run.cluster.directory.status(follower).await.filter(|status| status.snapshot > next)
        })
        .await?;
        Ok(())
    }
    .boxed_local()
}

/// F14: connections end in the middle of the transfer, the receiver is killed in it, and then it works.
pub(super) fn cut_off(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        ballast(run, 1_000).await?;
        let (follower, was_at) = left_behind(run).await?;
        run.cluster.net.links().change(|state| state.reset_after = Some(100_000));
        run.cluster.start_node(follower)?;
        sleep(Duration::from_secs(5)).await;
        not_there_yet(run, follower, was_at).await;
        let ended = run.cluster.net.links().struck();
        run.expect(ended > 0, "a transfer is cut off");
        run.cluster.net.links().change(|state| {
            state.reset_after = None;
            state.bytes_per_second = Some(100_000);
        });
        for _ in 0..2 {
            sleep(Duration::from_secs(2)).await;
            not_there_yet(run, follower, was_at).await;
            run.cluster.kill9(follower).await?;
            run.cluster.start_node(follower)?;
        }
        run.cluster.heal().await?;
        run.cluster.healthy().await?;
        let status = run.cluster.directory.status(follower).await.ok_or("the follower does not answer")?;
        run.expect(status.snapshot > was_at, "the snapshot is installed in the end");
        Ok(())
    }
    .boxed_local()
}

/// Shows that the fault was one: the follower still has what it had.
async fn not_there_yet(run: &mut Run, follower: usize, was_at: u64) {
    let status = run.cluster.directory.status(follower).await;
    let applied = status.map_or(0, |status| status.applied);
    run.expect(
        applied <= was_at + KEPT,
        &format!("the transfer is cut off, but the follower is at {applied} from {was_at} already"),
    );
}
