//! When this node stands for election, and how a leader says that it is there.
//!
//! openraft 0.9 can do both, but only in steps of one and a half heartbeats, with an election timeout that it
//! draws once for the life of a process, and with the heartbeat interval as the time limit of every append. Here
//! the timeout counts from the last sign of a leader or candidate, as in the Raft paper; it is drawn anew for
//! each election out of a slice of this node's own (see [`Timers::window`]), and grows while elections fail.
//! Before it stands, a node asks whether it could win (see [`crate::prevote`]).
//!
//! A leader or candidate that is merely slow is given the whole timeout. Half of it is enough where there is nobody to
//! wait for: its host refuses connections, which the kernel of a busy machine never does for a process that listens, or
//! this node itself was the candidate. A leader that was killed is so replaced without short timeouts for all others.

use std::sync::Arc;
use std::time::Duration;

use openraft::{ServerState, Vote};
use rand::RngExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::alive::LastSign;
use crate::network::Dialer;
use crate::prevote::PreVotes;
use crate::running::Running;
use crate::settings::{Timers, Window};
use crate::status::name_of;
use crate::types::Raft;

/// Failed elections in a row after which the timeout grows no more.
const MAX_DOUBLINGS: u32 = 4;

/// Late answers of the core after which the next one counts.
const LATE_ANSWERS: u32 = 3;

/// Says every heartbeat that this node leads, while it does, until `stop`.
pub(crate) async fn send_heartbeats(raft: Raft, heartbeat: Duration, stop: CancellationToken) {
    let metrics = raft.metrics();
    let mut beats = interval(heartbeat);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = beats.tick() => {}
        }
        let leads = metrics.borrow().state == ServerState::Leader;
        if leads && let Err(error) = raft.trigger().heartbeat().await {
            tracing::debug!(%error, "raft has ended, and its heartbeats with it");
            return;
        }
    }
}

/// Stands for election each time that no leader was heard from for a drawn timeout.
pub(crate) struct Elections {
    raft: Raft,
    timers: Timers,
    window: Window,
    prevotes: PreVotes,
    dialer: Arc<Dialer>,
    last_sign: Arc<LastSign>,
    started: Instant,
    /// Elections in a row without a leader.
    failed: u32,
    timeout: Duration,
}

impl Elections {
    pub(crate) fn new(running: &Running, timers: Timers, window: Window, dialer: Arc<Dialer>) -> Self {
        let (raft, last_sign) = (running.raft.clone(), Arc::clone(&running.last_sign));
        let prevotes = PreVotes::new(raft.clone(), Arc::clone(&dialer), timers);
        let (started, timeout) = (Instant::now(), draw(window, 0));
        Self { raft, timers, window, prevotes, dialer, last_sign, started, failed: 0, timeout }
    }

    /// Watches until `stop`.
    pub(crate) async fn watch(mut self, stop: CancellationToken) {
        if stop.run_until_cancelled(self.run()).await.is_some() {
            tracing::debug!("raft has ended, and its elections with it");
        }
    }

    /// Ends when Raft has ended.
    async fn run(&mut self) {
        while let Some(standing) = self.standing().await {
            match standing {
                Standing::Idle => {
                    self.settle();
                    sleep(self.timers.lease()).await;
                }
                Standing::Alone => {
                    if !self.stand(self.started.elapsed()).await {
                        return;
                    }
                }
                Standing::Silence { since, last } => {
                    if last.is_some_and(|last| last.leads) {
                        self.settle();
                    }
                    let (early, due) = (since + self.timeout / 2, since + self.timeout);
                    let now = Instant::now();
                    if now < early {
                        self.sleep_until(early).await;
                    } else if now < due && !self.nobody_to_wait_for(last, due).await {
                        self.sleep_until(due.min(now + self.timers.probe())).await;
                    } else if self.prevotes.could_win().await {
                        if !self.stand(since.elapsed()).await {
                            return;
                        }
                    } else {
                        sleep(self.timers.heartbeat).await;
                    }
                }
            }
        }
    }

    /// Whether half the timeout is enough. Found out before the whole is over.
    async fn nobody_to_wait_for(&self, last: Option<LastHeard>, due: Instant) -> bool {
        let id = self.raft.metrics().borrow().id;
        let Some(last) = last.filter(|last| last.id != id) else { return true };
        timeout_at(due, host_refuses(&self.raft, &self.dialer, last.id, self.timers)).await.unwrap_or(true)
    }

    /// There is a leader: the next election begins anew, in this node's own window.
    fn settle(&mut self) {
        if self.failed > 0 {
            self.failed = 0;
            self.timeout = draw(self.window, 0);
        }
    }

    /// Where this node stands now, asked of Raft's core. An answer that took long is that of a core which
    /// waited for its disk; it does not count the heartbeats that came in meanwhile, so the question is put
    /// again. Not for ever: on a machine without time to spare every answer is late.
    async fn standing(&self) -> Option<Standing> {
        let mut late = 0;
        loop {
            let asked = Instant::now();
            let answer = self.ask().await?;
            if late == LATE_ANSWERS || asked.elapsed() <= self.timers.heartbeat {
                return Some(answer);
            }
            late += 1;
        }
    }

    async fn ask(&self) -> Option<Standing> {
        let (id, started) = (self.raft.metrics().borrow().id, self.started);
        let last_sign = Arc::clone(&self.last_sign);
        let answer = self.raft.with_raft_state(move |state| {
            let membership = state.membership_state.effective();
            if state.server_state == ServerState::Leader || !membership.voter_ids().any(|v| v == id) {
                return Standing::Idle;
            }
            if membership.voter_ids().count() == 1 {
                // Once is enough: nobody else can win or refuse.
                let stands = state.server_state == ServerState::Candidate;
                return if stands { Standing::Idle } else { Standing::Alone };
            }
            // Read when the core answers: the signs that came while it waited are what they are for.
            let since = state.vote_last_modified().max(last_sign.at()).unwrap_or(started);
            Standing::Silence { since, last: last_heard(state.vote_ref()) }
        });
        answer.await.ok()
    }

    /// Sleeps until the timeout is over. A process that was not scheduled for a while wakes up late, with the
    /// heartbeats of that time still unread; it gets a moment to read them.
    async fn sleep_until(&self, due: Instant) {
        sleep_until(due).await;
        if due.elapsed() > self.timers.heartbeat / 2 {
            sleep(self.timers.heartbeat).await;
        }
    }

    /// Asks for an election; `false` when Raft has ended.
    async fn stand(&mut self, silent: Duration) -> bool {
        metrics::counter!("hellojohn_raft_elections_started_total").increment(1);
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        let (silent_ms, timeout_ms) = (millis(silent), millis(self.timeout));
        // Before the timeout was over: there was nobody to wait for.
        let early = silent < self.timeout;
        tracing::info!(
            silent_ms,
            timeout_ms,
            early,
            failed = self.failed,
            "no leader is heard; standing for election"
        );
        let asked = self.raft.trigger().elect().await;
        self.failed = self.failed.saturating_add(1);
        self.timeout = draw(self.window, self.failed);
        asked.is_ok()
    }
}

/// Where a node stands towards elections.
#[derive(Debug, Clone, Copy)]
enum Standing {
    /// It leads, or has no vote, or stands already where it is the only voter.
    Idle,
    /// It is the only voter, and does not lead.
    Alone,
    /// It waits for a sign of a leader or candidate.
    Silence {
        /// When the last one came.
        since: Instant,
        /// From whom; none on a node that never heard of anybody.
        last: Option<LastHeard>,
    },
}

/// A leader or candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastHeard {
    /// Its Raft id.
    pub(crate) id: u64,
    /// Whether it won its election, as far as this node knows.
    leads: bool,
}

/// Whom a node with this vote heard from last.
pub(crate) fn last_heard(vote: &Vote<u64>) -> Option<LastHeard> {
    (*vote != Vote::default()).then_some(LastHeard { id: vote.leader_id.node_id, leads: vote.is_committed() })
}

/// Whether the process of this member has ended, as its host says.
pub(crate) async fn host_refuses(raft: &Raft, dialer: &Dialer, id: u64, timers: Timers) -> bool {
    let name = name_of(&raft.metrics().borrow(), id);
    match name {
        Some(name) => dialer.host_refuses(&name, timers.probe()).await,
        None => false,
    }
}

/// A timeout out of the window, which grows with the failed elections: with delays above the width of a window
/// two nodes may go on disturbing each other.
#[expect(clippy::disallowed_methods, reason = "spreads elections; nothing depends on the value")]
fn draw(window: Window, failed: u32) -> Duration {
    let spread = (window.max_ms - window.min_ms) << failed.min(MAX_DOUBLINGS);
    Duration::from_millis(window.min_ms + rand::rng().random_range(0..=spread))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_stay_in_the_window_until_elections_fail_and_then_spread_within_bounds() {
        let window = Window { min_ms: 300, max_ms: 350 };
        for (failed, longest) in [(0, 350), (1, 400), (2, 500), (4, 1100), (5, 1100), (u32::MAX, 1100)] {
            for _ in 0..200 {
                let drawn = draw(window, failed);
                assert!(drawn >= Duration::from_millis(300), "{failed}: {drawn:?}");
                assert!(drawn <= Duration::from_millis(longest), "{failed}: {drawn:?}");
            }
        }
    }
}
