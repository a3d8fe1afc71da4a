//! Timers of the election, and what follows from them.

use std::time::Duration;

use super::settings::ClusterSettings;
use crate::config::intake::Intake;
use crate::config::resolve::Resolved;
use crate::config::table;
use crate::config::value::duration;

/// Heartbeat and election times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timers {
    /// Time between two heartbeats of the leader.
    pub heartbeat: Duration,
    /// Least time without a sign of a leader before a node stands for election; half of it is enough where the leader's
    /// process has ended.
    pub election_min: Duration,
    /// Most time without a leader before a node stands for election.
    pub election_max: Duration,
}

const KEYS: [&str; 3] =
    ["cluster.raft_election_min_ms", "cluster.raft_heartbeat_ms", "cluster.raft_election_max_ms"];

impl Timers {
    pub(super) fn check(settings: &ClusterSettings, intake: &mut Intake<'_>) -> Self {
        let timers = Self {
            heartbeat: settings.raft_heartbeat_ms,
            election_min: settings.raft_election_min_ms,
            election_max: settings.raft_election_max_ms,
        };
        if timers.heartbeat * 4 > timers.election_min || timers.election_min >= timers.election_max {
            intake.conflict(
                &KEYS,
                format!(
                    "heartbeat {}, election from {} to {} do not fit together",
                    duration::show(timers.heartbeat),
                    duration::show(timers.election_min),
                    duration::show(timers.election_max)
                ),
                "keep 4 × raft_heartbeat_ms <= raft_election_min_ms < raft_election_max_ms",
            );
        }
        timers
    }
}

/// Default of the write timeout (spec §3.3): twice the election maximum, at least one second.
pub(super) fn write_timeout(resolved: &Resolved) -> Option<String> {
    let setting = table::by_key("cluster.raft_election_max_ms")?;
    let max = duration::millis(30, 120_000)(&resolved.raw(setting)?).ok()?;
    Some((max * 2).max(Duration::from_secs(1)).as_millis().to_string())
}
