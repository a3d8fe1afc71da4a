//! What can be wrong with a configuration, told so that the operator knows where and what to do.

use std::fmt;

use super::resolve::Source;

/// The kind of a problem, for callers that decide by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A file could not be read, or is larger than any configuration should be.
    Unreadable,
    /// A file is not YAML, or not a dotenv file.
    Syntax,
    /// A key that no setting has.
    UnknownKey,
    /// A key that stands twice in one file.
    DuplicateKey,
    /// A setting without a default was not given.
    Missing,
    /// A value outside the grammar or range of its setting.
    Invalid,
    /// Settings that are fine alone but not together.
    Conflict,
}

/// One problem: where it is, which setting, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// What kind of problem it is.
    pub kind: ErrorKind,
    /// The file, variable or flag the value came from; `None` when nothing was given at all.
    pub source: Option<Source>,
    /// The key as YAML path (`server.addr`), where the problem is about one.
    pub key: Option<String>,
    /// The name of the environment variable, where the key is one of ours.
    pub env: Option<&'static str>,
    /// Why the value cannot be used. Never contains the value of a secret setting.
    pub reason: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = &self.source {
            write!(f, "{source}: ")?;
        }
        match (&self.key, self.env) {
            (Some(key), Some(env)) => write!(f, "{key} ({env}): ")?,
            // Not one of ours, so it may hold anything.
            (Some(key), None) => write!(f, "{}: ", key.escape_debug())?,
            (None, Some(env)) => write!(f, "{env}: ")?,
            (None, None) => {}
        }
        write!(f, "{}; {}", self.reason, self.remedy)
    }
}

impl std::error::Error for Error {}

/// Every problem of one configuration, in the order in which they were found; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(Vec<Error>);

impl Errors {
    /// `None` when there is nothing to report.
    pub(super) fn from_list(list: Vec<Error>) -> Option<Self> {
        (!list.is_empty()).then_some(Self(list))
    }

    /// The problems, to be moved into a longer list.
    pub(super) fn list_mut(&mut self) -> &mut Vec<Error> {
        &mut self.0
    }

    /// How many there are, as the first line of a report.
    pub fn title(&self) -> String {
        match self.0.len() {
            1 => "the configuration has a problem:".to_owned(),
            count => format!("the configuration has {count} problems:"),
        }
    }

    /// The problems.
    pub fn list(&self) -> &[Error] {
        &self.0
    }
}

impl From<Error> for Errors {
    fn from(error: Error) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title())?;
        for error in &self.0 {
            write!(f, "\n  - {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Something that works but that the operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The setting it is about, as YAML path; `None` for an unknown variable.
    pub key: Option<&'static str>,
    /// What to know.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key {
            Some(key) => write!(f, "{key}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}
