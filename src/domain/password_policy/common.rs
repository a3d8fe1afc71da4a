//! The passwords that are tried first: built in, so that nobody needs to configure them (S63).

use std::collections::HashSet;
use std::sync::LazyLock;

/// With their source and its licence in front. Only entries of eight characters or more: no policy allows fewer.
const FILE: &str = include_str!("common.txt");

static COMMON: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| FILE.lines().filter(|line| !line.starts_with('#')).collect());

/// Whether a folded password is one of them.
pub(super) fn contains(folded: &str) -> bool {
    COMMON.contains(folded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::password_policy::fold;

    /// S63: at least the 3,000 most common ones that the policy would allow, in the form that they are looked up in.
    #[test]
    fn there_are_three_thousand_and_each_is_found() {
        assert_eq!(COMMON.len(), 3000);
        assert!(COMMON.iter().all(|word| fold(word) == **word && word.chars().count() >= 8));
        assert!(["password", "12345678", "iloveyou", "trustno1"].iter().all(|word| contains(word)));
        assert!(!contains("") && !contains("#") && !contains("correct horse battery"));
    }
}
