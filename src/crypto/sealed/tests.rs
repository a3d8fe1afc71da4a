use proptest::prelude::*;

use super::*;
use crate::domain::rng::OsRng;

const MASTER: &str = "a master key of thirty-two bytes!";

fn slug(text: &str) -> Slug {
    Slug::parse(text).unwrap()
}

fn reparse(text: &str) -> Sealed {
    Sealed::parse(text).unwrap()
}

fn dsn<'a>(tenant: &'a Slug, field: &'a str) -> Aad<'a> {
    Aad { purpose: Purpose::UserStoreDsn, tenant: Some(tenant), field }
}

#[test]
fn opens_what_it_sealed() {
    let sealer = Sealer::signing(MASTER).unwrap();
    let acme = slug("acme");
    let sealed = sealer.seal(&OsRng, &dsn(&acme, "userStore.dsn"), b"postgres://u:p@h/d").unwrap();
    assert!(sealed.as_str().starts_with(&format!("GCMV1:{}:", sealer.key_id())));
    assert_eq!(sealer.open(&dsn(&acme, "userStore.dsn"), &sealed).unwrap().expose(), b"postgres://u:p@h/d");
}

#[test]
fn the_same_secret_never_seals_to_the_same_text() {
    let sealer = Sealer::signing(MASTER).unwrap();
    let acme = slug("acme");
    let seal = || sealer.seal(&OsRng, &dsn(&acme, "f"), b"secret").unwrap();
    assert_ne!(seal(), seal());
}

/// S47
#[test]
fn a_blob_does_not_open_in_another_tenant_field_or_purpose() {
    let sealer = Sealer::signing(MASTER).unwrap();
    let (acme, evil, acmef) = (slug("acme"), slug("evil"), slug("acmef"));
    let sealed = sealer.seal(&OsRng, &dsn(&acme, "field"), b"secret").unwrap();
    let elsewhere = [
        dsn(&evil, "field"),
        dsn(&acme, "fields"),
        Aad { purpose: Purpose::UserStoreDsn, tenant: None, field: "field" },
        Aad { purpose: Purpose::SmtpPassword, tenant: Some(&acme), field: "field" },
        // The same bytes in another division.
        dsn(&acmef, "ield"),
    ];
    for aad in elsewhere {
        assert_eq!(sealer.open(&aad, &sealed).unwrap_err(), OpenError::Damaged, "{aad:?}");
    }
}

/// S47
#[test]
fn a_truncated_blob_is_refused() {
    let sealer = Sealer::signing(MASTER).unwrap();
    let acme = slug("acme");
    let sealed = sealer.seal(&OsRng, &dsn(&acme, "f"), b"some secret text").unwrap();
    let head = format!("GCMV1:{}:", sealer.key_id()).len();
    for end in head + 1..sealed.as_str().len() {
        let cut = reparse(&sealed.as_str()[..end]);
        assert_eq!(sealer.open(&dsn(&acme, "f"), &cut).unwrap_err(), OpenError::Damaged, "{end}");
    }
}

/// S47: a blob of nonce and tag alone, or with bytes added, is not an empty secret.
#[test]
fn a_blob_of_the_wrong_size_is_refused() {
    let sealer = Sealer::signing(MASTER).unwrap();
    let acme = slug("acme");
    let sealed = sealer.seal(&OsRng, &dsn(&acme, "f"), b"x").unwrap();
    let longer = reparse(&format!("{}AAAA", sealed.as_str()));
    assert_eq!(sealer.open(&dsn(&acme, "f"), &longer).unwrap_err(), OpenError::Damaged);
    for size in [1, 11, 12, 27, 28, 29, 64] {
        let blob = URL_SAFE_NO_PAD.encode(vec![7; size]);
        let forged = reparse(&format!("GCMV1:{}:{blob}", sealer.key_id()));
        assert_eq!(sealer.open(&dsn(&acme, "f"), &forged).unwrap_err(), OpenError::Damaged, "{size}");
    }
}

/// S47: the last character of base64 can carry bits that mean nothing; they must be zero.
#[test]
fn a_non_canonical_blob_is_refused() {
    let sealer = Sealer::signing(MASTER).unwrap();
    let acme = slug("acme");
    let sealed = sealer.seal(&OsRng, &dsn(&acme, "f"), b"").unwrap();
    let (head, last) = sealed.as_str().split_at(sealed.as_str().len() - 1);
    let next = char::from(last.bytes().next().unwrap() + 1);
    let forged = reparse(&format!("{head}{next}"));
    assert_eq!(sealer.open(&dsn(&acme, "f"), &forged).unwrap_err(), OpenError::Damaged);
}

#[test]
fn another_master_key_is_told_apart_from_damage_and_names_the_setting() {
    let acme = slug("acme");
    let ours = Sealer::signing(MASTER).unwrap();
    let theirs = Sealer::signing("another master key of 32+ bytes..").unwrap();
    let sealed = theirs.seal(&OsRng, &dsn(&acme, "f"), b"secret").unwrap();
    let error = ours.open(&dsn(&acme, "f"), &sealed).unwrap_err();
    assert!(
        matches!(&error, OpenError::OtherMasterKey { sealed_with, .. } if sealed_with == theirs.key_id())
    );
    assert!(error.to_string().contains("SIGNING_MASTER_KEY"));
}

#[test]
fn the_two_master_keys_are_separate_domains() {
    let bytes = *b"0123456789abcdef0123456789abcdef";
    let text = std::str::from_utf8(&bytes).unwrap();
    let signing = Sealer::signing(text).unwrap();
    let secretbox = Sealer::secretbox(&base64::engine::general_purpose::STANDARD.encode(bytes)).unwrap();
    assert_ne!(signing.fingerprint(), secretbox.fingerprint());
}

#[test]
fn equal_master_keys_have_equal_fingerprints_that_are_not_the_key() {
    let one = Sealer::signing(MASTER).unwrap();
    let two = Sealer::signing(MASTER).unwrap();
    assert_eq!(one.fingerprint(), two.fingerprint());
    assert_eq!(one.fingerprint().len(), 64);
    assert_ne!(one.fingerprint(), Sealer::signing(&format!("{MASTER} ")).unwrap().fingerprint());
    assert!(!format!("{one:?}").contains(MASTER));
}

/// A signing master key below 32 bytes is a start-up error that names setting and remedy (spec §8).
#[test]
fn short_or_malformed_master_keys_are_refused_with_the_remedy() {
    let short = Sealer::signing(&"x".repeat(31)).unwrap_err();
    assert_eq!(short, MasterKeyError::SigningTooShort { got: 31 });
    assert!(short.to_string().contains("SIGNING_MASTER_KEY") && short.to_string().contains("openssl"));
    assert!(Sealer::signing(&"x".repeat(32)).is_ok());

    let encode = |size: usize| base64::engine::general_purpose::STANDARD.encode(vec![9; size]);
    for bad in ["", "not base64!", &encode(31), &encode(33)] {
        assert_eq!(Sealer::secretbox(bad).unwrap_err(), MasterKeyError::SecretboxMalformed, "{bad}");
    }
    assert!(Sealer::secretbox(&format!("{}\n", encode(32))).is_ok());
    assert!(Sealer::secretbox(encode(32).trim_end_matches('=')).is_ok());
}

#[test]
fn a_secret_beyond_the_limit_is_refused() {
    let sealer = Sealer::signing(MASTER).unwrap();
    let acme = slug("acme");
    let seal = |size| sealer.seal(&OsRng, &dsn(&acme, "f"), &vec![1; size]);
    assert!(seal(MAX_PLAINTEXT_BYTES).is_ok());
    assert_eq!(seal(MAX_PLAINTEXT_BYTES + 1).unwrap_err(), SealError::TooLong);
}

/// Pins the format on disk: a value sealed by version 1 opens for ever.
#[test]
fn a_value_sealed_by_an_earlier_release_opens() {
    let sealer = Sealer::signing(MASTER).unwrap();
    let acme = slug("acme");
    let golden = reparse(include_str!("golden_v1.txt").trim());
    assert_eq!(sealer.open(&dsn(&acme, "userStore.dsn"), &golden).unwrap().expose(), b"golden secret");
}

/// As above, for a mail in the outbox.
#[test]
fn a_mail_sealed_by_an_earlier_release_opens() {
    let sealer = Sealer::signing(MASTER).unwrap();
    let acme = slug("acme");
    let golden = reparse(include_str!("golden_mail_v1.txt").trim());
    let aad = Aad { purpose: Purpose::Mail, tenant: Some(&acme), field: "row" };
    assert_eq!(sealer.open(&aad, &golden).unwrap().expose(), b"golden mail");
}

proptest! {
    /// S47, S116: any change of any character is refused, and nothing panics.
    #[test]
    fn a_garbled_blob_is_refused(secret in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), to in "[A-Za-z0-9_-]") {
        let sealer = Sealer::signing(MASTER).unwrap();
        let acme = slug("acme");
        let sealed = sealer.seal(&OsRng, &dsn(&acme, "f"), &secret).unwrap();
        let opened = sealer.open(&dsn(&acme, "f"), &sealed).unwrap();
        prop_assert_eq!(opened.expose(), &secret[..]);

        let head = format!("GCMV1:{}:", sealer.key_id()).len();
        let at = head + at.index(sealed.as_str().len() - head);
        let mut garbled = sealed.as_str().to_owned();
        garbled.replace_range(at..=at, &to);
        prop_assume!(garbled != sealed.as_str());
        prop_assert_eq!(sealer.open(&dsn(&acme, "f"), &reparse(&garbled)).unwrap_err(), OpenError::Damaged);
    }
}
