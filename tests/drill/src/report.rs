//! What a drill gives: one line of figures for people, the same as JSON for programs.

use std::fmt;

use serde::Serialize;

use crate::history::{Operation, Outcome};

/// Figures of one drill.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Figures {
    /// Name of the drill.
    pub drill: String,
    /// What it breaks.
    pub title: String,
    /// Where the nodes were: namespaces or loopback.
    pub place: String,
    /// Seconds from the first fault to the end of the load.
    pub seconds: u64,
    /// Calls of all clients.
    pub requests: u64,
    /// Acknowledged writes.
    pub acknowledged: u64,
    /// Writes of unknown outcome.
    pub unknown: u64,
    /// Writes that the server said it did not do.
    pub refused: u64,
    /// Acknowledged writes that a node lacked in the end.
    pub lost: usize,
    /// The longest time without an acknowledged write, from the first fault on.
    pub gap_ms: u64,
    /// Terms that were begun from the first fault on.
    pub elections: u64,
    /// How often another node led than before.
    pub leader_changes: u64,
    /// Whether the history has linearizable reads, or only writes and the reads at the end.
    pub reads_in_history: bool,
    /// What else was measured.
    pub notes: Vec<String>,
    /// What does not hold.
    pub violations: Vec<String>,
    /// Why it was not run.
    pub skipped: Option<String>,
}

impl Figures {
    /// Counts the operations of a history.
    pub fn count(&mut self, operations: &[Operation], session_reads: u64, mark: u64) {
        let count = |holds: &dyn Fn(&Operation) -> bool| {
            u64::try_from(operations.iter().filter(|operation| holds(operation)).count()).unwrap_or(u64::MAX)
        };
        self.requests = count(&|_| true) + session_reads;
        self.acknowledged = count(&Operation::is_acknowledged_write);
        self.unknown = count(&|operation| operation.outcome == Outcome::Unknown);
        self.refused = count(&|operation| operation.outcome == Outcome::Refused);
        self.gap_ms = longest_gap(operations, mark) / 1000;
    }

    /// Whether everything held.
    pub fn holds(&self) -> bool {
        self.violations.is_empty() && self.lost == 0
    }
}

/// The longest time, in microseconds, from `mark` to the next acknowledged write or between two later ones.
pub fn longest_gap(operations: &[Operation], mark: u64) -> u64 {
    let acknowledged = operations.iter().filter(|operation| operation.is_acknowledged_write());
    let mut times: Vec<u64> = acknowledged.filter_map(Operation::end).filter(|end| *end > mark).collect();
    times.sort_unstable();
    let before = std::iter::once(mark).chain(times.iter().copied());
    before.zip(times.iter().copied()).map(|(before, at)| at - before).max().unwrap_or(0)
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.skipped {
            return write!(f, "{}: SKIPPED: {why}", self.drill);
        }
        write!(
            f,
            "{} ({}): requests {}, unknown {}, lost {}, longest gap {} ms, elections {}, leader changes {}; \
             acknowledged {}, refused {}, {} s, {}",
            self.drill,
            self.title,
            self.requests,
            self.unknown,
            self.lost,
            self.gap_ms,
            self.elections,
            self.leader_changes,
            self.acknowledged,
            self.refused,
            self.seconds,
            self.place
        )?;
        if !self.reads_in_history {
            write!(f, "; history of writes and final reads only, the server refuses linearizable reads")?;
        }
        for note in &self.notes {
            write!(f, "; {note}")?;
        }
        if self.holds() {
            return write!(f, "; holds");
        }
        write!(f, "; {} VIOLATIONS", self.violations.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Action;

    #[test]
    fn the_gap_is_the_longest_time_without_an_acknowledged_write_after_the_mark() {
        let write = |end, outcome: Option<u64>| Operation {
            client: 0,
            key: "k".to_owned(),
            action: Action::Write(end),
            start: 0,
            outcome: outcome.map_or(Outcome::Unknown, |end| Outcome::Done { end, revision: None }),
        };
        let at = |end| write(end, Some(end));
        let operations = [at(0), at(500), at(510), write(700, None), at(900), at(905)];
        assert_eq!(longest_gap(&operations, 505), 390);
        assert_eq!(longest_gap(&operations, 905), 0);
        assert_eq!(longest_gap(&[at(700)], 100), 600);
    }

    #[test]
    fn a_loss_never_counts_as_holding() {
        let figures = Figures { lost: 1, ..Figures::default() };
        assert!(!figures.holds());
        assert!(figures.to_string().contains("lost 1"));
    }
}
