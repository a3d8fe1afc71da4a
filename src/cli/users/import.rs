//! `hellojohn users import`: people of another system, from a file of JSON lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use clap::Args;
use hellojohn_control::Slug;
use serde_json::Value;

use super::lines::{Line, Lines, MAX_LINE};
use super::progress::Progress;
use super::report::{Reason, Report};
use super::sender::{NotSent, Sender, Status};
use crate::cli::connection::Connection;
use crate::cli::failure::{Exit, Failure};
use crate::cli::session::Session;
use crate::http::json;
use crate::service::account::MAX_IMPORT;

/// Most bytes of one batch; half of what a node takes unless HTTP_MAX_BODY_BYTES says otherwise.
const MAX_BYTES: usize = 512 * 1024;
/// How much of the file is read at once.
const BUFFER: usize = 256 * 1024;

/// Import people of another system with their password hashes
///
/// FILE has one JSON object a line; - reads standard input. Members: email, and if wanted id (or sub, a UUID),
/// email_verified, password_hash, given_name, family_name, picture, locale, custom (an object), status (active,
/// disabled, locked) and created_at. password_hash is bcrypt, scrypt, PBKDF2 or Argon2, as crypt(3), PHC, passlib
/// or Django write it; the next login replaces it.
///
/// Nobody's account is changed: a line that was imported before is unchanged, one that belongs to another account
/// is refused. So it may run again at any time, after an interruption too. Refused lines are told on standard
/// error or in --report, and the exit code is 1 then.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  hellojohn users import users.jsonl --tenant acme --dry-run
  hellojohn users import users.jsonl --tenant acme --report refused.jsonl
  zcat users.jsonl.gz | hellojohn users import - --tenant acme --output json")]
pub struct Import {
    /// JSON lines; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Whose people they become
    #[arg(long, value_name = "SLUG", value_parser = Slug::parse)]
    tenant: Slug,
    /// Most users in one request
    #[arg(long, value_name = "N", default_value_t = most(), value_parser = clap::value_parser!(u16).range(1..=i64::from(most())))]
    batch: u16,
    /// Only tell what would become of each line
    #[arg(long)]
    dry_run: bool,
    /// Write refused lines here, a JSON object for each reason: line, field, code, message
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

fn most() -> u16 {
    u16::try_from(MAX_IMPORT).unwrap_or(u16::MAX)
}

/// Users that are sent together.
#[derive(Default)]
struct Batch {
    /// The line of each.
    lines: Vec<u64>,
    users: Vec<Value>,
    /// Lines between them that cannot be sent, and why.
    refused: VecDeque<(u64, Reason)>,
    bytes: usize,
    /// Where the line after the last one begins.
    end: u64,
}

impl Batch {
    fn refuse(&mut self, line: u64, code: &str, message: &str) {
        self.refused.push_back((line, reason(code, message)));
    }

    /// Whether there is no room for a line of so many bytes.
    fn is_full(&self, most: usize, bytes: usize) -> bool {
        self.users.len().max(self.refused.len()) >= most || self.bytes + bytes > MAX_BYTES
    }
}

fn reason(code: &str, message: &str) -> Reason {
    Reason { field: String::new(), code: code.to_owned(), message: message.to_owned() }
}

/// The parts of a run.
struct Run<'a, 's> {
    sender: Sender<'a>,
    report: Report,
    progress: Progress,
    session: &'a mut Session<'s>,
}

impl Import {
    pub(super) async fn run(&self, session: &mut Session<'_>) -> Result<Exit, Failure> {
        let (source, bytes) = self.open()?;
        let report = Report::new(self.report.as_deref(), &self.file)?;
        let sender = Sender::new(&self.connection, &self.tenant, self.dry_run, session).await?;
        let progress = Progress::new(bytes, session);
        let mut run = Run { sender, report, progress, session };
        let result = self.all(Lines::new(source), &mut run).await;
        run.progress.end();
        let Run { mut report, session, .. } = run;
        report.flush()?;
        result.map_err(|failure| {
            let so_far = report.counts;
            failure.because(format!("before that: {so_far}; run it again, what is imported stays as it is"))
        })?;
        report.show(self.dry_run, session)?;
        Ok(if report.counts.refused == 0 { Exit::Ok } else { Exit::Failed })
    }

    fn open(&self) -> Result<(Box<dyn BufRead>, Option<u64>), Failure> {
        if self.file.as_os_str() == "-" {
            return Ok((Box::new(BufReader::with_capacity(BUFFER, std::io::stdin())), None));
        }
        let failed = |error: std::io::Error| {
            Failure::usage(format!("cannot read {}", self.file.display())).because(error.to_string())
        };
        let file = File::open(&self.file).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        // A pipe has no length.
        let bytes = metadata.is_file().then_some(metadata.len());
        Ok((Box::new(BufReader::with_capacity(BUFFER, file)), bytes))
    }

    async fn all(&self, mut lines: Lines<Box<dyn BufRead>>, run: &mut Run<'_, '_>) -> Result<(), Failure> {
        let mut batch = Batch::default();
        let unread = |error: std::io::Error| {
            Failure::failed(format!("cannot read {}", self.file.display())).because(error.to_string())
        };
        while let Some(Line { number, text, end }) = lines.next().map_err(unread)? {
            let size = text.as_ref().map_or(0, Vec::len);
            if batch.is_full(usize::from(self.batch), size) {
                run.send(std::mem::take(&mut batch)).await?;
            }
            batch.end = end;
            match text.as_deref().map(json::parse::<Value>) {
                Some(Ok(user)) => {
                    batch.lines.push(number);
                    batch.users.push(user);
                    batch.bytes += size;
                }
                Some(Err(error)) => batch.refuse(number, "malformed_json", error.public_text()),
                None => batch.refuse(number, "line_too_long", &format!("has more than {MAX_LINE} bytes")),
            }
        }
        run.send(batch).await
    }
}

impl Run<'_, '_> {
    /// Sends a batch, in parts where the server takes no such large one.
    async fn send(&mut self, batch: Batch) -> Result<(), Failure> {
        let Batch { lines, users, mut refused, end: byte, .. } = batch;
        // Parts that are still to be sent, the first one last.
        let mut parts = vec![(0, users.len())];
        while let Some((start, end)) = parts.pop() {
            let (Some(some), Some(numbers)) = (users.get(start..end), lines.get(start..end)) else {
                continue;
            };
            let Some(first) = numbers.first() else { continue };
            match self.sender.send(some, self.session).await {
                Ok(results) => {
                    for (number, result) in numbers.iter().zip(results) {
                        self.refuse_before(*number, &mut refused)?;
                        match result.status {
                            Status::Created => self.report.counts.created += 1,
                            Status::Unchanged => self.report.counts.unchanged += 1,
                            Status::Refused => {
                                self.report.refuse(*number, &result.errors, &self.progress, self.session)?;
                            }
                        }
                    }
                }
                Err(NotSent::TooLarge) if some.len() > 1 => {
                    let middle = start + some.len() / 2;
                    parts.push((middle, end));
                    parts.push((start, middle));
                }
                Err(NotSent::TooLarge) => {
                    let reason = reason("body_too_large", "is larger than a request may be");
                    self.report.refuse(*first, &[reason], &self.progress, self.session)?;
                }
                Err(NotSent::Failed(failure)) => {
                    return Err(failure.while_doing(format!("cannot import line {first} and those after it")));
                }
            }
        }
        self.refuse_before(u64::MAX, &mut refused)?;
        self.progress.at(byte, self.report.counts, self.session);
        Ok(())
    }

    /// Tells of the lines before `line` that could not be sent, so that the report is in the order of the file.
    fn refuse_before(&mut self, line: u64, refused: &mut VecDeque<(u64, Reason)>) -> Result<(), Failure> {
        while let Some((number, reason)) = refused.pop_front_if(|(number, _)| *number < line) {
            self.report.refuse(number, &[reason], &self.progress, self.session)?;
        }
        Ok(())
    }
}
