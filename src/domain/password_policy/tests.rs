use proptest::prelude::*;

use super::*;

const NOBODY: Context<'static> = Context { email: None, tenant: None, tenant_name: None };

fn broken(policy: &PasswordPolicy, password: &str) -> Vec<Violation> {
    policy.check(password, &NOBODY, &Blacklist::default()).err().unwrap_or_default()
}

fn codes(policy: &PasswordPolicy, password: &str) -> Vec<&'static str> {
    broken(policy, password).into_iter().map(Violation::code).collect()
}

/// S63: no composition rule unless somebody asks for one.
#[test]
fn the_default_asks_for_eight_to_128_characters_of_any_kind() {
    let policy = PasswordPolicy::default();
    assert_eq!(broken(&policy, "aaaaaab"), [Violation::TooShort(8)]);
    assert_eq!(broken(&policy, "aaaaaaab"), []);
    assert_eq!(broken(&policy, "        "), []);
    assert_eq!(broken(&policy, &"a".repeat(128)), []);
    assert_eq!(broken(&policy, &"a".repeat(129)), [Violation::TooLong(128)]);
}

/// S63: counted in characters after NFC, whatever their size in bytes.
#[test]
fn length_is_counted_in_characters_after_nfc() {
    let policy = PasswordPolicy { max_length: 8, ..PasswordPolicy::default() };
    assert_eq!(broken(&policy, &"\u{e9}".repeat(8)), []);
    assert_eq!(broken(&policy, &"e\u{301}".repeat(8)), []);
    assert_eq!(broken(&policy, &"e\u{301}".repeat(7)), [Violation::TooShort(8)]);
    assert_eq!(broken(&policy, &"😀".repeat(8)), []);
}

#[test]
fn every_broken_rule_is_named_with_its_stable_code() {
    let strict = PasswordPolicy {
        require_upper: true,
        require_lower: true,
        require_digit: true,
        require_symbol: true,
        ..PasswordPolicy::default()
    };
    assert_eq!(
        codes(&strict, ""),
        ["too_short", "needs_upper", "needs_lower", "needs_digit", "needs_symbol"]
    );
    assert_eq!(codes(&strict, "abcdefgh1!"), ["needs_upper"]);
    assert_eq!(codes(&strict, "ABCDEFGH1!"), ["needs_lower"]);
    assert_eq!(codes(&strict, "ABCDefgh!!"), ["needs_digit"]);
    assert_eq!(codes(&strict, "ABCDefgh11"), ["needs_symbol"]);
    assert_eq!(codes(&strict, "ABCDefg 11"), [""; 0]);
    assert_eq!(codes(&strict, "Ünïcödé٣§xxx"), [""; 0]);
    assert_eq!(codes(&strict, &"A1!a".repeat(33)), ["too_long"]);
    assert_eq!(Violation::TooShort(8).to_string(), "must have at least 8 characters");
}

/// T44
#[test]
fn the_blacklist_ignores_case_form_blank_lines_and_comments() {
    let file = "\u{feff}password1\r\n\r\n   \n# comment\nCaf\u{e9}Caf\u{e9}\nwith space \nΟΔΥΣΣΕΥΣ\nstrasse1";
    let list = Blacklist::parse(file.as_bytes()).unwrap();
    assert_eq!(list.len(), 5);
    for bad in
        ["password1", "PASSWORD1", "CAFE\u{301}cafe\u{301}", "With Space ", "οδυσσευς", "οδυσσευσ", "STRAßE1"]
    {
        assert!(list.contains(bad), "{bad}");
        let verdict = PasswordPolicy::default().check(bad, &NOBODY, &list).unwrap_err();
        assert!(verdict.contains(&Violation::Blacklisted), "{bad}");
    }
    for good in ["", "password12", "# comment", "with space", "   "] {
        assert!(!list.contains(good), "{good}");
    }
    assert!(Blacklist::parse(b"").unwrap().is_empty());
}

#[test]
fn a_list_that_is_too_large_or_not_utf8_is_refused_with_the_remedy() {
    let large = vec![b'a'; Blacklist::MAX_BYTES + 1];
    assert_eq!(Blacklist::parse(&large).unwrap_err(), BlacklistError::TooLarge);
    let latin1 = Blacklist::parse(b"one\ntwo\nthr\xe9e\n").unwrap_err();
    assert_eq!(latin1, BlacklistError::NotUtf8(3));
    assert!(latin1.to_string().contains("SECURITY_PASSWORD_BLACKLIST_PATH"));
}

/// S63
#[test]
fn a_password_that_everybody_tries_first_is_refused_whatever_its_case() {
    let policy = PasswordPolicy::default();
    for bad in ["password1", "PassWord1", "qwertyuiop", "1qaz2wsx"] {
        assert_eq!(codes(&policy, bad), ["common"], "{bad}");
    }
    for good in ["password1 is not enough", "qwertyuiop, no", "correct horse battery"] {
        assert_eq!(codes(&policy, good), [""; 0], "{good}");
    }
    // The operator's own list comes first, so that its owner sees it at work.
    let own = Blacklist::parse(b"password1").unwrap();
    assert_eq!(policy.check("password1", &NOBODY, &own).unwrap_err(), [Violation::Blacklisted]);
}

/// S63: the names of the account and of its tenant, and these with a year or a sign behind them.
#[test]
fn a_password_that_is_little_else_than_the_account_is_refused() {
    let context = Context {
        email: Some("Maria.Silva@mail.example.com"),
        tenant: Some("acme-corp"),
        tenant_name: Some("Acme Trading Ltd."),
    };
    let check = |password| {
        let verdict = PasswordPolicy::default().check(password, &context, &Blacklist::default());
        verdict.err().unwrap_or_default()
    };
    for bad in ["maria.silva@mail.EXAMPLE.com", "MARIA.SILVA", "Acme-Corp", "acme trading ltd."] {
        assert_eq!(check(bad), [Violation::SameAsAccount], "{bad}");
    }
    for bad in
        ["maria.silva!", "Silva-Maria-99", "example2026", "mail.example", "ACMEacme1234567", "Trading#765432"]
    {
        assert_eq!(check(bad), [Violation::ContainsContext], "{bad}");
    }
    // Enough beside it; words too short to count; nothing of it.
    for good in ["my acme-corp horse", "maria eats 3 horses", "ltd.com.co", "correct horse battery"] {
        assert_eq!(check(good), [], "{good}");
    }
    let short = Context { email: Some("bo@x.io"), tenant: Some("a"), tenant_name: Some("A") };
    for good in ["bobobobo", "alabama banana"] {
        PasswordPolicy::default().check(good, &short, &Blacklist::default()).unwrap();
    }
}

#[test]
fn debug_does_not_list_the_passwords() {
    assert_eq!(format!("{:?}", Blacklist::parse(b"hunter2\n").unwrap()), "Blacklist(1 passwords)");
}

proptest! {
    #[test]
    fn whatever_is_on_the_list_is_found_in_any_case_and_form(password in "[^\n\r#][^\n\r]{0,20}") {
        prop_assume!(!password.trim().is_empty() && !password.starts_with('\u{feff}'));
        let list = Blacklist::parse(password.as_bytes()).unwrap();
        prop_assert!(list.contains(&password));
        prop_assert!(list.contains(&password.to_uppercase()));
        let decomposed: String = password.nfd().collect();
        prop_assert!(list.contains(&decomposed));
    }

    #[test]
    fn both_forms_of_a_password_get_the_same_verdict(password in "\\PC{0,40}") {
        let strict = PasswordPolicy { require_upper: true, require_digit: true, ..PasswordPolicy::default() };
        let decomposed: String = password.nfd().collect();
        prop_assert_eq!(broken(&strict, &password), broken(&strict, &decomposed));
    }
}
