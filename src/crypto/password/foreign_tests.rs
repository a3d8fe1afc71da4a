//! Vectors say by which program they were made; the password is [`WORD`] unless another one is named.

use crate::crypto::password::{
    HashError, HashParams, Hasher, MAX_MEMORY_KIB, Password, Verified, check_stored,
};
use crate::domain::rng::OsRng;

const WORD: &str = "correct horse battery";

fn hasher() -> Hasher {
    Hasher::new(HashParams::new(64, 1, 1).unwrap(), &OsRng).unwrap()
}

fn verify(word: &str, stored: &str) -> Result<Verified, HashError> {
    hasher().verify(&Password::parse(&word.into()).unwrap(), Some(stored))
}

/// S64: what other systems made verifies, is to be made anew, and another password does not pass.
#[test]
fn hashes_of_other_systems_verify_and_ask_for_a_rehash() {
    for stored in [
        // bcrypt 5.0.0 for Python; PHP writes the same under another letter.
        "$2a$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS",
        "$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS",
        "$2y$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS",
        // hashlib of Python 3.11 with OpenSSL, written as PHC strings.
        "$pbkdf2-sha256$i=1000,l=32$c29tZXNhbHQxMjM0NTY3OA$/SBApkvDnCRTZM8JM3+QsSTWVLuzUlH3smiOHl3Xqac",
        "$pbkdf2-sha512$i=1000$c29tZXNhbHQxMjM0NTY3OA$NAzGjPTmx4ro1q9sJVzsiLEHjwwk53xn5hkSWo39mR8SGJa8C4xDaMR9JX1Fd2qow34YnXHO9LMo+avY2WtnGA",
        "$scrypt$ln=4,r=8,p=1$c29tZXNhbHQxMjM0NTY3OA$1pGjRsN7Y1Wp//xwPt3NINHYkdxX73XiJ84OdR6As3c",
        // passlib 1.7.4
        "$pbkdf2$1000$c29tZXNhbHQxMjM0NTY3OA$q60DeePbpLHpRtNXo.8nWCQm2Og",
        "$pbkdf2-sha256$1000$c29tZXNhbHQxMjM0NTY3OA$/SBApkvDnCRTZM8JM3.QsSTWVLuzUlH3smiOHl3Xqac",
        "$pbkdf2-sha512$1000$c29tZXNhbHQxMjM0NTY3OA$NAzGjPTmx4ro1q9sJVzsiLEHjwwk53xn5hkSWo39mR8SGJa8C4xDaMR9JX1Fd2qow34YnXHO9LMo.avY2WtnGA",
        // passlib 1.7.4 over argon2-cffi
        "$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$8u4GHYdi77qnKvdgq27SV+dAQ7Zg3RLLBwKBWYDkxuI",
        "$argon2i$v=19$m=64,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$Vb+7rQkefjF30WB6A5PJfXHudYUhyJ1vXTcIazFGbc0",
        "$argon2d$v=19$m=64,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$XdC/Ja7+iNYjsskW+lT3EQBETGFlbwywBUOvrBrc3aY",
        // Django 5.2.19; the last one is Django's name before the text of argon2-cffi.
        "pbkdf2_sha256$1000$seasalt123456$U9IOC2eFC3VnVL9fK++3Y9oREhxtj/4vblTplN8Hqio=",
        "pbkdf2_sha1$1000$seasalt123456$niqIUs6Ir7/bcN1Y5u8A3TPJpnU=",
        "scrypt$16$seasalt123456$8$1$pJ3Jv/SgfB0oQUfNAvTxLKNYICl5ga8Hg4bP9F25J2L/48VJcSnp+DGqQdDfAYa2ae4AWm8H+/Bu81Nd7wONFQ==",
        "bcrypt$$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS",
        "argon2$argon2id$v=19$m=64,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$8u4GHYdi77qnKvdgq27SV+dAQ7Zg3RLLBwKBWYDkxuI",
    ] {
        check_stored(stored).unwrap();
        assert_eq!(verify(WORD, stored).unwrap(), Verified { ok: true, needs_rehash: true }, "{stored}");
        assert!(!verify("correct horse batterz", stored).unwrap().ok, "{stored}");
        assert!(!verify("", stored).unwrap().ok, "{stored}");
    }
}

/// The vectors of the specifications: RFC 7914 §12, and those of jBCrypt that its algorithm is checked with.
#[test]
fn vectors_of_the_specifications_verify() {
    let scrypt = "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2DYMvfoswGQA";
    for (word, stored) in [
        ("password", scrypt),
        ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
        ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
        ("abcdefghijklmnopqrstuvwxyz", "$2a$08$aTsUwsyowQuzRrDqFflhgekJ8d9/7Z3GV3UcgvzQW3J5zMyrTvlz."),
    ] {
        assert!(verify(word, stored).unwrap().ok, "{stored}");
    }
}

/// S63: bcrypt never saw more than 72 bytes, and then neither does the comparison; a hash of ours sees all.
#[test]
fn a_bcrypt_hash_is_compared_as_the_old_system_did() {
    // bcrypt 5.0.0 for Python: 72 times x
    let stored = "$2b$04$abcdefghijklmnopqrstuubzadhGtS2zEF.gu0yd0opP6cVzb.e0i";
    assert!(verify(&"x".repeat(72), stored).unwrap().ok);
    assert!(verify(&format!("{}and more", "x".repeat(72)), stored).unwrap().ok);
    assert!(!verify(&"x".repeat(71), stored).unwrap().ok);
    let word = Password::parse(&format!("{}and more", "x".repeat(72)).into()).unwrap();
    let ours = hasher().hash(&OsRng, &word).unwrap();
    assert!(!verify(&"x".repeat(72), &ours).unwrap().ok);
}

/// The old system hashed the bytes that were typed. Both the typed form and NFC are tried, so that whoever could log
/// in there can do so here; afterwards it is NFC like every other one.
#[test]
fn a_password_that_was_hashed_as_typed_verifies_in_both_forms() {
    // bcrypt 5.0.0 for Python: cafe with U+0301, then " horse battery"
    let decomposed = "$2b$04$abcdefghijklmnopqrstuuQxyCVoLDxJd0OQGm/.nBosibAEDuP/C";
    assert!(verify("cafe\u{301} horse battery", decomposed).unwrap().ok);
    assert!(!verify("caf\u{e9} horse battery", decomposed).unwrap().ok, "those are other bytes");
    let composed = hasher().hash(&OsRng, &Password::parse(&"caf\u{e9}".into()).unwrap()).unwrap();
    assert_eq!(verify("cafe\u{301}", &composed).unwrap(), Verified { ok: true, needs_rehash: false });
}

/// S64: refused by its numbers, at the import and at a login.
#[test]
fn a_cost_bomb_of_any_kind_is_refused() {
    let (salt, output) = ("c29tZXNhbHQxMjM0NTY3OA", "1pGjRsN7Y1Wp//xwPt3NINHYkdxX73XiJ84OdR6As3c");
    let crypt = "abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS";
    for stored in [
        format!("$2b$17${crypt}"),
        format!("$2y$31${crypt}"),
        // One GiB and a block; much work in little memory; numbers beyond every machine.
        format!("$scrypt$ln=20,r=8,p=1${salt}${output}"),
        format!("$scrypt$ln=23,r=8,p=1${salt}${output}"),
        format!("$scrypt$ln=10,r=8,p=4096${salt}${output}"),
        format!("$scrypt$ln=1,r=1,p=16777216${salt}${output}"),
        format!("$scrypt$ln=63,r=8,p=1${salt}${output}"),
        format!("$scrypt$ln=14,r=4294967295,p=4294967295${salt}${output}"),
        format!("$scrypt$ln=14,r=18446744073709551615,p=1${salt}${output}"),
        format!("scrypt$1073741824$seasalt$8$1${output}"),
        format!("$pbkdf2-sha256$i=10000001${salt}${output}"),
        format!("$pbkdf2-sha256$18446744073709551615${salt}${output}"),
        format!("pbkdf2_sha1$5000001$seasalt${output}"),
        format!("$argon2id$v=19$m=4194304,t=1,p=1${salt}${output}"),
    ] {
        let error = check_stored(&stored).unwrap_err();
        assert!(matches!(error, HashError::TooCostly { .. }), "{stored}: {error}");
        assert_eq!(verify(WORD, &stored).unwrap_err(), error);
        assert!(!error.to_string().contains(&output[..8]), "{error}");
    }
    for just in [
        format!("$2b$16${crypt}"),
        format!("$scrypt$ln=19,r=8,p=2${salt}${output}"),
        format!("$pbkdf2-sha256$i=10000000${salt}${output}"),
    ] {
        check_stored(&just).unwrap();
    }
}

/// What a comparison takes is what the pool is told (its bound on memory): scrypt by its own numbers.
#[test]
fn a_scrypt_hash_counts_with_its_memory() {
    let tail = "c29tZXNhbHQxMjM0NTY3OA$1pGjRsN7Y1Wp//xwPt3NINHYkdxX73XiJ84OdR6As3c";
    let with = |memory| Hasher::new(HashParams::new(memory, 1, 1).unwrap(), &OsRng).unwrap();
    // 128 × 8 × (16384 + 1) bytes
    let stored = format!("$scrypt$ln=14,r=8,p=1${tail}");
    assert!(with(16_384).is_heavy(&stored));
    assert!(!with(16_385).is_heavy(&stored));
    assert!(with(MAX_MEMORY_KIB / 4).is_heavy(&format!("$scrypt$ln=19,r=8,p=2${tail}")));
    assert!(!with(8).is_heavy("$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS"));
}

#[test]
fn what_is_not_quite_a_hash_is_refused() {
    let (salt, output) = ("c29tZXNhbHQxMjM0NTY3OA", "1pGjRsN7Y1Wp//xwPt3NINHYkdxX73XiJ84OdR6As3c");
    let long = "A".repeat(88);
    for stored in [
        // A variant of bcrypt that was wrong, costs that are none, a salt that is cut off.
        "$2x$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".to_owned(),
        "$2$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".to_owned(),
        "$2b$03$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".to_owned(),
        "$2b$4$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".to_owned(),
        "$2b$+4$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".to_owned(),
        "$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoO".to_owned(),
        "$2b$04$\u{e9}bcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".to_owned(),
        "bcrypt_sha256$$2b$04$abcdefghijklmnopqrstuuqREtd3VJD2QVZbuFskFSLk6eRIrQoOS".to_owned(),
        // An output that everybody meets.
        format!("$pbkdf2-sha256$i=1000${salt}$"),
        format!("$pbkdf2-sha256$i=1000${salt}$AAAA"),
        format!("$pbkdf2-sha256$i=1000${salt}${long}"),
        format!("$scrypt$ln=4,r=8,p=1${salt}$"),
        format!("$scrypt$ln=4,r=8,p=1$${output}"),
        format!("$pbkdf2-sha256$i=0${salt}${output}"),
        format!("$pbkdf2-sha256$i=01000${salt}${output}"),
        format!("$pbkdf2-sha256$i=+1000${salt}${output}"),
        format!("$pbkdf2-sha256$i=1000,l=31${salt}${output}"),
        format!("$pbkdf2-md5$i=1000${salt}${output}"),
        format!("$scrypt$ln=0,r=8,p=1${salt}${output}"),
        format!("$scrypt$ln=4,r=0,p=1${salt}${output}"),
        format!("$scrypt$ln=4,r=8${salt}${output}"),
        format!("$scrypt$r=8,ln=4,p=1${salt}${output}"),
        format!("scrypt$17$seasalt$8$1${output}"),
        format!("md5$seasalt${output}"),
        "5f4dcc3b5aa765d61d8327deb882cf99".to_owned(),
        "$6$rounds=5000$salt$hash".to_owned(),
    ] {
        assert_eq!(check_stored(&stored).unwrap_err(), HashError::Unreadable, "{stored}");
    }
}

proptest::proptest! {
    /// S116: a text that is almost a hash is read or refused, without a panic and within the limits.
    #[test]
    fn any_text_that_is_almost_a_hash_is_read_or_refused(
        head in "(\\$2b\\$[0-9]{1,3}|\\$scrypt\\$ln=[0-9]{1,20},r=[0-9]{1,20},p=[0-9]{1,20}|scrypt\\$[0-9]{1,20}|\\$pbkdf2-sha256\\$(i=)?[0-9]{1,20})",
        tail in "\\$[./A-Za-z0-9+=\\$\\PC]{0,100}",
    ) {
        if let Ok(stored) = super::super::stored::Stored::parse(&format!("{head}{tail}")) {
            proptest::prop_assert!(stored.memory_kib() <= MAX_MEMORY_KIB);
        }
    }
}
