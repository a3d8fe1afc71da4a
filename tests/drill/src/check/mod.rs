//! Judges a history: is it one that a single register, used one request after the other, could have given?

pub mod linearize;
pub mod revisions;

#[cfg(test)]
mod doctored;

use std::collections::BTreeMap;

use crate::history::Operation;

/// What is wrong with a history; empty when nothing is.
pub fn violations(operations: &[Operation]) -> Vec<String> {
    let mut found = Vec::new();
    for (key, operations) in by_key(operations) {
        if let Err(why) = linearize::check(&operations, linearize::DEFAULT_LIMIT) {
            found.push(format!("I1 {key}: {why}"));
        }
        found.extend(revisions::check(&operations).into_iter().map(|why| format!("I8 {key}: {why}")));
    }
    found
}

/// Registers are independent of each other, so each has a history of its own.
pub fn by_key(operations: &[Operation]) -> BTreeMap<&str, Vec<&Operation>> {
    let mut keys: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        keys.entry(&operation.key).or_default().push(operation);
    }
    keys
}
