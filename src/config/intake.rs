//! Collects values and problems while the sections are read and checked.

use std::collections::BTreeSet;

use super::error::{Error, ErrorKind, Warning};
use super::resolve::Resolved;
use super::setting::{Fallback, Raw, Setting};
use super::table;
use super::value::Invalid;

/// What the sections read from, and where they put their problems.
pub(super) struct Intake<'a> {
    resolved: &'a Resolved,
    errors: Vec<Error>,
    warnings: Vec<Warning>,
    /// Settings with a problem; checks that build on them keep quiet.
    failed: BTreeSet<&'static str>,
}

impl<'a> Intake<'a> {
    pub(super) fn new(resolved: &'a Resolved) -> Self {
        Self { resolved, errors: Vec::new(), warnings: Vec::new(), failed: BTreeSet::new() }
    }

    /// The value of a setting that always has one. After an invalid text the fallback stands in, so that
    /// the rest of the section can still be checked; `None` only when there is nothing to stand in.
    pub(super) fn value<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&Raw) -> Result<T, Invalid>,
    ) -> Option<T> {
        if let Some(entry) = self.resolved.given(setting.key) {
            match parse(&entry.raw) {
                Ok(value) => return Some(value),
                Err(invalid) => self.invalid(setting, invalid),
            }
        }
        let fallback = match setting.fallback {
            Fallback::Literal(text) => Some(text.to_owned()),
            Fallback::Derived { compute, .. } => compute(self.resolved),
            Fallback::Required { remedy } => {
                if self.resolved.given(setting.key).is_none() {
                    self.push(ErrorKind::Missing, setting, Invalid::new("is not set", remedy));
                }
                return None;
            }
            Fallback::Unset { .. } => None,
        };
        let parsed = fallback.and_then(|text| parse(&Raw::Text(text)).ok());
        if parsed.is_none() {
            // What it derives from is invalid and says so itself, or will in its own section.
            self.failed.insert(setting.key);
        }
        parsed
    }

    /// The value of a setting that may be absent; also absent, but reported, when invalid.
    pub(super) fn optional<T>(
        &mut self,
        setting: &'static Setting,
        parse: impl Fn(&Raw) -> Result<T, Invalid>,
    ) -> Option<T> {
        let entry = self.resolved.given(setting.key)?;
        match parse(&entry.raw) {
            Ok(value) => Some(value),
            Err(invalid) => {
                self.invalid(setting, invalid);
                None
            }
        }
    }

    /// True when none of `keys` has a problem of its own, so that a check between them makes sense.
    pub(super) fn sound(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| !self.failed.contains(key))
    }

    /// True when a layer gave a value for `key`.
    pub(super) fn is_given(&self, key: &str) -> bool {
        self.resolved.given(key).is_some()
    }

    /// Settings that are fine alone but not together; `keys[0]` is the one to name. Quiet when one of them
    /// has a problem already.
    pub(super) fn conflict(
        &mut self,
        keys: &[&'static str],
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if !self.sound(keys) {
            return;
        }
        if let Some(setting) = keys.first().and_then(|key| table::by_key(key)) {
            self.push(ErrorKind::Conflict, setting, Invalid::new(reason, remedy));
        }
    }

    /// Like [`Self::conflict`] for a setting that is needed because of what others say.
    pub(super) fn missing(
        &mut self,
        key: &'static str,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        if !self.sound(&[key]) {
            return;
        }
        if let Some(setting) = table::by_key(key) {
            self.push(ErrorKind::Missing, setting, Invalid::new(reason, remedy));
        }
    }

    /// A value that turned out unusable after parsing, such as a file that cannot be read.
    pub(super) fn unusable(&mut self, key: &'static str, invalid: Invalid) {
        if let Some(setting) = table::by_key(key) {
            self.invalid(setting, invalid);
        }
    }

    /// Something to know.
    pub(super) fn warn(&mut self, key: &'static str, text: impl Into<String>) {
        self.warnings.push(Warning { key: Some(key), text: text.into() });
    }

    /// The problems and the warnings.
    pub(super) fn finish(self) -> (Vec<Error>, Vec<Warning>) {
        (self.errors, self.warnings)
    }

    fn invalid(&mut self, setting: &'static Setting, invalid: Invalid) {
        self.push(ErrorKind::Invalid, setting, invalid);
    }

    fn push(&mut self, kind: ErrorKind, setting: &'static Setting, invalid: Invalid) {
        self.failed.insert(setting.key);
        let Invalid { reason, remedy } = invalid;
        self.errors.push(Error {
            kind,
            source: self.resolved.given(setting.key).map(|entry| entry.source.clone()),
            key: Some(setting.key.to_owned()),
            env: setting.env.first().copied(),
            reason,
            remedy,
        });
    }
}
