//! F8: networks that lose and delay.

use std::time::Duration;

use futures::FutureExt as _;
use futures::future::LocalBoxFuture;
use tokio::time::{Instant, sleep};

use crate::cluster::Wiring;
use crate::net::Place;
use crate::run::{Run, Setup};

/// Long enough for a rate of changes a minute to mean something.
const LOSSY: Duration = Duration::from_secs(60);

/// How long clients wait where answers are slow by nature.
const PATIENT: Duration = Duration::from_secs(3);

/// Loses packets, which only the packet filter can.
pub(super) fn filter(setup: &mut Setup) -> Result<(), String> {
    match setup.place {
        Place::Namespaces => {
            setup.plan.patience = PATIENT;
            Ok(())
        }
        Place::Loopback => Err("losing packets needs network namespaces, that is root".to_owned()),
    }
}

/// Byte proxies on every link.
#[expect(clippy::unnecessary_wraps, reason = "one of several functions of one type")]
pub(super) fn delayed(setup: &mut Setup) -> Result<(), String> {
    setup.wiring = Wiring::Proxied;
    setup.plan.patience = PATIENT;
    Ok(())
}

/// Message proxies on every link.
#[expect(clippy::unnecessary_wraps, reason = "one of several functions of one type")]
pub(super) fn messages(setup: &mut Setup) -> Result<(), String> {
    setup.wiring = Wiring::Messages;
    setup.plan.patience = PATIENT;
    Ok(())
}

/// Message proxies, and elections after 5 s at the earliest.
pub(super) fn calm(setup: &mut Setup) -> Result<(), String> {
    messages(setup)?;
    setup.settings.set("RAFT_HEARTBEAT_MS", "250");
    setup.settings.set("RAFT_ELECTION_MIN_MS", "5000");
    setup.settings.set("RAFT_ELECTION_MAX_MS", "7000");
    Ok(())
}

/// A tenth of the packets.
pub(super) fn packets(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        run.cluster.net.lose(10).await?;
        progress_with_one_leader(run).await
    }
    .boxed_local()
}

/// 25 to 125 ms each way.
pub(super) fn delay(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        let delay = (Duration::from_millis(75), Duration::from_millis(50));
        run.cluster.net.links().change(|state| state.delay = Some(delay));
        progress_with_one_leader(run).await
    }
    .boxed_local()
}

/// Half of the messages, with timers for such a network.
pub(super) fn calmly(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        run.cluster.net.links().change(|state| state.lost_calls = 50);
        progress_with_one_leader(run).await
    }
    .boxed_local()
}

/// Half of the messages, with the timers that ship: only safety is asked for.
pub(super) fn half(run: &mut Run) -> LocalBoxFuture<'_, Result<(), String>> {
    async {
        run.cluster.net.links().change(|state| state.lost_calls = 50);
        sleep(LOSSY).await;
        Ok(())
    }
    .boxed_local()
}

async fn progress_with_one_leader(run: &mut Run) -> Result<(), String> {
    let began = Instant::now();
    let before = run.load.recorder().acknowledged();
    while began.elapsed() < LOSSY {
        // Progress in every ten seconds, not only on the whole.
        run.load.flows(1).await?;
        sleep(Duration::from_secs(10)).await;
    }
    let (writes, changes) = (run.load.recorder().acknowledged() - before, run.leader_changes());
    run.note(format!("{writes} writes in the {} s", LOSSY.as_secs()));
    run.expect(changes <= 1, &format!("at most one change of leader a minute, not {changes}"));
    Ok(())
}
