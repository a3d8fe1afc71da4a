use proptest::prelude::*;

use super::*;

fn operation(action: Action, start: u64, outcome: Outcome) -> Operation {
    Operation { client: 0, key: "k".to_owned(), action, start, outcome }
}

/// Every order of every selection of the unknown writes is tried: slow, and too simple to be wrong.
fn brute_force(operations: &[&Operation]) -> bool {
    fn search(left: &[&Operation], content: Option<u64>) -> bool {
        let must_end = left.iter().filter_map(|operation| operation.end()).min();
        let Some(must_end) = must_end else { return true };
        left.iter().enumerate().filter(|(_, next)| next.start <= must_end).any(|(place, next)| {
            let mut rest = left.to_vec();
            rest.remove(place);
            match next.action {
                Action::Write(value) => search(&rest, Some(value)),
                Action::Read(value) => value == content && search(&rest, content),
            }
        })
    }
    let may_happen: Vec<&Operation> =
        operations.iter().copied().filter(|operation| operation.outcome != Outcome::Refused).collect();
    search(&may_happen, None)
}

/// Small histories: the numbers written are distinct, what is read is anything.
fn histories() -> impl Strategy<Value = Vec<Operation>> {
    let outcome = |start: u64| {
        prop_oneof![
            5 => (0_u64..12).prop_map(move |long| Outcome::Done { end: start + long, revision: None }),
            1 => Just(Outcome::Unknown),
            1 => Just(Outcome::Refused),
        ]
    };
    let one = (0_u64..20, any::<bool>(), proptest::option::of(0_u64..7))
        .prop_flat_map(move |(start, is_write, value)| (Just((start, is_write, value)), outcome(start)));
    proptest::collection::vec(one, 1..8).prop_map(|drawn| {
        let mut operations = Vec::new();
        for (number, ((start, is_write, value), outcome)) in (0_u64..).zip(drawn) {
            let action = if is_write { Action::Write(number) } else { Action::Read(value) };
            if is_write || matches!(outcome, Outcome::Done { .. }) {
                operations.push(operation(action, start, outcome));
            }
        }
        operations
    })
}

/// Histories of a real register, used at one moment within each operation: always linearizable.
fn honest() -> impl Strategy<Value = Vec<Operation>> {
    let one = (0_u64..6, 0_u64..6, any::<bool>(), 0_u8..8);
    proptest::collection::vec(one, 1..60).prop_map(|drawn| {
        let mut content = None;
        let mut operations = Vec::new();
        for (number, (before, after, is_write, fate)) in (0_u64..).zip(drawn) {
            let moment = number * 4 + 10;
            let (start, end) = (moment - before, moment + after);
            if is_write {
                // Unknown outcomes both ways: it happened, or it did not.
                let outcome = if fate < 2 { Outcome::Unknown } else { Outcome::Done { end, revision: None } };
                if fate != 0 {
                    content = Some(number);
                }
                operations.push(operation(Action::Write(number), start, outcome));
            } else {
                let outcome = Outcome::Done { end, revision: None };
                operations.push(operation(Action::Read(content), start, outcome));
            }
        }
        operations
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_search_agrees_with_brute_force(operations in histories()) {
        let operations: Vec<&Operation> = operations.iter().collect();
        let found = check(&operations, DEFAULT_LIMIT);
        prop_assert_eq!(found.is_ok(), brute_force(&operations), "{:?}", found);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_a_register_gives_is_accepted(operations in honest()) {
        let operations: Vec<&Operation> = operations.iter().collect();
        prop_assert_eq!(check(&operations, DEFAULT_LIMIT), Ok(()));
    }
}

#[test]
fn a_history_as_long_as_a_drill_is_checked_quickly() {
    // Eight clients that overlap all the time.
    let operations: Vec<Operation> = (0..20_000_u64)
        .map(|n| {
            let action = if n % 3 == 0 { Action::Write(n) } else { Action::Read(n.checked_sub(n % 3)) };
            operation(action, n * 10, Outcome::Done { end: n * 10 + 45, revision: None })
        })
        .collect();
    let operations: Vec<&Operation> = operations.iter().collect();
    assert_eq!(check(&operations, DEFAULT_LIMIT), Ok(()));
}

#[test]
fn a_search_that_is_given_up_is_no_acceptance() {
    let done = |end| Outcome::Done { end, revision: None };
    let mut operations: Vec<Operation> = (0..12).map(|n| operation(Action::Write(n), 0, done(100))).collect();
    operations.push(operation(Action::Read(Some(3)), 200, done(210)));
    operations.push(operation(Action::Read(Some(4)), 220, done(230)));
    let operations: Vec<&Operation> = operations.iter().collect();
    assert!(matches!(check(&operations, 1_000), Err(Unacceptable::TooLarge { .. })));
}

#[test]
fn what_fits_nowhere_is_named() {
    let done = |end| Outcome::Done { end, revision: None };
    let operations = [
        operation(Action::Write(1), 0, done(10)),
        operation(Action::Write(2), 20, done(30)),
        operation(Action::Read(Some(1)), 40, done(50)),
    ];
    let operations: Vec<&Operation> = operations.iter().collect();
    let why = check(&operations, DEFAULT_LIMIT).unwrap_err().to_string();
    assert!(why.contains("the read of 1 (40-50 µs) fits nowhere after 2 of 3"), "{why}");
}
