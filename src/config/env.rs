//! The one home of the process environment.

use std::collections::BTreeMap;

/// The variables of this process. What is not valid Unicode keeps its valid part with U+FFFD in place of
/// the rest; a setting that holds U+FFFD is refused later, by name.
pub fn process() -> BTreeMap<String, String> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect()
}
