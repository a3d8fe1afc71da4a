use proptest::prelude::*;

use super::*;
use crate::domain::rng::OsRng;

/// The secret of RFC 6238 appendix B.
fn rfc() -> TotpSecret {
    TotpSecret::from_bytes(&SecretBytes::from(b"12345678901234567890".to_vec())).unwrap()
}

fn code(secret: &TotpSecret, step: Step) -> TotpCode {
    std::str::from_utf8(secret.code(step).as_slice()).unwrap().parse().unwrap()
}

/// RFC 6238 appendix B, SHA1: eight digits, of which ours are the last six.
#[test]
fn the_vectors_of_rfc_6238() {
    for (secs, eight) in [
        (59, 94_287_082),
        (1_111_111_109, 7_081_804),
        (1_111_111_111, 14_050_471),
        (1_234_567_890, 89_005_924),
        (2_000_000_000, 69_279_037),
        (20_000_000_000, 65_353_130),
    ] {
        assert_eq!(rfc().truncated(secs / PERIOD) % 100_000_000, eight, "{secs}");
        let six = format!("{:06}", eight % MODULUS);
        assert_eq!(code(&rfc(), secs / PERIOD), six.parse().unwrap(), "{secs}");
    }
}

/// RFC 4226 appendix D.
#[test]
fn the_vectors_of_rfc_4226() {
    let wanted =
        ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
    for (step, wanted) in (0..).zip(wanted) {
        assert_eq!(code(&rfc(), step), wanted.parse().unwrap(), "{step}");
    }
}

/// S65: the step that is now and its neighbours, exactly.
#[test]
fn a_code_is_good_from_one_step_before_to_one_step_after() {
    let secret = rfc();
    let step = 60_000_000;
    let code = code(&secret, step);
    let at = |secs: i64| secret.step_of(&code, Timestamp::from_secs(secs));
    assert_eq!(at((step - 1) * PERIOD - 1), None);
    assert_eq!(at((step - 1) * PERIOD), Some(step));
    assert_eq!(at(step * PERIOD), Some(step));
    assert_eq!(at((step + 2) * PERIOD - 1), Some(step));
    assert_eq!(at((step + 2) * PERIOD), None);
}

#[test]
fn a_code_of_another_secret_is_none() {
    let (one, two) = (TotpSecret::generate(&OsRng), TotpSecret::generate(&OsRng));
    let now = Timestamp::from_secs(1_800_000_000);
    // Some of a hundred steps may share their code; not most.
    let shared = (0..100).filter(|n| {
        let at = now.plus(std::time::Duration::from_secs(n * 30));
        two.step_of(&code(&one, at.secs() / PERIOD), at).is_some()
    });
    assert!(shared.count() < 5);
}

#[test]
fn the_url_says_everything_and_escapes_what_people_chose() {
    let url = rfc().otpauth_url("Acme: Söhne & Co/?#", "ann+x@example.com");
    assert_eq!(
        url.expose(),
        "otpauth://totp/Acme%20%20S%C3%B6hne%20%26%20Co%2F%3F%23:ann%2Bx%40example.com\
         ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Acme%20%20S%C3%B6hne%20%26%20Co%2F%3F%23\
         &algorithm=SHA1&digits=6&period=30"
    );
    let parsed = url::Url::parse(url.expose()).unwrap();
    let pairs: Vec<_> = parsed.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(pairs, ["secret", "issuer", "algorithm", "digits", "period"]);
}

/// S111
#[test]
fn a_secret_is_not_printed() {
    assert_eq!(format!("{:?}", rfc()), "TotpSecret(..)");
}

#[test]
fn only_twenty_bytes_are_a_secret() {
    for size in [0, 19, 21, 64] {
        assert!(TotpSecret::from_bytes(&SecretBytes::from(vec![1; size])).is_err(), "{size}");
    }
}

proptest! {
    /// Whatever the secret and the moment: the codes around now are found, and the step told is one whose code it is.
    #[test]
    fn every_code_of_the_window_is_found(bytes in proptest::array::uniform20(any::<u8>()), secs in 60_i64..253_402_300_799, skew in -1_i64..=1) {
        let secret = TotpSecret::from_bytes(&SecretBytes::from(bytes.to_vec())).unwrap();
        let step = secs / PERIOD + skew;
        let typed = code(&secret, step);
        let found = secret.step_of(&typed, Timestamp::from_secs(secs)).unwrap();
        prop_assert!((found - secs / PERIOD).abs() <= SKEW && found >= step);
        prop_assert_eq!(code(&secret, found), typed);
    }
}
