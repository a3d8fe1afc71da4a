//! What one client may expect from the nodes it talks to: no node's applied index goes back (I7), and a read that asks
//! for an index shows what was acknowledged there.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The reason for a connection that ended before an answer. A client that sends while a server closes an idle connection
/// sees it too, and cannot know that nothing was done.
pub(crate) const CONNECTION_ENDED: &str = "connection ended";

/// One client at one process of one node.
type Session = (usize, usize, u64);

/// The sessions of all clients.
#[derive(Debug, Default)]
pub struct Sessions(Mutex<Seen>);

#[derive(Debug, Default)]
struct Seen {
    applied: BTreeMap<Session, u64>,
    highest: u64,
    /// And how often.
    violations: BTreeMap<String, u64>,
    /// Why the outcome of writes is not known, and how often.
    unknown: BTreeMap<String, u64>,
}

impl Sessions {
    /// A client saw this index at this node, whose process was started for the `start`th time. Calls of one client come
    /// one after the other.
    pub(crate) fn saw(&self, client: usize, node: usize, start: u64, index: u64) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.highest = seen.highest.max(index);
        let before = seen.applied.insert((client, node, start), index).unwrap_or(0);
        if index < before {
            let what = format!(
                "I7: client {client} saw applied index {before} at node{}, and then {index}",
                node + 1
            );
            *seen.violations.entry(what).or_default() += 1;
        }
    }

    /// The outcome of a write is not known, for this reason.
    pub(crate) fn unknown(&self, why: &str) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.unknown.entry(why.to_owned()).or_default() += 1;
    }

    /// How many outcomes are not known although the connection stood.
    pub fn in_doubt(&self) -> u64 {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.unknown.iter().filter(|(why, _)| *why != CONNECTION_ENDED).map(|(_, times)| times).sum()
    }

    /// Why outcomes are not known, and how often; empty where all are.
    pub fn reasons(&self) -> String {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let reasons: Vec<String> = seen.unknown.iter().map(|(why, times)| format!("{why} {times}")).collect();
        reasons.join(", ")
    }

    /// Something that must not be.
    pub(crate) fn violation(&self, what: String) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *seen.violations.entry(what).or_default() += 1;
    }

    /// What must not be and was seen.
    pub fn violations(&self) -> Vec<String> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.violations.iter().map(|(what, times)| format!("{what} ({times} times)")).collect()
    }

    /// The highest index anybody saw.
    pub fn highest(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).highest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_goes_back_at_one_process_is_a_violation() {
        let sessions = Sessions::default();
        sessions.saw(1, 0, 1, 10);
        // Another node, another process, another client.
        sessions.saw(1, 1, 1, 7);
        sessions.saw(1, 0, 2, 8);
        sessions.saw(2, 0, 1, 9);
        assert!(sessions.violations().is_empty());
        sessions.saw(1, 0, 1, 9);
        assert_eq!(
            sessions.violations(),
            ["I7: client 1 saw applied index 10 at node1, and then 9 (1 times)"]
        );
        assert_eq!(sessions.highest(), 10);
    }
}
