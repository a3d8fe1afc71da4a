//! The program itself says so, and fails, when a history cannot be.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::process::Command;

use hellojohn_drill::history::{Action, Operation, Outcome, save};

fn operation(action: Action, start: u64, revision: u64) -> Operation {
    let outcome = Outcome::Done { end: start + 5, revision: Some(revision) };
    Operation { client: 1, key: "drill-0".to_owned(), action, start, outcome }
}

fn judged(operations: &[Operation]) -> (bool, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("history.jsonl");
    save(&file, operations).unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_hellojohn-drill")).arg("check").arg(&file).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_history_is_accepted_and_the_same_with_a_stale_read_is_not() {
    let mut operations = vec![
        operation(Action::Write(1), 0, 1),
        operation(Action::Write(2), 10, 2),
        operation(Action::Read(Some(2)), 20, 2),
    ];
    assert_eq!(judged(&operations), (true, "3 operations, 0 violations\n".to_owned()));
    operations.push(operation(Action::Read(Some(1)), 30, 1));
    let (accepted, said) = judged(&operations);
    assert!(!accepted && said.contains("VIOLATION I1 drill-0: not linearizable"), "{said}");
}
