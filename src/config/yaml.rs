//! The one home of YAML in this crate: reads a configuration file into texts by key, and other files
//! (seeds, projected documents) into types.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_yaml::{Mapping, Value};

use super::error::{Error, ErrorKind};
use super::resolve::Source;
use super::setting::{Raw, Setting};
use super::table;

/// Characters of an unknown key that are repeated in its error.
const MAX_SHOWN_KEY: usize = 100;

/// Why a text is not the YAML of a type: the place in it and what was expected there. A type that holds secrets
/// must keep them out of its own errors, as `SecretString` does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotYaml(String);

/// Reads one YAML document into a type.
///
/// # Errors
/// [`NotYaml`], with line and column where the parser knows them.
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, NotYaml> {
    serde_yaml::from_str(text).map_err(|error| NotYaml(error.to_string()))
}

/// Reads one YAML document into JSON. A key that is repeated is refused, at every depth.
///
/// # Errors
/// [`NotYaml`], also for what JSON has no form for.
pub fn to_json(text: &str) -> Result<serde_json::Value, NotYaml> {
    let value = from_str::<Value>(text)?;
    serde_json::to_value(value).map_err(|error| NotYaml(error.to_string()))
}

/// The values of a YAML file by setting, and everything that is wrong with the file's shape.
pub(super) fn read(path: &Path, text: &str) -> (BTreeMap<&'static str, Raw>, Vec<Error>) {
    let mut reader = Reader { path, values: BTreeMap::new(), errors: Vec::new() };
    match serde_yaml::from_str::<Value>(text) {
        Ok(Value::Null) => {}
        Ok(Value::Mapping(top)) => reader.top(top),
        Ok(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Sequence(_) | Value::Tagged(_)) => {
            let remedy = "start with a section such as 'server:'";
            reader.push(ErrorKind::Syntax, None, "is not a mapping of sections", remedy);
        }
        Err(error) => reader.syntax(&error),
    }
    (reader.values, reader.errors)
}

struct Reader<'a> {
    path: &'a Path,
    values: BTreeMap<&'static str, Raw>,
    errors: Vec<Error>,
}

impl Reader<'_> {
    fn top(&mut self, top: Mapping) {
        for (name, value) in top {
            let Some(name) = self.name(&name, "") else { continue };
            if !table::is_section(&name) {
                self.unknown(&name);
                continue;
            }
            match value {
                Value::Null => {}
                Value::Mapping(section) => self.section(&name, section),
                Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Sequence(_)
                | Value::Tagged(_) => self.push(
                    ErrorKind::Invalid,
                    Some(&name),
                    "is a section, not a value",
                    "indent its keys under it",
                ),
            }
        }
    }

    fn section(&mut self, section: &str, keys: Mapping) {
        for (name, value) in keys {
            let Some(name) = self.name(&name, section) else { continue };
            let key = format!("{section}.{name}");
            match table::by_key(&key) {
                None => self.unknown(&key),
                Some(setting) => {
                    if let Some(raw) = self.value(setting, value) {
                        self.values.insert(setting.key, raw);
                    }
                }
            }
        }
    }

    /// A key as text; anything else is no key of ours.
    fn name(&mut self, key: &Value, section: &str) -> Option<String> {
        if let Value::String(name) = key {
            return Some(name.clone());
        }
        let place = if section.is_empty() { None } else { Some(section) };
        self.push(ErrorKind::UnknownKey, place, "has a key that is not a text", "remove it");
        None
    }

    /// The value of a setting; `None` for null, which counts as unset, and for what was refused.
    fn value(&mut self, setting: &'static Setting, value: Value) -> Option<Raw> {
        match value {
            Value::Null => None,
            Value::Sequence(items) => {
                let texts =
                    items.into_iter().map(|item| self.scalar(setting, item)).collect::<Option<_>>()?;
                Some(Raw::Items(texts))
            }
            Value::Mapping(pairs) => {
                let mut items = Vec::new();
                for (name, value) in pairs {
                    let name = self.scalar(setting, name)?;
                    let value = self.scalar(setting, value)?;
                    items.push(format!("{name}={value}"));
                }
                Some(Raw::Items(items))
            }
            scalar @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Tagged(_)) => {
                self.scalar(setting, scalar).map(Raw::Text)
            }
        }
    }

    fn scalar(&mut self, setting: &'static Setting, value: Value) -> Option<String> {
        let (reason, remedy) = match value {
            Value::String(text) => return Some(text),
            Value::Bool(switch) if !setting.wants_text() => return Some(switch.to_string()),
            Value::Number(number) if !setting.wants_text() => return Some(number.to_string()),
            // YAML would rewrite 0x1f or 1e3, and a rewritten key opens nothing.
            Value::Bool(_) | Value::Number(_) => ("is not a text", "put it in quotes"),
            Value::Null => ("has an empty item", "remove it"),
            Value::Sequence(_) | Value::Mapping(_) => ("is nested too deep", "give plain values"),
            Value::Tagged(_) => ("has a YAML tag", "remove the tag"),
        };
        self.push(ErrorKind::Invalid, Some(setting.key), reason, remedy);
        None
    }

    fn unknown(&mut self, key: &str) {
        let nested = table::by_key(key)
            .map(|setting| format!("write '{}' indented under '{}:'", setting.leaf(), setting.section()));
        let remedy = nested.unwrap_or_else(|| table::remedy_for_unknown(key));
        let shown: String = key.chars().take(MAX_SHOWN_KEY).collect();
        self.push(ErrorKind::UnknownKey, Some(&shown), "is not a setting", &remedy);
    }

    /// The parser's own words: positions and key names, never values.
    fn syntax(&mut self, error: &serde_yaml::Error) {
        let text = error.to_string();
        if text.contains("duplicate entry") {
            self.push(ErrorKind::DuplicateKey, None, &text, "remove one of the two");
        } else {
            self.push(ErrorKind::Syntax, None, &format!("is not YAML: {text}"), "correct the file");
        }
    }

    fn push(&mut self, kind: ErrorKind, key: Option<&str>, reason: &str, remedy: &str) {
        self.errors.push(Error {
            kind,
            source: Some(Source::File(self.path.to_owned())),
            key: key.map(str::to_owned),
            env: key.and_then(table::by_key).and_then(|setting| setting.env.first().copied()),
            reason: reason.to_owned(),
            remedy: remedy.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code, reason = "only its name matters")]
        name: String,
    }

    #[test]
    fn a_wrong_text_is_told_with_its_place() {
        for (text, expected) in [
            ("name: a\nnmae: b\n", "unknown field `nmae`, expected `name` at line 2 column 1"),
            ("name: a\nname: b\n", "duplicate field `name`"),
            ("{", "line 2 column 1"),
        ] {
            let told = from_str::<Sample>(text).unwrap_err().to_string();
            assert!(told.contains(expected), "{told}");
        }
    }
}
