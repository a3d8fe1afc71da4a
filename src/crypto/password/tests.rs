use proptest::prelude::*;

use super::*;
use crate::domain::rng::OsRng;

fn password(text: &str) -> Password {
    Password::parse(&text.into()).unwrap()
}

fn hasher_with(memory_kib: u32, iterations: u32) -> Hasher {
    Hasher::new(HashParams::new(memory_kib, iterations, 1).unwrap(), &OsRng).unwrap()
}

fn hasher() -> Hasher {
    hasher_with(64, 2)
}

const YES: Verified = Verified { ok: true, needs_rehash: false };
const NO: Verified = Verified { ok: false, needs_rehash: false };

#[test]
fn the_right_password_verifies_and_another_does_not() {
    let hasher = hasher();
    let phc = hasher.hash(&OsRng, &password("correct horse")).unwrap();
    assert!(phc.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{phc}");
    assert_eq!(hasher.verify(&password("correct horse"), Some(&phc)).unwrap(), YES);
    assert_eq!(hasher.verify(&password("correct horsf"), Some(&phc)).unwrap(), NO);
    assert_eq!(hasher.verify(&password(""), Some(&phc)).unwrap(), NO);
}

#[test]
fn the_same_password_never_hashes_to_the_same_text() {
    let hasher = hasher();
    let hash = || hasher.hash(&OsRng, &password("secret")).unwrap();
    assert_ne!(hash(), hash());
}

/// Spec §13.13, S63
#[test]
fn both_unicode_forms_of_a_password_are_the_same_password() {
    let hasher = hasher();
    let composed = hasher.hash(&OsRng, &password("caf\u{e9}")).unwrap();
    assert_eq!(hasher.verify(&password("cafe\u{301}"), Some(&composed)).unwrap(), YES);
    assert_eq!(hasher.verify(&password("cafe"), Some(&composed)).unwrap(), NO);
}

/// S63: nothing is cut off, neither at 72 bytes nor at NUL.
#[test]
fn every_byte_of_a_password_counts() {
    let hasher = hasher();
    let long = "x".repeat(MAX_PASSWORD_BYTES - 1);
    let phc = hasher.hash(&OsRng, &password(&format!("{long}a"))).unwrap();
    assert_eq!(hasher.verify(&password(&format!("{long}b")), Some(&phc)).unwrap(), NO);
    let phc = hasher.hash(&OsRng, &password("a\0b")).unwrap();
    assert_eq!(hasher.verify(&password("a\0c"), Some(&phc)).unwrap(), NO);
}

/// S63
#[test]
fn more_than_1024_bytes_are_refused_before_any_work() {
    let parse = |size: usize| Password::parse(&"x".repeat(size).into());
    assert!(parse(MAX_PASSWORD_BYTES).is_ok());
    assert_eq!(parse(MAX_PASSWORD_BYTES + 1).unwrap_err(), PasswordTooLong);
}

/// S60: the stand-in has the current parameters, and no password opens it.
#[test]
fn an_unknown_user_costs_one_hash_with_the_current_parameters() {
    let hasher = hasher_with(72, 3);
    assert!(hasher.dummy.starts_with("$argon2id$v=19$m=72,t=3,p=1$"), "{}", hasher.dummy);
    assert_eq!(hasher.verify(&password(""), None).unwrap(), NO);
}

/// S64
#[test]
fn a_hash_with_other_parameters_verifies_and_asks_for_a_rehash() {
    let phc = hasher_with(64, 2).hash(&OsRng, &password("secret")).unwrap();
    for other in [hasher_with(128, 2), hasher_with(64, 3)] {
        let right = other.verify(&password("secret"), Some(&phc)).unwrap();
        assert_eq!(right, Verified { ok: true, needs_rehash: true });
        assert_eq!(other.verify(&password("wrong"), Some(&phc)).unwrap(), NO);
    }
}

/// Published vectors of the Argon2 reference implementation: password `password`, salt `somesalt`; the last
/// is of the version that wrote no `v=`.
#[test]
fn hashes_of_the_reference_implementation_verify() {
    let hasher = hasher();
    for phc in [
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$iekCn0Y3spW+sCcFanM2xBT63UP2sghkUoHLIUpWRS8",
        "$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY",
    ] {
        let verdict = hasher.verify(&password("password"), Some(phc)).unwrap();
        assert_eq!(verdict, Verified { ok: true, needs_rehash: true }, "{phc}");
        assert_eq!(hasher.verify(&password("passwore"), Some(phc)).unwrap(), NO, "{phc}");
    }
}

/// S64: refused by its numbers, without allocating anything.
#[test]
fn a_cost_bomb_in_a_stored_hash_is_refused() {
    let tail = "$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    for costs in
        ["m=4194304,t=1,p=1", "m=1048577,t=1,p=1", "m=1024,t=65,p=1", "m=1024,t=1,p=65", "m=1048576,t=9,p=1"]
    {
        let phc = format!("$argon2id$v=19${costs}{tail}");
        let error = hasher().verify(&password("password"), Some(&phc)).unwrap_err();
        assert!(matches!(error, HashError::TooCostly { .. }), "{costs}: {error}");
        assert!(error.to_string().contains("m=1048576"));
    }
}

#[test]
fn a_stored_text_that_is_no_hash_is_refused_not_taken_for_a_wrong_password() {
    let long = format!("$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ${}", "A".repeat(600));
    for phc in [
        "",
        "secret",
        "$2x$12$abcdefghijklmnopqrstuu3Zz0yJ1Q6c8Qb2m1J8r8i5m7w0v3K2a",
        "$argon2id$v=19$m=64,t=2,p=1",
        "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQ",
        "$argon2id$v=18$m=64,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=0,t=0,p=0$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=64,t=2,p=1,x=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        &long,
    ] {
        let error = hasher().verify(&password("secret"), Some(phc)).unwrap_err();
        assert_eq!(error, HashError::Unreadable, "{phc}");
    }
}

#[test]
fn parameters_outside_their_range_name_the_setting() {
    for (memory, iterations, parallelism, setting) in [
        (7, 1, 1, "ARGON2_MEMORY_KIB"),
        (15, 1, 2, "ARGON2_MEMORY_KIB"),
        (MAX_MEMORY_KIB + 1, 1, 1, "ARGON2_MEMORY_KIB"),
        (64, 0, 1, "ARGON2_ITERATIONS"),
        (64, 65, 1, "ARGON2_ITERATIONS"),
        (64, 1, 0, "ARGON2_PARALLELISM"),
        (64, 1, u32::MAX, "ARGON2_PARALLELISM"),
        (MAX_MEMORY_KIB, 9, 1, "ARGON2_MEMORY_KIB × ARGON2_ITERATIONS"),
    ] {
        let error = HashParams::new(memory, iterations, parallelism).unwrap_err();
        assert!(error.to_string().contains(setting), "{memory} {iterations} {parallelism}: {error}");
    }
    assert!(HashParams::new(65536, 3, 2).is_ok());
}

#[test]
fn a_stored_hash_that_takes_more_memory_than_ours_is_heavy() {
    let phc = hasher_with(128, 1).hash(&OsRng, &password("secret")).unwrap();
    assert!(hasher_with(64, 1).is_heavy(&phc));
    assert!(!hasher_with(128, 1).is_heavy(&phc));
    assert!(!hasher_with(64, 1).is_heavy("garbage"));
}

/// S111
#[test]
fn debug_does_not_show_a_password() {
    assert!(!format!("{:?}", password("hunter2")).contains("hunter2"));
}

proptest! {
    /// S116
    #[test]
    fn any_stored_text_is_parsed_or_refused_without_panic(text in "\\PC{0,100}", costs in "m=[0-9]{1,12},t=[0-9]{1,12},p=[0-9]{1,12}") {
        prop_assert!(Stored::parse(&text).is_err());
        let tail = "c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        if let Ok(stored) = Stored::parse(&format!("$argon2id$v=19${costs}${tail}")) {
            prop_assert!(stored.memory_kib() <= MAX_MEMORY_KIB);
        }
    }
}
