//! How far an import is: a bar on a terminal, now and then a line elsewhere, nothing for programs.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::report::Counts;
use crate::cli::session::Session;
use crate::cli::terminal::Output;

/// Pause between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// What is shown of the progress.
pub(super) enum Progress {
    Bar(ProgressBar),
    Lines { last: Instant },
    Nothing,
}

impl Progress {
    /// For an input of `bytes`, where that is known.
    pub(super) fn new(bytes: Option<u64>, session: &Session<'_>) -> Self {
        match session.terminal.output() {
            Output::Json => Self::Nothing,
            Output::Human if !std::io::stderr().is_terminal() => Self::Lines { last: Instant::now() },
            Output::Human => {
                let (bar, form) = match bytes {
                    Some(bytes) => {
                        (ProgressBar::new(bytes), "{bar:24} {bytes}/{total_bytes}, {eta} left: {msg}")
                    }
                    None => (ProgressBar::new_spinner(), "{spinner} {bytes}, {elapsed}: {msg}"),
                };
                // The forms are ours, so this does not fail; a bar of the usual form would do, too.
                Self::Bar(bar.with_style(
                    ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar()),
                ))
            }
        }
    }

    /// So much of the input was dealt with.
    pub(super) fn at(&mut self, byte: u64, counts: Counts, session: &mut Session<'_>) {
        match self {
            Self::Bar(bar) => {
                bar.set_message(counts.to_string());
                bar.set_position(byte);
            }
            Self::Lines { last } if last.elapsed() >= EVERY => {
                *last = Instant::now();
                session.terminal.note(&format!("{} lines so far: {counts}", counts.lines()));
            }
            Self::Lines { .. } | Self::Nothing => {}
        }
    }

    /// Lets `write` write to the terminal, with the bar out of its way.
    pub(super) fn aside(&self, write: impl FnOnce()) {
        match self {
            Self::Bar(bar) => bar.suspend(write),
            Self::Lines { .. } | Self::Nothing => write(),
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}
