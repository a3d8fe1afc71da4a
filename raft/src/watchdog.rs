//! Gets elections going again that do not end by themselves.
//!
//! openraft draws an election timeout once for the life of a process. Disjoint windows keep two nodes from
//! drawing the same one; this watchdog is the belt to those braces: a voter that knows no leader for several
//! election times asks for an election after a random wait.

use std::time::Duration;

use openraft::ServerState;
use rand::RngExt as _;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::settings::Timers;
use crate::types::Raft;

/// Election maxima without a leader after which the watchdog acts.
const PATIENCE: u32 = 4;

/// Watches until `stop`.
pub(crate) async fn watch_elections(raft: Raft, timers: Timers, stop: CancellationToken) {
    let mut leaderless_since: Option<Instant> = None;
    let metrics = raft.metrics();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(timers.election_max / 2) => {}
        }
        let stuck = {
            let now = metrics.borrow();
            let votes = now.membership_config.membership().voter_ids().any(|id| id == now.id);
            now.current_leader.is_none() && votes && now.state != ServerState::Shutdown
        };
        if !stuck {
            leaderless_since = None;
            continue;
        }
        let since = *leaderless_since.get_or_insert_with(Instant::now);
        if since.elapsed() < timers.election_max * PATIENCE {
            continue;
        }
        leaderless_since = None;
        let wait = jitter(timers.election_max);
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(wait) => {}
        }
        if metrics.borrow().current_leader.is_some() {
            continue;
        }
        metrics::counter!("hellojohn_raft_watchdog_elections_total").increment(1);
        tracing::info!("no leader for {} ms, asking for an election", since.elapsed().as_millis());
        if let Err(error) = raft.trigger().elect().await {
            tracing::warn!(%error, "election could not be asked for");
            return;
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "spreads elections; nothing depends on the value")]
fn jitter(max: Duration) -> Duration {
    max.mul_f64(rand::rng().random_range(0.0..1.0))
}
