//! The layers: which text is in force for each setting, and where it came from.
//!
//! Order, later wins: default, YAML file, dotenv file, environment, flag. An empty text counts as unset in
//! a file and in the environment (container platforms like to define empty variables); an empty flag clears
//! what the layers below it say.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::{Error, ErrorKind, Errors, Warning};
use super::setting::{Exposure, Fallback, Raw, Setting};
use super::{suggest, table};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Built in, or derived from other settings.
    Default,
    /// A YAML file.
    File(PathBuf),
    /// A dotenv file, by this variable.
    Dotenv(PathBuf, String),
    /// The process environment, by this variable.
    Env(String),
    /// The command line.
    Flag,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Dotenv(path, name) => write!(f, "{} {name}", path.display()),
            Source::Env(name) => write!(f, "environment {name}"),
            Source::Flag => f.write_str("flag"),
        }
    }
}

/// One `section.key=value` of the command line.
#[derive(Clone)]
pub struct Flag {
    /// The setting, as YAML path.
    pub key: String,
    /// Its value; empty clears the setting.
    pub value: String,
}

impl Flag {
    /// Parses the argument of `--set`.
    pub fn parse(text: &str) -> Result<Self, Errors> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok(Self { key: key.trim().to_owned(), value: value.to_owned() })
            }
            // The text is not repeated: it may hold a secret whose key was forgotten.
            Some(_) | None => Err(Errors::from(Error {
                kind: ErrorKind::Syntax,
                source: Some(Source::Flag),
                key: None,
                env: None,
                reason: "--set wants section.key=value".to_owned(),
                remedy: "write for example --set server.addr=:8080".to_owned(),
            })),
        }
    }
}

/// The value can be a secret.
impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flag({}=***)", self.key)
    }
}

/// A text in force and its origin.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The text.
    pub raw: Raw,
    /// Where it came from.
    pub source: Source,
}

/// The texts in force, before parsing; a setting without an entry has its fallback.
#[derive(Debug, Default)]
pub struct Resolved {
    entries: BTreeMap<&'static str, Entry>,
    /// Variables of the environment that are not valid Unicode.
    pub(super) errors: Vec<Error>,
    pub(super) warnings: Vec<Warning>,
}

impl Resolved {
    /// What was given for `key`.
    pub fn given(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// The text in force: given, literal or derived.
    pub(super) fn raw(&self, setting: &Setting) -> Option<Raw> {
        if let Some(entry) = self.given(setting.key) {
            return Some(entry.raw.clone());
        }
        match setting.fallback {
            Fallback::Literal(text) => Some(Raw::Text(text.to_owned())),
            Fallback::Derived { compute, .. } => compute(self).map(Raw::Text),
            Fallback::Required { .. } | Fallback::Unset { .. } => None,
        }
    }

    /// The scalar text in force for the setting named `key`; for derived defaults.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let raw = self.raw(table::by_key(key)?)?;
        raw.text().ok().map(str::to_owned)
    }

    /// Adds the values of a YAML file.
    pub(super) fn add_yaml(&mut self, path: &Path, values: BTreeMap<&'static str, Raw>) {
        for (key, raw) in values {
            if !is_empty(&raw) {
                self.entries.insert(key, Entry { raw, source: Source::File(path.to_owned()) });
            }
        }
    }

    /// Adds variables; `source` makes the origin from a variable's name.
    pub(super) fn add_variables(
        &mut self,
        variables: &BTreeMap<String, String>,
        source: impl Fn(&str) -> Source,
    ) {
        for setting in table::all() {
            let mut given = setting
                .env
                .iter()
                .filter_map(|name| Some((*name, variables.get(*name)?)))
                .filter(|(_, text)| !text.trim().is_empty());
            let Some((name, text)) = given.next() else { continue };
            if let Some((other, _)) = given.find(|(_, other)| *other != text) {
                self.warn(setting.key, format!("{name} and {other} differ; {name} is used"));
            }
            if text.contains(char::REPLACEMENT_CHARACTER) {
                self.errors.push(Error {
                    kind: ErrorKind::Invalid,
                    source: Some(source(name)),
                    key: Some(setting.key.to_owned()),
                    env: Some(name),
                    reason: "is not valid UTF-8".to_owned(),
                    remedy: "write binary values in base64".to_owned(),
                });
                continue;
            }
            self.entries.insert(setting.key, Entry { raw: Raw::Text(text.clone()), source: source(name) });
        }
        self.warn_of_typing_errors(variables);
    }

    /// Adds the flags; the last one for a key wins.
    pub(super) fn add_flags(&mut self, flags: &[Flag]) {
        for flag in flags {
            let Some(setting) = table::by_key(&flag.key) else {
                self.errors.push(Error {
                    kind: ErrorKind::UnknownKey,
                    source: Some(Source::Flag),
                    key: Some(flag.key.clone()),
                    env: None,
                    reason: "is not a setting".to_owned(),
                    remedy: table::remedy_for_unknown(&flag.key),
                });
                continue;
            };
            if flag.value.trim().is_empty() {
                self.entries.remove(setting.key);
                continue;
            }
            if setting.exposure != Exposure::Public {
                self.warn(
                    setting.key,
                    "a secret on the command line can be read in the process list; use the environment"
                        .to_owned(),
                );
            }
            let entry = Entry { raw: Raw::Text(flag.value.clone()), source: Source::Flag };
            self.entries.insert(setting.key, entry);
        }
    }

    /// A variable one letter away from one of ours is most likely a mistake; it cannot be refused, because
    /// the environment is shared with others.
    fn warn_of_typing_errors(&mut self, variables: &BTreeMap<String, String>) {
        let known: Vec<&str> = table::all().flat_map(|setting| setting.env.iter().copied()).collect();
        for name in variables.keys().filter(|name| name.len() >= 8 && !known.contains(&name.as_str())) {
            if let Some(near) = suggest::nearest(name, known.iter().copied(), 1) {
                self.warnings.push(Warning {
                    key: None,
                    text: format!("the variable {name} is not a setting; did you mean {near}?"),
                });
            }
        }
    }

    fn warn(&mut self, key: &'static str, text: String) {
        self.warnings.push(Warning { key: Some(key), text });
    }
}

fn is_empty(raw: &Raw) -> bool {
    match raw {
        Raw::Text(text) => text.trim().is_empty(),
        // An empty sequence was written on purpose.
        Raw::Items(_) => false,
    }
}
