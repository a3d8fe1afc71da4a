//! Rotation in its steps: next, active, retiring, retired (spec §2.2, §13.3, S46).

use super::support::{ACME, Bench, finding, findings, key, key_ref, kid, rotation, tenant_set};
use crate::documents::{Activation, Alg, KeySet, KeyState};
use crate::{Command, Outcome, Reject, Timestamp, limits};

const FIRST: &str = "acme-key-1";
const SECOND: &str = "acme-key-2";
const THIRD: &str = "acme-key-3";

fn bench() -> (Bench, KeySet) {
    let mut bench = Bench::new();
    bench.path_tenant(ACME);
    (bench, tenant_set(ACME))
}

fn ed(name: &str) -> crate::documents::NewKey {
    key(name, Alg::EdDsa)
}

#[test]
fn a_key_is_published_before_it_signs_and_after_it_stopped() {
    let (mut bench, set) = bench();
    let outcome = bench.rotate(&set, ed(SECOND), 60).unwrap();
    let Outcome::Keys { key: Some(key), retiring } = outcome else { panic!("{outcome:?}") };
    assert_eq!((key.kid.as_str(), key.state, retiring.len()), (SECOND, KeyState::Next, 0));
    assert_eq!(key.activation, Some(Activation { not_before: bench.at(), grace_seconds: 60 }));
    assert_eq!(bench.published(&set), [FIRST, SECOND]);
    assert_eq!(bench.state(&set, FIRST), Some(KeyState::Active), "the old one signs until activation");

    bench.now += 5;
    let outcome = bench.activate(&set, SECOND).unwrap();
    let Outcome::Keys { key: Some(key), retiring } = outcome else { panic!("{outcome:?}") };
    assert_eq!((key.kid.as_str(), key.state, key.activation), (SECOND, KeyState::Active, None));
    assert_eq!(key.not_before, bench.at());
    let [old] = &retiring[..] else { panic!("{retiring:?}") };
    let end = Timestamp::from_secs(bench.now + 60);
    assert_eq!((old.kid.as_str(), old.state, old.retire_at), (FIRST, KeyState::Retiring, Some(end)));
    assert_eq!(bench.published(&set), [FIRST, SECOND], "the old one verifies for the whole grace");

    bench.now += 60;
    bench.retire(vec![key_ref(&set, FIRST)]).unwrap();
    assert_eq!(bench.state(&set, FIRST), Some(KeyState::Retired));
    assert_eq!(bench.published(&set), [SECOND]);
}

#[test]
fn activating_twice_is_activating_once() {
    let (mut bench, set) = bench();
    bench.rotate(&set, ed(SECOND), 60).unwrap();
    bench.activate(&set, SECOND).unwrap();
    let hash = bench.hash();
    bench.now += 30;
    bench.activate(&set, SECOND).unwrap();
    assert_eq!(bench.hash(), hash);
}

#[test]
fn a_late_activation_of_a_key_that_was_replaced_is_refused() {
    let (mut bench, set) = bench();
    bench.rotate(&set, ed(SECOND), 60).unwrap();
    bench.activate(&set, SECOND).unwrap();
    bench.rotate(&set, ed(THIRD), 60).unwrap();
    bench.activate(&set, THIRD).unwrap();
    assert_eq!(bench.activate(&set, SECOND), Err(Reject::KeyNotFound));
    assert_eq!(bench.activate(&set, "never-was"), Err(Reject::KeyNotFound));
    assert_eq!(bench.activate(&tenant_set("nobody"), SECOND), Err(Reject::TenantNotFound));
    assert_eq!(bench.state(&set, THIRD), Some(KeyState::Active));
}

#[test]
fn a_prepublished_key_waits_for_its_time() {
    let (mut bench, set) = bench();
    bench.run(rotation(&set, ed(SECOND), 60, 600, false)).unwrap();
    let due = Timestamp::from_secs(bench.now + 600);
    bench.now += 599;
    assert_eq!(bench.activate(&set, SECOND), Err(Reject::NotDue { until: due }));
    let pending = bench.view().pending_activations();
    let [(which, intent)] = &pending[..] else { panic!("{pending:?}") };
    assert_eq!((which, intent.not_before), (&key_ref(&set, SECOND), due));
    bench.now += 1;
    bench.activate(&set, SECOND).unwrap();
    assert!(bench.view().pending_activations().is_empty());
}

/// S46: concurrent rotations serialise.
#[test]
fn one_rotation_of_an_algorithm_at_a_time() {
    let (mut bench, set) = bench();
    bench.rotate(&set, ed(SECOND), 60).unwrap();
    assert_eq!(bench.rotate(&set, ed(THIRD), 60), Err(Reject::RotationPending { kid: kid(SECOND) }));
    bench.rotate(&set, key("acme-rsa-1", Alg::Rs256), 60).unwrap();
    bench.activate(&set, SECOND).unwrap();
    bench.rotate(&set, ed(THIRD), 60).unwrap();
    assert_eq!(
        bench.state(&set, "acme-rsa-1"),
        Some(KeyState::Next),
        "algorithms do not wait for each other"
    );
}

#[test]
fn without_grace_the_old_key_goes_at_once() {
    let (mut bench, set) = bench();
    bench.rotate(&set, ed(SECOND), 0).unwrap();
    bench.activate(&set, SECOND).unwrap();
    assert_eq!(bench.state(&set, FIRST), Some(KeyState::Retired));
    assert_eq!(bench.published(&set), [SECOND]);
}

/// spec §2.2: `activate=now` skips the wait after a compromise, in one command.
#[test]
fn activating_now_discards_a_key_that_was_waiting() {
    let (mut bench, set) = bench();
    bench.run(rotation(&set, ed(SECOND), 60, 600, false)).unwrap();
    let outcome = bench.run(rotation(&set, ed(THIRD), 60, 0, true)).unwrap();
    let Outcome::Keys { key: Some(key), .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!((key.kid.as_str(), key.state), (THIRD, KeyState::Active));
    assert_eq!(bench.published(&set), [FIRST, THIRD]);
    assert_eq!(bench.state(&set, SECOND), Some(KeyState::Retired));
    assert_eq!(bench.activate(&set, SECOND), Err(Reject::KeyNotFound));
    assert!(bench.view().pending_activations().is_empty());
}

#[test]
fn activating_now_without_grace_leaves_nothing_of_the_compromised_algorithm() {
    let (mut bench, set) = bench();
    bench.rotate(&set, key("acme-rsa-1", Alg::Rs256), 60).unwrap();
    bench.activate(&set, "acme-rsa-1").unwrap();
    bench.rotate(&set, ed(SECOND), 600).unwrap();
    bench.activate(&set, SECOND).unwrap();
    assert_eq!(bench.state(&set, FIRST), Some(KeyState::Retiring));
    bench.run(rotation(&set, ed(THIRD), 0, 0, true)).unwrap();
    assert_eq!(bench.published(&set), [THIRD, "acme-rsa-1"]);
}

/// spec §2.2: a current key is never deleted by clean-up.
#[test]
fn clean_up_never_takes_a_key_that_is_in_use() {
    let (mut bench, set) = bench();
    bench.rotate(&set, ed(SECOND), 60).unwrap();
    let hash = bench.hash();
    bench.now += 1_000_000_000;
    bench.retire(vec![key_ref(&set, FIRST), key_ref(&set, SECOND)]).unwrap();
    assert_eq!(bench.hash(), hash);
}

#[test]
fn a_key_that_is_not_due_stays_and_so_do_those_of_the_same_command() {
    let (mut bench, set) = bench();
    bench.rotate(&set, ed(SECOND), 10).unwrap();
    bench.activate(&set, SECOND).unwrap();
    bench.rotate(&set, ed(THIRD), 60).unwrap();
    bench.activate(&set, THIRD).unwrap();
    let until = Timestamp::from_secs(bench.now + 60);
    bench.now += 10;
    assert_eq!(bench.view().due_retirements(bench.at()), [key_ref(&set, FIRST)]);
    // The bench sees to it that a reject changed nothing, although the first key of the list was due.
    let result = bench.retire(vec![key_ref(&set, FIRST), key_ref(&set, SECOND)]);
    assert_eq!(result, Err(Reject::NotDue { until }));
    bench.retire(bench.view().due_retirements(bench.at())).unwrap();
    assert_eq!(bench.published(&set), [SECOND, THIRD]);
}

#[test]
fn retiring_what_went_in_the_meantime_is_no_error() {
    let (mut bench, set) = bench();
    bench.rotate(&set, ed(SECOND), 0).unwrap();
    bench.activate(&set, SECOND).unwrap();
    let hash = bench.hash();
    bench
        .retire(vec![key_ref(&set, FIRST), key_ref(&set, "never-was"), key_ref(&tenant_set("nobody"), FIRST)])
        .unwrap();
    assert_eq!(bench.hash(), hash);
}

#[test]
fn the_record_of_retired_keys_is_limited_to_the_newest() {
    let (mut bench, set) = bench();
    for i in 2..30 {
        bench.now += 1;
        bench.run(rotation(&set, ed(&format!("acme-key-{i}")), 0, 0, true)).unwrap();
    }
    let view = bench.view();
    let mut all: Vec<u32> =
        view.keys(&set).unwrap().keys().keys().map(|kid| kid.as_str()[9..].parse().unwrap()).collect();
    all.sort_unstable();
    assert_eq!(all, (21..30).collect::<Vec<_>>(), "the active one and the eight before it");
}

#[test]
fn published_keys_are_limited() {
    let (mut bench, set) = bench();
    for i in 2..=limits::PUBLISHED_KEYS {
        bench.run(rotation(&set, ed(&format!("acme-key-{i}")), 1000, 0, true)).unwrap();
    }
    let full = Reject::LimitReached { what: "published keys of an algorithm".to_owned(), limit: 16 };
    assert_eq!(bench.run(rotation(&set, ed("one-more"), 1000, 0, true)), Err(full.clone()));
    assert_eq!(bench.rotate(&set, ed("one-more"), 1000), Err(full));
    bench.run(rotation(&set, ed("one-more"), 0, 0, true)).unwrap();
    assert_eq!(bench.published(&set), ["one-more"], "the way out after a compromise stays open");
}

#[test]
fn grace_and_prepublication_are_limited() {
    let (mut bench, set) = bench();
    let max = limits::GRACE_SECONDS;
    let result = bench.run(rotation(&set, ed(SECOND), max + 1, 0, false));
    assert_eq!(findings(result), finding("graceSeconds", "out_of_range"));
    let result = bench.run(rotation(&set, ed(SECOND), 0, max + 1, false));
    assert_eq!(findings(result), finding("prepublishSeconds", "out_of_range"));
    bench.run(rotation(&set, ed(SECOND), max, max, false)).unwrap();
}

#[test]
fn a_tenant_without_keys_of_its_own_has_none_to_rotate() {
    let mut bench = Bench::with_acme();
    assert_eq!(bench.rotate(&tenant_set(ACME), ed(SECOND), 0), Err(Reject::IssuerModeGlobal));
    assert_eq!(bench.rotate(&tenant_set("nobody"), ed(SECOND), 0), Err(Reject::TenantNotFound));
}

#[test]
fn sets_rotate_independently() {
    let (mut bench, set) = bench();
    bench.run(Command::EnsureGlobalKeys { keys: vec![ed("global-1")] }).unwrap();
    bench.rotate(&KeySet::Global, ed("global-2"), 60).unwrap();
    bench.rotate(&set, ed(SECOND), 60).unwrap();
    bench.activate(&KeySet::Global, "global-2").unwrap();
    assert_eq!(bench.state(&set, SECOND), Some(KeyState::Next));
    assert_eq!(
        bench.view().due_retirements(Timestamp::from_secs(bench.now + 60)),
        [key_ref(&KeySet::Global, "global-1")]
    );
}
