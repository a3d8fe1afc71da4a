//! The checks are able to fail: histories as a correct cluster gives them, and the same with one lie in each.

use super::violations;
use crate::history::{Action, Operation, Outcome};

fn operation(client: usize, action: Action, start: u64, outcome: Outcome) -> Operation {
    Operation { client, key: "k".to_owned(), action, start, outcome }
}

fn write(value: u64, start: u64, end: u64, revision: u64) -> Operation {
    operation(1, Action::Write(value), start, Outcome::Done { end, revision: Some(revision) })
}

fn read(value: Option<u64>, start: u64, end: u64, revision: Option<u64>) -> Operation {
    operation(2, Action::Read(value), start, Outcome::Done { end, revision })
}

fn unknown(value: u64, start: u64) -> Operation {
    operation(3, Action::Write(value), start, Outcome::Unknown)
}

/// Three writes, one of them of unknown outcome and seen later, and reads in between.
fn honest() -> Vec<Operation> {
    vec![
        read(None, 0, 5, None),
        write(11, 10, 20, 1),
        read(Some(11), 30, 40, Some(1)),
        unknown(12, 50),
        read(Some(11), 60, 70, Some(1)),
        read(Some(12), 80, 90, Some(2)),
        write(13, 100, 110, 3),
        read(Some(13), 120, 130, Some(3)),
    ]
}

fn without_revisions(mut operations: Vec<Operation>) -> Vec<Operation> {
    for operation in &mut operations {
        if let Outcome::Done { revision, .. } = &mut operation.outcome {
            *revision = None;
        }
    }
    operations
}

#[test]
fn an_honest_history_is_accepted() {
    assert_eq!(violations(&honest()), Vec::<String>::new());
}

/// Each lie shows in the values alone, and where revisions are known in them too.
fn refused(doctor: impl Fn(&mut Vec<Operation>)) {
    let mut operations = honest();
    doctor(&mut operations);
    assert!(!violations(&operations).is_empty(), "{operations:?}");
    assert!(!violations(&without_revisions(operations.clone())).is_empty(), "{operations:?}");
}

#[test]
fn a_stale_read_is_a_violation() {
    refused(|operations| operations.push(read(Some(11), 140, 150, Some(1))));
}

#[test]
fn a_lost_write_is_a_violation() {
    // 13 was acknowledged, and afterwards the state before it is there.
    refused(|operations| {
        operations.truncate(7);
        operations.push(read(Some(12), 120, 130, Some(2)));
    });
}

#[test]
fn a_lost_first_write_is_a_violation() {
    refused(|operations| operations.insert(2, read(None, 24, 26, None)));
}

#[test]
fn a_value_from_nowhere_is_a_violation() {
    refused(|operations| operations.push(read(Some(99), 140, 150, Some(4))));
}

#[test]
fn a_resurrected_value_is_a_violation() {
    // 12 was overwritten by 13, seen as 13, and is back.
    refused(|operations| operations.push(read(Some(12), 140, 150, Some(4))));
}

#[test]
fn a_refused_write_that_is_seen_is_a_violation() {
    refused(|operations| {
        operations.push(operation(3, Action::Write(14), 140, Outcome::Refused));
        operations.push(read(Some(14), 150, 160, Some(4)));
    });
}

#[test]
fn two_acknowledgements_of_one_revision_are_a_violation() {
    let mut operations = honest();
    operations.push(write(14, 140, 150, 3));
    let found = violations(&operations);
    assert!(found.iter().any(|what| what.contains("one of two writes is gone")), "{found:?}");
}

#[test]
fn a_write_that_took_effect_twice_is_a_violation() {
    // Revision 4 without a write that could have made it.
    let mut operations = honest();
    operations.push(read(Some(13), 140, 150, Some(4)));
    let found = violations(&operations);
    assert!(found.iter().any(|what| what.contains("took effect twice")), "{found:?}");
    assert!(found.iter().any(|what| what.contains("a write happened twice")), "{found:?}");
}
