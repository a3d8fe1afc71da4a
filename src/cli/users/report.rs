//! What became of the lines: counts, and each refusal with its line.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::progress::Progress;
use crate::cli::failure::Failure;
use crate::cli::session::Session;
use crate::cli::terminal::{Output, pairs};

/// Why a line was refused, as the server or this program says it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Reason {
    pub(super) field: String,
    pub(super) code: String,
    pub(super) message: String,
}

#[derive(Serialize)]
struct Refusal<'a> {
    line: u64,
    field: &'a str,
    code: &'a str,
    message: &'a str,
}

/// Counts of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) created: u64,
    pub(super) unchanged: u64,
    pub(super) refused: u64,
}

impl Counts {
    pub(super) fn lines(self) -> u64 {
        self.created + self.unchanged + self.refused
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} created, {} unchanged, {} refused", self.created, self.unchanged, self.refused)
    }
}

/// The report of one import.
pub(super) struct Report {
    pub(super) counts: Counts,
    file: Option<(PathBuf, BufWriter<File>)>,
}

impl Report {
    /// Refusals go into `file`, else to standard error.
    ///
    /// # Errors
    /// When the file cannot be made, or is the one that is imported.
    pub(super) fn new(file: Option<&Path>, input: &Path) -> Result<Self, Failure> {
        let Some(path) = file else { return Ok(Self { counts: Counts::default(), file: None }) };
        let same = |one: &Path, other: &Path| matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other);
        if same(path, input) {
            return Err(Failure::usage("--report names the file that is imported"));
        }
        let file = File::create(path).map_err(|error| {
            Failure::usage(format!("cannot write {}", path.display())).because(error.to_string())
        })?;
        Ok(Self { counts: Counts::default(), file: Some((path.to_owned(), BufWriter::new(file))) })
    }

    /// Tells why a line is no account.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn refuse(
        &mut self,
        line: u64,
        reasons: &[Reason],
        progress: &Progress,
        session: &mut Session<'_>,
    ) -> Result<(), Failure> {
        self.counts.refused += 1;
        for Reason { field, code, message } in reasons {
            let refusal = serde_json::to_string(&Refusal { line, field, code, message })
                .map_err(|error| Failure::failed(error.to_string()))?;
            match (&mut self.file, session.terminal.output()) {
                (Some((path, file)), _) => {
                    writeln!(file, "{refusal}").map_err(|error| unwritten(path, &error))?;
                }
                (None, Output::Json) => progress.aside(|| session.terminal.note(&refusal)),
                (None, Output::Human) => {
                    let at = if field.is_empty() { String::new() } else { format!("{field}: ") };
                    progress.aside(|| session.terminal.note(&format!("line {line}: {at}{message} [{code}]")));
                }
            }
        }
        Ok(())
    }

    /// What was written so far is on its way to the disk.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        match &mut self.file {
            Some((path, file)) => file.flush().map_err(|error| unwritten(path, &error)),
            None => Ok(()),
        }
    }

    /// The summary.
    ///
    /// # Errors
    /// When nobody reads the output any more.
    pub(super) fn show(&self, dry_run: bool, session: &mut Session<'_>) -> Result<(), Failure> {
        let Counts { created, unchanged, refused } = self.counts;
        let path = self.file.as_ref().map(|(path, _)| path.display().to_string());
        let document = json!({
            "lines": self.counts.lines(), "created": created, "unchanged": unchanged, "refused": refused,
            "dry_run": dry_run, "report": path.clone().map_or(Value::Null, Value::String),
        });
        session.terminal.show(&document, || {
            let would = if dry_run { "would be " } else { "" };
            pairs(&[
                ("lines", self.counts.lines().to_string()),
                (&format!("{would}created"), created.to_string()),
                ("unchanged", unchanged.to_string()),
                (&format!("{would}refused"), refused.to_string()),
                ("report", path.unwrap_or_default()),
            ])
        })
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot write {}", path.display())).because(error.to_string())
}
