//! Linearizability of one register: the search of Wing and Gong with Lowe's memory of what was tried.
//!
//! An order of the operations is looked for in which each takes effect between its start and its end and every read
//! gives the last write before it. Because no number is written twice, two facts make the search small:
//!
//! - a write of unknown outcome that nobody read can be left out, and one that somebody read took effect before the
//!   first such read ended, so that it has an end after all;
//! - a read that fits the present content may be taken at once: putting it off can only make it worse.
//!
//! So only writes that overlap branch. The work is bounded; a history that exceeds it counts as not shown to be right.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::history::{Action, Operation, Outcome};

/// Situations that are looked at before giving up; some seconds of work.
pub const DEFAULT_LIMIT: usize = 2_000_000;

/// Why a history is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unacceptable {
    /// A read gave a number that nobody wrote, or whose write was refused.
    FromNowhere(String),
    /// A number was written twice: the history is not one of this tool.
    WrittenTwice(u64),
    /// No order explains it. The text names what fits nowhere in the best attempt.
    NotLinearizable(String),
    /// The search was given up.
    TooLarge {
        /// Situations looked at.
        looked_at: usize,
    },
}

impl fmt::Display for Unacceptable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FromNowhere(what) => write!(f, "{what}"),
            Self::WrittenTwice(value) => write!(f, "{value} was written twice, which clients must not do"),
            Self::NotLinearizable(what) => write!(f, "not linearizable: {what}"),
            Self::TooLarge { looked_at } => {
                write!(f, "not shown to be linearizable: gave up after {looked_at} situations")
            }
        }
    }
}

/// An operation that must have taken effect between `start` and `end`.
#[derive(Debug, Clone, Copy)]
struct Step {
    start: u64,
    end: u64,
    action: Action,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end, action } = self;
        match action {
            Action::Write(value) => write!(f, "the write of {value} ({start}-{end} µs)"),
            Action::Read(Some(value)) => write!(f, "the read of {value} ({start}-{end} µs)"),
            Action::Read(None) => write!(f, "the read of nothing ({start}-{end} µs)"),
        }
    }
}

/// Checks the history of one register that is empty at the beginning.
///
/// # Errors
/// When no order explains it, or none was found within `limit` situations.
pub fn check(operations: &[&Operation], limit: usize) -> Result<(), Unacceptable> {
    let steps = steps(operations)?;
    Search { steps: &steps, limit, seen: HashSet::new(), best: (0, None) }.run()
}

/// What certainly took effect, sorted by start.
fn steps(operations: &[&Operation]) -> Result<Vec<Step>, Unacceptable> {
    let mut writes: HashMap<u64, &Operation> = HashMap::new();
    for operation in operations {
        if let Some(value) = operation.written()
            && writes.insert(value, operation).is_some()
        {
            return Err(Unacceptable::WrittenTwice(value));
        }
    }
    let mut first_seen: HashMap<u64, u64> = HashMap::new();
    let mut steps = Vec::new();
    for operation in operations {
        let Some(end) = operation.end() else { continue };
        steps.push(Step { start: operation.start, end, action: operation.action });
        let Action::Read(Some(value)) = operation.action else { continue };
        let nowhere =
            |why: &str| Unacceptable::FromNowhere(format!("client {} read {value}, {why}", operation.client));
        match writes.get(&value).map(|write| write.outcome) {
            None => return Err(nowhere("which nobody wrote")),
            Some(Outcome::Refused) => return Err(nowhere("whose write had been refused")),
            Some(Outcome::Unknown | Outcome::Done { .. }) => {}
        }
        let seen = first_seen.entry(value).or_insert(end);
        *seen = end.min(*seen);
    }
    for (value, write) in writes {
        if let (Outcome::Unknown, Some(end)) = (write.outcome, first_seen.get(&value)) {
            steps.push(Step { start: write.start, end: *end, action: write.action });
        }
    }
    steps.sort_by_key(|step| (step.start, step.end));
    Ok(steps)
}

/// Which steps are done: all before `first`, and `others` beyond it, in order.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Situation {
    first: usize,
    others: Vec<usize>,
    content: Option<u64>,
}

impl Situation {
    fn done(&self, step: usize) -> bool {
        step < self.first || self.others.binary_search(&step).is_ok()
    }

    fn count(&self) -> usize {
        self.first + self.others.len()
    }

    fn with(&self, step: usize, action: Action) -> Self {
        let mut next = self.clone();
        if let Action::Write(value) = action {
            next.content = Some(value);
        }
        if let Err(place) = next.others.binary_search(&step) {
            next.others.insert(place, step);
        }
        let mut passed = 0;
        while next.others.get(passed) == Some(&next.first) {
            next.first += 1;
            passed += 1;
        }
        next.others.drain(..passed);
        next
    }
}

struct Search<'a> {
    steps: &'a [Step],
    limit: usize,
    seen: HashSet<Situation>,
    /// The most steps done in any attempt, and one that could not be the next then.
    best: (usize, Option<usize>),
}

impl Search<'_> {
    fn run(mut self) -> Result<(), Unacceptable> {
        let mut open = vec![Situation { first: 0, others: Vec::new(), content: None }];
        while let Some(situation) = open.pop() {
            if situation.first == self.steps.len() {
                return Ok(());
            }
            if self.seen.len() >= self.limit {
                return Err(Unacceptable::TooLarge { looked_at: self.seen.len() });
            }
            if !self.seen.insert(situation.clone()) {
                continue;
            }
            let next = self.next(&situation);
            if situation.count() >= self.best.0 {
                self.best = (situation.count(), self.most_urgent(&situation));
            }
            open.extend(next);
        }
        let stuck = self.best.1.and_then(|step| self.steps.get(step));
        let stuck = stuck.map_or_else(String::new, |step| format!("{step} fits nowhere"));
        Err(Unacceptable::NotLinearizable(format!(
            "{stuck} after {} of {} operations",
            self.best.0,
            self.steps.len()
        )))
    }

    /// What can come next; a read that fits comes alone, as it need not be put off.
    fn next(&self, situation: &Situation) -> Vec<Situation> {
        let mut writes = Vec::new();
        for step in self.candidates(situation) {
            let Some(found) = self.steps.get(step) else { continue };
            match found.action {
                Action::Read(value) if value == situation.content => {
                    return vec![situation.with(step, found.action)];
                }
                Action::Read(_) => {}
                Action::Write(_) => writes.push((found.end, situation.with(step, found.action))),
            }
        }
        // The last one pushed is tried first: the one that must end first.
        writes.sort_by_key(|(end, _)| std::cmp::Reverse(*end));
        writes.into_iter().map(|(_, next)| next).collect()
    }

    /// Steps that are not done and before whose start no other such step ended.
    fn candidates(&self, situation: &Situation) -> Vec<usize> {
        let mut found = Vec::new();
        let mut first_end = u64::MAX;
        for (step, found_step) in self.steps.iter().enumerate().skip(situation.first) {
            if found_step.start > first_end {
                break;
            }
            if !situation.done(step) {
                first_end = first_end.min(found_step.end);
                found.push(step);
            }
        }
        found.retain(|step| self.steps.get(*step).is_some_and(|step| step.start <= first_end));
        found
    }

    fn most_urgent(&self, situation: &Situation) -> Option<usize> {
        let end = |step: &usize| self.steps.get(*step).map_or(u64::MAX, |step| step.end);
        self.candidates(situation).into_iter().min_by_key(end)
    }
}

#[cfg(test)]
mod tests;
