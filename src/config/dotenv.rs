//! Dotenv files, read into a map; the process environment is never changed.
//!
//! `$NAME` and `${NAME}` are replaced outside single quotes, as dotenv files do, so a secret with a dollar
//! sign belongs in single quotes.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::{Error, ErrorKind};
use super::resolve::Source;
use super::setting::{Exposure, Setting};
use super::table;

/// The variables of a dotenv file, and what is wrong with it.
pub(super) fn read(path: &Path, text: &str) -> (BTreeMap<String, String>, Vec<Error>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut variables = BTreeMap::new();
    let mut errors = Vec::new();
    for item in dotenvy::from_read_iter(text.as_bytes()) {
        match item {
            Ok((name, value)) => {
                if let Some(_first) = variables.insert(name.clone(), value) {
                    errors.push(error(
                        path,
                        ErrorKind::DuplicateKey,
                        format!("sets {name} twice"),
                        "remove one of the two",
                    ));
                }
            }
            Err(dotenvy::Error::LineParse(line, _)) => {
                // The line itself may hold a secret; its number is enough.
                let at = text.lines().position(|candidate| candidate.trim() == line.trim());
                let place = at.map_or_else(String::new, |at| format!(" in line {}", at + 1));
                errors.push(error(
                    path,
                    ErrorKind::Syntax,
                    format!("cannot be read{place}"),
                    "write NAME=value, with single quotes around values that have spaces or '$'",
                ));
            }
            Err(other) => {
                errors.push(error(path, ErrorKind::Syntax, format!("cannot be read: {other}"), "correct it"));
            }
        }
    }
    (variables, errors)
}

/// Secret settings whose line has a dollar sign outside single quotes: part of the secret was replaced.
pub(super) fn secrets_with_dollar(text: &str) -> impl Iterator<Item = &'static Setting> {
    table::all().filter(|setting| setting.exposure != Exposure::Public).filter(move |setting| {
        text.lines().any(|line| {
            let line = line.trim_start();
            let (name, value) =
                line.strip_prefix("export ").unwrap_or(line).split_once('=').unwrap_or_default();
            setting.env.contains(&name.trim()) && value.contains('$') && !value.trim_start().starts_with('\'')
        })
    })
}

fn error(path: &Path, kind: ErrorKind, reason: String, remedy: &str) -> Error {
    Error {
        kind,
        source: Some(Source::File(path.to_owned())),
        key: None,
        env: None,
        reason,
        remedy: remedy.to_owned(),
    }
}
