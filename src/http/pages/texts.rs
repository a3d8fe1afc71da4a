//! What the pages say, by language and name.

mod en;
mod es;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::language::Language;

/// Texts by name.
pub(super) type Texts = BTreeMap<&'static str, &'static str>;

static ENGLISH: LazyLock<Texts> = LazyLock::new(|| en::ENGLISH.iter().copied().collect());
static SPANISH: LazyLock<Texts> = LazyLock::new(|| es::SPANISH.iter().copied().collect());

/// All texts of a language.
pub(super) fn of(language: Language) -> &'static Texts {
    match language {
        Language::English => &ENGLISH,
        Language::Spanish => &SPANISH,
    }
}

/// One of them.
pub(super) fn text(language: Language, name: &str) -> &'static str {
    of(language).get(name).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_there_in_both_languages_and_has_the_same_places_to_fill() {
        let names = |texts: &Texts| texts.keys().copied().collect::<Vec<_>>();
        assert_eq!(names(&ENGLISH), names(&SPANISH));
        assert!(ENGLISH.len() > 50);
        assert_eq!(ENGLISH.len(), en::ENGLISH.len(), "one of them is there twice");
        assert_eq!(SPANISH.len(), es::SPANISH.len(), "one of them is there twice");
        for (name, english) in ENGLISH.iter() {
            let spanish = SPANISH[name];
            assert!(!english.trim().is_empty() && !spanish.trim().is_empty(), "{name}");
            for place in ["{client}", "{email}", "{why}"] {
                assert_eq!(english.contains(place), spanish.contains(place), "{name}");
            }
        }
        let same: Vec<_> = ENGLISH.iter().filter(|(name, text)| SPANISH[*name] == **text).collect();
        assert!(same.is_empty(), "not translated: {same:?}");
    }
}
