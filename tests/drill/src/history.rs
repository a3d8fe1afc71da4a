//! The history: what clients did, when, and what came of it. Everything is judged by this record.
//!
//! Each key is a register: a tenant whose name is the last written number. Every number is written at most once in a
//! run, so that a read tells which write it saw.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// What a client asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// To write this number.
    Write(u64),
    /// To read; the number that was there, or that nothing was.
    Read(Option<u64>),
}

/// What came of it, as far as the client can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was acknowledged at `end`, with the document's revision where the answer told.
    Done {
        /// Microseconds since the run began.
        end: u64,
        /// Revision of the document.
        revision: Option<u64>,
    },
    /// It may have happened, at any time after its start, or never.
    Unknown,
    /// The server said that it did not and will not happen.
    Refused,
}

/// One request of one client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Number of the client.
    pub client: usize,
    /// Name of the register.
    pub key: String,
    /// What was asked.
    pub action: Action,
    /// Microseconds since the run began.
    pub start: u64,
    /// What came of it.
    pub outcome: Outcome,
}

impl Operation {
    /// The end, if it was acknowledged.
    pub fn end(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Done { end, .. } => Some(end),
            Outcome::Unknown | Outcome::Refused => None,
        }
    }

    /// The revision, if the answer told one.
    pub fn revision(&self) -> Option<u64> {
        match self.outcome {
            Outcome::Done { revision, .. } => revision,
            Outcome::Unknown | Outcome::Refused => None,
        }
    }

    /// The number that it wanted to write.
    pub fn written(&self) -> Option<u64> {
        match self.action {
            Action::Write(value) => Some(value),
            Action::Read(_) => None,
        }
    }

    /// Whether it is a write that was acknowledged.
    pub fn is_acknowledged_write(&self) -> bool {
        self.written().is_some() && self.end().is_some()
    }
}

/// Collects operations from all clients, on one clock.
#[derive(Debug)]
pub struct Recorder {
    began: Instant,
    operations: Mutex<Vec<Operation>>,
}

impl Default for Recorder {
    fn default() -> Self {
        Self { began: Instant::now(), operations: Mutex::default() }
    }
}

impl Recorder {
    /// Microseconds since the run began.
    pub fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Adds one.
    pub fn record(&self, operation: Operation) {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).push(operation);
    }

    /// Everything so far.
    pub fn operations(&self) -> Vec<Operation> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        let operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        operations.iter().filter(|operation| operation.is_acknowledged_write()).count()
    }
}

/// Saves a history, one JSON object a line.
///
/// # Errors
/// When the file cannot be written.
pub fn save(path: &Path, operations: &[Operation]) -> Result<(), String> {
    let lines: Result<Vec<String>, _> = operations.iter().map(serde_json::to_string).collect();
    let text = lines.map_err(|error| format!("the history cannot be written as JSON: {error}"))?.join("\n");
    std::fs::write(path, text + "\n").map_err(|error| format!("cannot write {}: {error}", path.display()))
}

/// Reads a history that [`save`] wrote.
///
/// # Errors
/// When the file cannot be read or is not a history.
pub fn load(path: &Path) -> Result<Vec<Operation>, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let read = |(number, line): (usize, &str)| {
        serde_json::from_str(line)
            .map_err(|error| format!("{} line {}: not an operation: {error}", path.display(), number + 1))
    };
    text.lines().filter(|line| !line.is_empty()).enumerate().map(read).collect()
}
