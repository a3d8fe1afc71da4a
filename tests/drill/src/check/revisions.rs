//! What revisions tell: every change of a document has its own number, one above the one before.
//!
//! Stronger than the order of values where it applies: it also shows a write that took effect twice, and one that was
//! acknowledged and then overwritten as if it had never been.

use std::collections::BTreeMap;

use crate::history::{Action, Operation, Outcome};

/// What is wrong with the revisions of one register.
pub fn check(operations: &[&Operation]) -> Vec<String> {
    let mut wrong = contradictions(operations);
    wrong.extend(disorder(operations));
    wrong.extend(surplus(operations));
    wrong
}

/// A revision is one state of the document, so all who saw it saw the same.
fn contradictions(operations: &[&Operation]) -> Vec<String> {
    let mut content: BTreeMap<u64, u64> = BTreeMap::new();
    let mut home: BTreeMap<u64, u64> = BTreeMap::new();
    let mut wrong = Vec::new();
    for operation in operations {
        let (Some(revision), Some(value)) = (operation.revision(), seen(operation)) else { continue };
        let before = *content.entry(revision).or_insert(value);
        if before != value {
            wrong.push(format!("revision {revision} was {before} and {value}: one of two writes is gone"));
        }
        let at = *home.entry(value).or_insert(revision);
        if at != revision {
            wrong.push(format!("{value} took effect twice, as revision {at} and {revision}"));
        }
    }
    wrong
}

fn seen(operation: &Operation) -> Option<u64> {
    match operation.action {
        Action::Write(value) => Some(value),
        Action::Read(value) => value,
    }
}

/// What began after something had ended sees a later state: a write a higher revision, a read at least the same.
fn disorder(operations: &[&Operation]) -> Vec<String> {
    let mut by_start: Vec<&&Operation> = operations.iter().filter(|o| o.revision().is_some()).collect();
    by_start.sort_by_key(|operation| operation.start);
    let mut by_end = by_start.clone();
    by_end.sort_by_key(|operation| operation.end());
    let mut ended = by_end.into_iter().peekable();
    let mut highest = 0;
    let mut wrong = Vec::new();
    for operation in by_start {
        while let Some(before) = ended.next_if(|before| before.end() < Some(operation.start)) {
            highest = before.revision().unwrap_or(0).max(highest);
        }
        let revision = operation.revision().unwrap_or(0);
        match operation.action {
            Action::Write(value) if revision <= highest => wrong.push(format!(
                "the write of {value} got revision {revision} after {highest} had been acknowledged"
            )),
            Action::Read(_) if revision < highest => wrong.push(format!(
                "client {} read revision {revision} after {highest} had been acknowledged",
                operation.client
            )),
            Action::Write(_) | Action::Read(_) => {}
        }
    }
    wrong
}

/// There cannot be more changes than writes that may have taken effect.
fn surplus(operations: &[&Operation]) -> Option<String> {
    let may_have =
        |operation: &&&Operation| operation.written().is_some() && operation.outcome != Outcome::Refused;
    let writes = u64::try_from(operations.iter().filter(may_have).count()).unwrap_or(u64::MAX);
    let highest = operations.iter().filter_map(|operation| operation.revision()).max()?;
    (highest > writes)
        .then(|| format!("{highest} changes by at most {writes} writes: a write happened twice"))
}
