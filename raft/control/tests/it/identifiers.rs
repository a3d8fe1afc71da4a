//! The grammars of spec §2.1, against the regular expressions as they stand there (S105).

use std::sync::LazyLock;

use hellojohn_control::{ClientId, Kid, ScopeName, Slug};
use proptest::prelude::*;
use regex::Regex;

const SLUG: &str = "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$";
const CLIENT_ID: &str = "^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$";
const SCOPE: &str = r"^[a-z0-9](?:[a-z0-9:_\.-]{0,62}[a-z0-9])?$";

/// Text that is near the grammars: their alphabets, some strangers, lengths around their limits.
fn near() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => r"[a-zA-Z0-9._~:-]{0,5}",
        2 => "[a-z0-9][a-z0-9-]{58,66}",
        2 => "[A-Za-z0-9][A-Za-z0-9._~-]{124,131}",
        1 => r"[a-z0-9./\\%é\x00\n-]{0,6}",
        1 => any::<String>(),
    ]
}

/// The grammar without its anchors, to make texts from.
fn inside(grammar: &str) -> impl Strategy<Value = String> + use<> {
    let body = grammar.strip_prefix('^').unwrap().strip_suffix('$').unwrap();
    proptest::string::string_regex(body).unwrap()
}

#[test]
fn the_grammars_are_those_of_the_specification() {
    assert_eq!(Slug::GRAMMAR, SLUG);
    assert_eq!(ClientId::GRAMMAR, CLIENT_ID);
    assert_eq!(ScopeName::GRAMMAR, SCOPE);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_identifier_is_exactly_what_its_grammar_matches(text in near()) {
        static GRAMMARS: LazyLock<[Regex; 4]> =
            LazyLock::new(|| [SLUG, CLIENT_ID, SCOPE, Kid::GRAMMAR].map(|grammar| Regex::new(grammar).unwrap()));
        let [slug, client_id, scope, kid] = &*GRAMMARS;
        prop_assert_eq!(Slug::parse(&text).is_ok(), slug.is_match(&text));
        prop_assert_eq!(ClientId::parse(&text).is_ok(), client_id.is_match(&text));
        prop_assert_eq!(ScopeName::parse(&text).is_ok(), scope.is_match(&text));
        prop_assert_eq!(Kid::parse(&text).is_ok(), kid.is_match(&text));
    }
}

proptest! {
    #[test]
    fn everything_inside_a_grammar_is_an_identifier_and_stays_one(
        slug in inside(SLUG),
        client in inside(CLIENT_ID),
        scope in inside(SCOPE),
        kid in inside(Kid::GRAMMAR),
    ) {
        let (slug, client) = (Slug::parse(&slug)?, ClientId::parse(&client)?);
        let (scope, kid) = (ScopeName::parse(&scope)?, Kid::parse(&kid)?);
        let document = serde_json::to_string(&(&slug, &client, &scope, &kid))?;
        prop_assert_eq!(serde_json::from_str::<(Slug, ClientId, ScopeName, Kid)>(&document)?, (
            slug.clone(), client.clone(), scope, kid.clone()
        ));
        for name in [slug.as_str(), client.as_str(), kid.as_str()] {
            prop_assert!(!name.contains(['/', '\\', '\0', '%']) && !name.starts_with('.'), "safe as a file name");
        }
    }
}
