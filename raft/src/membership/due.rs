//! What the Raft membership lacks to be what the state says. Pure, so that every case can be tested.

use std::collections::{BTreeMap, BTreeSet};

use hellojohn_control::Formation;

use crate::types::Metrics;

/// Entries that a learner may still lack when it becomes a voter.
pub(super) const LAG: u64 = 64;

/// A change that the membership needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change {
    /// A change was begun by a leader that is gone.
    Finish(BTreeSet<u64>),
    /// A node that has caught up becomes a voter: a new one, or in the place of who it was before it lost its disk.
    Seat { name: String, raft_id: u64, voters: BTreeSet<u64> },
    /// A node was removed.
    Unseat { name: String, voters: BTreeSet<u64> },
    /// Learners that were removed, and ids that were given to a node which lost its disk again.
    Forget(BTreeSet<u64>),
}

/// What is due now, in the order in which it should be tried. Each is one change of what the membership is now, so that
/// after one the others must be asked for again.
pub(super) fn due(formation: &Formation, metrics: &Metrics) -> Vec<Change> {
    let membership = metrics.membership_config.membership();
    let configs = membership.get_joint_config();
    if configs.len() > 1 {
        return configs.last().cloned().map(Change::Finish).into_iter().collect();
    }
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let nodes: BTreeMap<u64, &str> = membership.nodes().map(|(id, node)| (*id, node.name.as_str())).collect();
    let without = |name: &str| -> BTreeSet<u64> {
        voters.iter().copied().filter(|id| nodes.get(id) != Some(&name)).collect()
    };
    let mut changes = Vec::new();
    for (name, member) in &formation.members {
        let Some(raft_id) = member.raft_id.filter(|id| !voters.contains(id) && nodes.contains_key(id)) else {
            continue;
        };
        if member.role.is_voter() && caught_up(metrics, raft_id) {
            let mut voters = without(name);
            voters.insert(raft_id);
            changes.push(Change::Seat { name: name.clone(), raft_id, voters });
        }
    }
    let removed = nodes
        .iter()
        // Added again before it had left, it comes as a learner.
        .filter(|(_, name)| formation.members.get(**name).is_none_or(|member| !member.role.is_voter()))
        .filter(|(id, _)| voters.contains(id))
        .map(|(_, name)| *name);
    for name in removed {
        let voters = without(name);
        if !voters.is_empty() {
            changes.push(Change::Unseat { name: name.to_owned(), voters });
        }
    }
    let current = |name: &str| formation.members.get(name).and_then(|member| member.raft_id);
    let stale: BTreeSet<u64> = nodes
        .iter()
        .filter(|(id, name)| !voters.contains(id) && current(name) != Some(**id))
        .map(|(id, _)| *id)
        .collect();
    if !stale.is_empty() {
        changes.push(Change::Forget(stale));
    }
    changes
}

/// Whether the leader with these metrics has sent this member nearly all of its log.
pub(super) fn caught_up(metrics: &Metrics, raft_id: u64) -> bool {
    let last = metrics.last_log_index.unwrap_or(0);
    let matched = metrics.replication.as_ref().and_then(|all| all.get(&raft_id).copied().flatten());
    matched.is_some_and(|id| id.index.saturating_add(LAG) >= last)
}

#[cfg(test)]
mod tests;
