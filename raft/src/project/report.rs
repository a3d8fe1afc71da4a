//! What a pass is told and what it tells: how closely to look, what to take for ours, what was done and what
//! went wrong.

use std::io;

/// What a file that differs from its document may be, other than edited or damaged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trust {
    /// A file as we left it is merely behind.
    pub(super) known: bool,
    /// A file that is an earlier document of ours, byte for byte, is merely behind.
    pub(super) earlier: bool,
    /// All files were there when the process ended: a missing one was taken away.
    pub(super) complete: bool,
}

/// How closely files are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// A file whose stamp did not change is right.
    Stamps,
    /// All bytes are read.
    Bytes,
}

/// What a pass did and what went wrong.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) written: u64,
    pub(super) removed: u64,
    pub(super) repairs: u64,
    pub(super) quarantined: u64,
    /// The first error and how many there were.
    pub(super) error: Option<String>,
    pub(super) errors: u32,
    /// Why something foreign could not be moved away, if that was so.
    pub(super) blocked: Option<String>,
}

impl Report {
    /// Notes an error; the first one is kept in words.
    pub(super) fn fail(&mut self, error: &io::Error) {
        self.errors += 1;
        self.error.get_or_insert_with(|| error.to_string());
    }

    /// All errors in words.
    pub(super) fn trouble(&self) -> Option<String> {
        let error = self.error.as_ref()?;
        Some(match self.errors {
            0 | 1 => error.clone(),
            errors => format!("{error} (and {} more errors)", errors - 1),
        })
    }
}
